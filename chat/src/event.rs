//! The event: the one format that the whole system agrees on. JSON, one event a line, pinned by snapshots; a changed
//! snapshot is a changed contract. Members that a reader does not know are ignored, types that it does not know pass
//! through.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{EventId, KeyId, PresenterIdx, RequestDigest, SessionId, UserIdx};

/// The version of the format, member `v`.
const VERSION: u32 = 1;

/// The types that can be about every room.
const OF_EVERY_ROOM: [&str; 3] = ["user.banned", "user.unbanned", "user.erased"];

/// Something that happened in a room, and was decided: nothing is in the log that could still be refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The identity; of two events with the same id every reader keeps the first.
    pub id: EventId,
    /// The room. None: every room, which only a ban, its end and an erasure can be about.
    pub presenter: Option<PresenterIdx>,
    /// When ingest decided it, to the millisecond. Order is the log's, not this.
    pub at: Timestamp,
    /// Whether it may have happened long before it was stored, as what is of a recording did. Of other events a time
    /// that is far from the one when it was stored is taken for the error of a clock: see `nats::Entry::at`.
    pub belated: bool,
    /// What was asked for under which idempotency key, so that another request under the same key is noticed.
    pub request: Option<Request>,
    /// What happened.
    pub body: Body,
}

/// What was asked for under an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The key: the member `requestKey`. Events of older versions have none, and their id says it.
    pub key: KeyId,
    /// What was asked for: the member `request`.
    pub digest: RequestDigest,
}

/// What happened. The variant is the member `type`, its fields stand beside it.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// `message.posted`
    MessagePosted(MessagePosted),
    /// `message.deleted`
    MessageDeleted(MessageDeleted),
    /// `user.banned`
    UserBanned(UserBanned),
    /// `user.unbanned`
    UserUnbanned(UserUnbanned),
    /// `room.cleared`
    RoomCleared(RoomCleared),
    /// `room.updated`
    RoomUpdated(RoomUpdated),
    /// `user.erased`
    UserErased(UserErased),
    /// `presenter.connected`
    PresenterConnected(PresenterConnected),
    /// `presenter.disconnected`
    PresenterDisconnected(PresenterDisconnected),
    /// A type of a later version, kept whole.
    Unknown {
        /// The member `type`.
        kind: String,
        /// Every member but those of [`Event`].
        members: Map<String, Value>,
    },
}

/// A person, as known when the event happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Who.
    pub idx: UserIdx,
    /// The name shown then.
    pub nickname: String,
    /// In this room, then.
    pub role: Role,
}

/// What a user is in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The room is this user's own.
    Presenter,
    /// Moderates by a scope of the token.
    Moderator,
    /// Anyone else.
    Viewer,
}

/// A chat message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagePosted {
    /// Who wrote it.
    pub user: User,
    /// The text as sent, trimmed; not normalised.
    pub text: String,
    /// What a filter found, by name; left out when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

/// One message is no longer to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageDeleted {
    /// The message.
    pub target: EventId,
    /// Who decided.
    pub by: User,
    /// Why, in the words of who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A user may not write in the room, or in any room but the own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserBanned {
    /// Who is banned.
    pub user: UserIdx,
    /// Until when; absent: for good.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_millis")]
    pub until: Option<Timestamp>,
    /// Who decided.
    pub by: User,
    /// Why, in the words of who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A user may write in the room again, or in every room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserUnbanned {
    /// Who was banned.
    pub user: UserIdx,
    /// Who decided.
    pub by: User,
    /// Why, in the words of who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Nothing that was said before is to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomCleared {
    /// Who decided.
    pub by: User,
    /// Why, in the words of who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The room's settings from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomUpdated {
    /// Every setting that is not the deployment's, by name, as far as known where it was decided.
    pub settings: Map<String, Value>,
    /// Which settings were decided on; the others stay as they are, whatever `settings` says. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Of those settings that end by themselves, when: RFC 3339.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub until: Map<String, Value>,
    /// Who decided.
    pub by: User,
    /// Why, in the words of who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Everything that the user wrote before it, in whichever room, is to be forgotten: each copy of the event is about what
/// stands before it in its partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserErased {
    /// Who is to be forgotten.
    pub user: UserIdx,
    /// What becomes of the messages in the archive.
    pub mode: ErasureMode,
    /// Who decided.
    pub by: User,
}

/// What an erasure does with a user's messages in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErasureMode {
    /// They are removed.
    Remove,
    /// Their texts stay, and nobody can tell who wrote them.
    Anonymise,
}

