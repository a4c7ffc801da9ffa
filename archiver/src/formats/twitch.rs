//! The chat file of TwitchDownloader (github.com/lay295/TwitchDownloader), ChatRoot 1.4. TwitchDownloader renders chat
//! into video; other programs read the file too. The format follows its
//! `TwitchDownloaderCore/TwitchObjects/ChatRoot.cs`, `ChatRootInfo.cs` and `Chat/ChatJson.cs`, which reads it with
//! System.Text.Json. Hence:
//!
//! - The file must begin with `{`. A missing member gets its default, but `null` for a number or a date, or a wrong
//!   type, makes the whole file unreadable. So unknown facts, such as when an account was created, are left out.
//! - `streamer.id` is a Twitch channel, whose emotes, badges and cheers a renderer fetches and draws. Our numbers are
//!   other people's channels, so it is 0, which TwitchDownloader itself writes for a video without an owner.
//! - Without `streamer`, readers guess the number from `channel_id`. Without `streamer.login`, they look the name up at
//!   Twitch.
//! - Renderers draw `message.fragments`. `user_badges` with `broadcaster` marks the presenter. The attributes `color`
//!   and `badges` fill `user_color` and `user_badges`. There is no place for the message that a message answers.
//! - An emote is a fragment with its id, which a renderer looks up at Twitch: one that is unknown there is drawn as its
//!   text. Its place is in `emoticons` as well, in code points, with the end that TwitchDownloader itself writes: one
//!   more than the start and the UTF-16 units of the text.

use std::borrow::Cow;

use chat::{Role, fragments};
use jiff::Timestamp;
use mongodb::bson::Bson;
use serde::Serialize;

use crate::mongo::documents::MessageDocument;

#[cfg(test)]
mod tests;

/// The end of every file.
pub(crate) const TAIL: &str = "],\"embeddedData\":null}\n";

/// The `streamer.id` of a streamer without a Twitch channel.
const NO_CHANNEL: i32 = 0;

/// The recording that the messages belong to. Times are milliseconds since 1970.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    pub(crate) id: String,
    pub(crate) room: i64,
    /// The presenter's nickname.
    pub(crate) nickname: String,
    pub(crate) started: i64,
    pub(crate) duration: i64,
    /// When the file was made.
    pub(crate) made: i64,
}

/// Writes messages into the file.
#[derive(Debug)]
pub(crate) struct Comments {
    channel_id: String,
    content_id: String,
    is_first: bool,
}

impl Recording {
    /// Everything before the messages.
    pub(crate) fn head(&self) -> String {
        let made = time(self.made);
        let version = Version { major: 1, minor: 4, patch: 0 };
        let file_info = FileInfo { version, created_at: made.clone(), updated_at: made };
        let streamer = Streamer { name: &self.nickname, login: self.room.to_string(), id: NO_CHANNEL };
        let length = seconds(self.duration);
        let created_at = time(self.started);
        let title = format!("{} {}", self.nickname, &created_at[..10.min(created_at.len())]);
        let video = Video {
            title,
            id: &self.id,
            created_at,
            start: 0.0,
            end: length,
            length,
            view_count: 0,
            game: None,
            chapters: [],
        };
        format!(
            "{{\"FileInfo\":{},\"streamer\":{},\"video\":{},\"comments\":[",
            json(&file_info),
            json(&streamer),
            json(&video)
        )
    }

    pub(crate) fn comments(&self) -> Comments {
        Comments { channel_id: self.room.to_string(), content_id: self.id.clone(), is_first: true }
    }
}