/// A presenter's session began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenterConnected {
    /// Which.
    pub session: SessionId,
}

/// A presenter's session ended. A killed node cannot say so: a session also ends where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenterDisconnected {
    /// Which.
    pub session: SessionId,
    /// Why, in a stable word: `closed`, `replaced`, `lost`, `slow`, `drain`, …
    pub reason: String,
}

/// A line of the log that is not an event of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an event: {0}")]
pub struct MalformedEvent(String);

impl Body {
    /// The member `type`.
    pub fn kind(&self) -> &str {
        match self {
            Body::MessagePosted(_) => "message.posted",
            Body::MessageDeleted(_) => "message.deleted",
            Body::UserBanned(_) => "user.banned",
            Body::UserUnbanned(_) => "user.unbanned",
            Body::RoomCleared(_) => "room.cleared",
            Body::RoomUpdated(_) => "room.updated",
            Body::UserErased(_) => "user.erased",
            Body::PresenterConnected(_) => "presenter.connected",
            Body::PresenterDisconnected(_) => "presenter.disconnected",
            Body::Unknown { kind, .. } => kind,
        }
    }
}

impl Event {
    /// An event of a room that happens now, under an id that nobody has had before.
    pub fn now(presenter: PresenterIdx, body: Body) -> Event {
        Event { id: EventId::new(), presenter: Some(presenter), at: now(), belated: false, request: None, body }
    }

    /// An event of every room that happens now, under an id that nobody has had before.
    pub fn of_every_room(body: Body) -> Event {
        Event { id: EventId::new(), presenter: None, at: now(), belated: false, request: None, body }
    }

    /// The same event, as it happened then: long before it is stored, as what is of a recording did.
    #[must_use]
    pub fn recorded_at(self, at: Timestamp) -> Event {
        Event { at, belated: true, ..self }
    }

    /// The event as one line of JSON, without the line feed.
    pub fn to_line(&self) -> Bytes {
        #[derive(Serialize)]
        struct Line<'a, B> {
            v: u32,
            id: EventId,
            #[serde(rename = "type")]
            kind: &'a str,
            #[serde(rename = "presenterIdx", skip_serializing_if = "Option::is_none")]
            presenter: Option<PresenterIdx>,
            #[serde(with = "millis")]
            at: Timestamp,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            belated: bool,
            #[serde(rename = "requestKey", skip_serializing_if = "Option::is_none")]
            key: Option<KeyId>,
            #[serde(skip_serializing_if = "Option::is_none")]
            request: Option<RequestDigest>,
            #[serde(flatten)]
            body: B,
        }
        fn line<B: Serialize>(event: &Event, body: B) -> Bytes {
            let Event { id, presenter, at, belated, request, .. } = *event;
            let kind = event.body.kind();
            let key = request.map(|request| request.key).filter(|key| *key != KeyId::of_event(id));
            let request = request.map(|request| request.digest);
            let line = Line { v: VERSION, id, kind, presenter, at, belated, key, request, body };
            serde_json::to_vec(&line).expect("an event has string keys and no failing serializer").into()
        }
        match &self.body {
            Body::MessagePosted(body) => line(self, body),
            Body::MessageDeleted(body) => line(self, body),
            Body::UserBanned(body) => line(self, body),
            Body::UserUnbanned(body) => line(self, body),
            Body::RoomCleared(body) => line(self, body),
            Body::RoomUpdated(body) => line(self, body),
            Body::UserErased(body) => line(self, body),
            Body::PresenterConnected(body) => line(self, body),
            Body::PresenterDisconnected(body) => line(self, body),
            Body::Unknown { members, .. } => line(self, members),
        }
    }

    /// Reads what [`Event::to_line`] wrote, or what a later version wrote.
    pub fn from_line(line: &[u8]) -> Result<Event, MalformedEvent> {
        let Head { id, kind, presenter, at, belated, key, request, .. } = Head::from_line(line)?;
        let request = request.map(|digest| Request { key: key.unwrap_or(KeyId::of_event(id)), digest });
        Ok(Event { id, presenter, at, belated, request, body: Body::from_line(&kind, line)? })
    }
}

impl Body {
    /// The body of an event whose type is known already.
    pub fn from_line(kind: &str, line: &[u8]) -> Result<Body, MalformedEvent> {
        Ok(match kind {
            "message.posted" => Body::MessagePosted(parse(line)?),
            "message.deleted" => Body::MessageDeleted(parse(line)?),
            "user.banned" => Body::UserBanned(parse(line)?),
            "user.unbanned" => Body::UserUnbanned(parse(line)?),
            "room.cleared" => Body::RoomCleared(parse(line)?),
            "room.updated" => Body::RoomUpdated(parse(line)?),
            "user.erased" => Body::UserErased(parse(line)?),
            "presenter.connected" => Body::PresenterConnected(parse(line)?),
            "presenter.disconnected" => Body::PresenterDisconnected(parse(line)?),
            _ => {
                let mut members: Map<String, Value> = parse(line)?;
                for known in ["v", "id", "type", "presenterIdx", "at", "belated", "requestKey", "request"] {
                    members.remove(known);
                }
                Body::Unknown { kind: kind.to_owned(), members }
            }
        })
    }
}

/// What every event has; enough to index a line without reading the rest.
#[derive(Debug, Clone, Deserialize)]
pub struct Head {
    v: u32,
    /// The event's id.
    pub id: EventId,
    /// Its type, such as `message.posted`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The room; none for an event of every room.
    #[serde(rename = "presenterIdx", default)]
    pub presenter: Option<PresenterIdx>,
    #[serde(with = "millis")]
    /// When its sender's node took it.
    pub at: Timestamp,
    /// Whether it comes from a recording, whose times are long past.
    #[serde(default)]
    pub belated: bool,
    #[serde(rename = "requestKey", default)]
    key: Option<KeyId>,
    #[serde(default)]
    request: Option<RequestDigest>,
}

impl Head {
    /// Reads the head of a line and leaves the rest.
    ///
    /// # Errors
    /// The line is not an event of this version.
    pub fn from_line(line: &[u8]) -> Result<Head, MalformedEvent> {
        let head: Head = parse(line)?;
        if head.v != VERSION {
            return Err(MalformedEvent(format!("version {} is not {VERSION}", head.v)));
        }
        if head.presenter.is_none() && !OF_EVERY_ROOM.contains(&head.kind.as_str()) {
            return Err(MalformedEvent(format!("{} without presenterIdx: it must be about a room", head.kind)));
        }
        if head.presenter.is_some() && head.kind == "user.erased" {
            return Err(MalformedEvent("user.erased with presenterIdx: it must be about every room".to_owned()));
        }
        Ok(head)
    }
}

fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, MalformedEvent> {
    serde_json::from_slice(line).map_err(|error| MalformedEvent(error.to_string()))
}

/// Now, to the millisecond: what the format keeps.
pub fn now() -> Timestamp {
    let millis = Timestamp::now().as_millisecond();
    Timestamp::from_millisecond(millis).expect("the present is within the years that a timestamp holds")
}

/// RFC 3339 in UTC with exactly three decimals.
mod millis {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{at:.3}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Timestamp::deserialize(deserializer)
    }
}

mod optional_millis {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::millis::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Option::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One event of every type, as it stands in the log.
    const LINES: [&str; 17] = [
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000001","type":"message.posted","presenterIdx":42,"at":"2026-11-22T12:34:56.789Z","user":{"idx":7,"nickname":"별명","role":"viewer"},"text":"안녕하세요 👋"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000002","type":"message.posted","presenterIdx":42,"at":"2026-11-22T12:34:57.000Z","user":{"idx":42,"nickname":"presenter","role":"presenter"},"text":"\"quoted\" \\ line","flags":["ko.abuse"]}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000003","type":"message.deleted","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","target":"019ab5a0-8000-7000-8000-000000000001","by":{"idx":42,"nickname":"presenter","role":"presenter"},"reason":"off topic"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000004","type":"user.banned","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","user":7,"until":"2026-11-22T12:45:00.000Z","by":{"idx":3,"nickname":"mod","role":"moderator"},"reason":"spam"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000005","type":"user.banned","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","user":7,"by":{"idx":3,"nickname":"mod","role":"moderator"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000006","type":"user.unbanned","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","user":7,"by":{"idx":3,"nickname":"mod","role":"moderator"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000007","type":"room.cleared","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","by":{"idx":42,"nickname":"presenter","role":"presenter"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000008","type":"room.updated","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","settings":{"slowModeSeconds":5,"uniqueChat":true},"changed":["slowModeSeconds"],"until":{"slowModeSeconds":"2026-11-22T12:45:00.000Z"},"by":{"idx":42,"nickname":"presenter","role":"presenter"},"reason":"raid"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000009","type":"presenter.connected","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","session":"019ab5a0-8000-7000-8000-0000000000ff"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000000a","type":"presenter.disconnected","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","session":"019ab5a0-8000-7000-8000-0000000000ff","reason":"closed"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000000b","type":"poll.opened","presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","answers":["a","b"],"question":"which?"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-5000-8000-00000000000c","type":"message.posted","presenterIdx":42,"at":"2026-11-22T12:34:58.000Z","request":"00d4a7e1b05f3c29","user":{"idx":7,"nickname":"별명","role":"viewer"},"text":"again"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000000d","type":"user.banned","at":"2026-11-22T12:35:00.000Z","user":7,"by":{"idx":3,"nickname":"mod","role":"moderator"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000000e","type":"user.unbanned","at":"2026-11-22T12:36:00.000Z","user":7,"by":{"idx":3,"nickname":"mod","role":"moderator"},"reason":"appeal"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-000000000010","type":"message.posted","presenterIdx":42,"at":"2021-11-22T12:34:56.789Z","belated":true,"user":{"idx":7,"nickname":"별명","role":"viewer"},"text":"of a recording"}"#,
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000000f","type":"user.erased","at":"2026-11-22T12:37:00.000Z","user":7,"mode":"anonymise","by":{"idx":3,"nickname":"mod","role":"moderator"}}"#,
        r#"{"v":1,"id":"019ab5a0-8000-5000-8000-000000000011","type":"message.posted","presenterIdx":42,"at":"2026-11-22T12:34:59.000Z","requestKey":"019ab5a0-8000-5000-8000-0000000000aa","request":"00d4a7e1b05f3c29","user":{"idx":7,"nickname":"별명","role":"viewer"},"text":"under a key"}"#,
    ];