impl Comments {
    /// Appends a message at that offset in the recording.
    pub(crate) fn write(&mut self, offset_ms: i64, message: &MessageDocument, text: &mut Vec<u8>) {
        if !std::mem::take(&mut self.is_first) {
            text.extend_from_slice(b",\n");
        }
        let role = match message.role {
            Role::Presenter => Some(Badge { id: "broadcaster", version: "1".into() }),
            Role::Moderator => Some(Badge { id: "moderator", version: "1".into() }),
            Role::Viewer => None,
        };
        let badges = role.into_iter().chain(badges(message)).collect();
        let emotes = message.emotes();
        let mut fragments: Vec<Fragment<'_>> = fragments(message.text(), &emotes)
            .into_iter()
            .map(|(text, emote)| Fragment { text, emoticon: emote.map(|emote| Emoticon { id: &emote.id }) })
            .collect();
        // A text that has been removed is still a text.
        if fragments.is_empty() {
            fragments.push(Fragment { text: "", emoticon: None });
        }
        let mut begin = 0;
        let mut emoticons = Vec::with_capacity(emotes.len());
        for Fragment { text, emoticon } in &fragments {
            if let Some(Emoticon { id }) = emoticon {
                emoticons.push(PlacedEmoticon { id, begin, end: begin + text.encode_utf16().count() + 1 });
            }
            begin += text.chars().count();
        }
        let comment = Comment {
            id: &message.id,
            created_at: time(message.sent_at.timestamp_millis()),
            channel_id: &self.channel_id,
            content_type: "video",
            content_id: &self.content_id,
            content_offset_seconds: seconds(offset_ms),
            commenter: Commenter {
                display_name: &message.nickname,
                id: message.user_idx.to_string(),
                name: message.user_idx.to_string(),
                bio: None,
                logo: None,
            },
            message: Message {
                body: message.text(),
                bits_spent: 0,
                fragments,
                user_badges: badges,
                user_color: color(message),
                emoticons,
            },
        };
        text.extend_from_slice(json(&comment).as_bytes());
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FileInfo {
    version: Version,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

#[derive(Serialize)]
struct Streamer<'a> {
    name: &'a str,
    login: String,
    id: i32,
}

#[derive(Serialize)]
struct Video<'a> {
    title: String,
    id: &'a str,
    created_at: String,
    start: f64,
    end: f64,
    length: f64,
    #[serde(rename = "viewCount")]
    view_count: i32,
    game: Option<&'a str>,
    chapters: [(); 0],
}

#[derive(Serialize)]
struct Comment<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
    created_at: String,
    channel_id: &'a str,
    content_type: &'a str,
    content_id: &'a str,
    content_offset_seconds: f64,
    commenter: Commenter<'a>,
    message: Message<'a>,
}

#[derive(Serialize)]
struct Commenter<'a> {
    display_name: &'a str,
    #[serde(rename = "_id")]
    id: String,
    name: String,
    bio: Option<&'a str>,
    logo: Option<&'a str>,
}

#[derive(Serialize)]
struct Message<'a> {
    body: &'a str,
    bits_spent: i32,
    fragments: Vec<Fragment<'a>>,
    user_badges: Vec<Badge<'a>>,
    user_color: Option<&'a str>,
    emoticons: Vec<PlacedEmoticon<'a>>,
}

#[derive(Serialize)]
struct Fragment<'a> {
    text: &'a str,
    emoticon: Option<Emoticon<'a>>,
}

#[derive(Serialize)]
struct Emoticon<'a> {
    #[serde(rename = "emoticon_id")]
    id: &'a str,
}

#[derive(Serialize)]
struct PlacedEmoticon<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
    begin: usize,
    end: usize,
}

#[derive(Serialize)]
struct Badge<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
    version: Cow<'a, str>,
}

/// The attribute `color`, if it is a colour as the format has it: `#00C853`.
fn color(message: &MessageDocument) -> Option<&str> {
    let color = message.attributes.as_ref()?.get_str("color").ok()?;
    let digits = color.strip_prefix('#')?;
    (digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(color)
}

/// The attribute `badges`: a list of names, or of objects with an `id` and perhaps a `version`.
fn badges(message: &MessageDocument) -> impl Iterator<Item = Badge<'_>> {
    let badges = message.attributes.as_ref().and_then(|attributes| attributes.get_array("badges").ok());
    badges.into_iter().flatten().filter_map(|badge| match badge {
        Bson::String(id) => Some(Badge { id, version: "1".into() }),
        Bson::Document(badge) => Some(Badge {
            id: badge.get_str("id").ok()?,
            version: match badge.get("version") {
                Some(Bson::String(version)) => version.into(),
                Some(Bson::Int32(version)) => version.to_string().into(),
                Some(Bson::Int64(version)) => version.to_string().into(),
                _ => "1".into(),
            },
        }),
        _ => None,
    })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("its keys are strings and its numbers are finite")
}

/// Seconds with milliseconds: a double is exact enough.
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

fn time(ms: i64) -> String {
    format!("{:.3}", Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MIN))
}