    #[test]
    fn every_line_survives_reading_and_writing_byte_for_byte() {
        for line in LINES {
            let event = Event::from_line(line.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(event.to_line().to_vec()).unwrap(), line);
        }
    }

    #[test]
    fn every_type_is_read_as_its_own() {
        let bodies: Vec<Body> = LINES.iter().map(|line| Event::from_line(line.as_bytes()).unwrap().body).collect();
        insta::assert_debug_snapshot!(bodies);
    }

    #[test]
    fn members_of_a_later_version_are_ignored() {
        let with = LINES[0].replacen('{', r#"{"later":{"deep":[1,2]},"#, 1);
        assert_eq!(Event::from_line(with.as_bytes()), Event::from_line(LINES[0].as_bytes()));
    }

    #[test]
    fn a_time_is_kept_to_the_millisecond_and_in_utc() {
        let seoul = LINES[0].replace("2026-11-22T12:34:56.789Z", "2026-11-22T21:34:56.789+09:00");
        assert_eq!(Event::from_line(seoul.as_bytes()), Event::from_line(LINES[0].as_bytes()));
        let event = Event::now(PresenterIdx::try_from(1).unwrap(), Event::from_line(LINES[8].as_bytes()).unwrap().body);
        assert_eq!(Event::from_line(&event.to_line()), Ok(event));
    }

    #[test]
    fn what_is_not_an_event_of_this_version_is_refused_with_the_reason() {
        let cases = [
            "",
            "null",
            "[]",
            "{}",
            "\u{1f}",
            &LINES[0].replace(r#""v":1"#, r#""v":2"#),
            &LINES[0].replace(r#""presenterIdx":42"#, r#""presenterIdx":0"#),
            &LINES[0].replace(r#""presenterIdx":42"#, r#""presenterIdx":"42""#),
            &LINES[0].replace("019ab5a0-8000-7000-8000-000000000001", "1"),
            &LINES[0].replace("2026-11-22T12:34:56.789Z", "yesterday"),
            &LINES[0].replace(r#","text":"안녕하세요 👋""#, ""),
            &LINES[0].replace("viewer", "king"),
            &LINES[0].replace(r#""idx":7"#, r#""idx":-7"#),
            &LINES[0].replace(r#""presenterIdx":42,"#, ""),
            &LINES[11].replace("00d4a7e1b05f3c29", "d4a7e1b05f3c29"),
            &LINES[15].replace(r#""user":7"#, r#""presenterIdx":42,"user":7"#),
            &LINES[15].replace("anonymise", "forget"),
        ];
        let reasons: Vec<String> =
            cases.iter().map(|line| Event::from_line(line.as_bytes()).unwrap_err().to_string()).collect();
        insta::assert_debug_snapshot!(reasons);
        assert!(Event::from_line(b"\xff\xfe").is_err());
    }

    #[test]
    fn now_is_the_time_in_whole_milliseconds() {
        let (before, now, after) = (Timestamp::now(), now(), Timestamp::now());
        assert!(before.duration_since(now) < jiff::SignedDuration::from_millis(1) && now <= after, "{now}");
        assert_eq!(now.as_nanosecond() % 1_000_000, 0);
    }
}
