//! The chat of a broadcast as files. Each format is parsed as its programs parse it, and has the messages of the
//! replay.

use chat::{Body, Event, Role, User, UserIdx};
use serde::Deserialize;
use serde_json::Value;

use super::World;
use super::broadcast::{Session, TIMELINES, offsets, recount};
use super::reading::{Reader, archive, said, time};
use super::replay::cut_twice;

/// The chat file of TwitchDownloader, as its `ChatRoot.cs` declares it. Nullable members are optional.
#[derive(Debug, Deserialize)]
struct ChatRoot {
    #[serde(rename = "FileInfo")]
    file_info: FileInfo,
    streamer: Streamer,
    video: Video,
    comments: Vec<Comment>,
    #[serde(rename = "embeddedData")]
    embedded_data: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FileInfo {
    version: Version,
    created_at: jiff::Timestamp,
    updated_at: jiff::Timestamp,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

#[derive(Debug, Deserialize)]
struct Streamer {
    name: String,
    login: String,
    id: i32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Video {
    id: String,
    #[serde(rename = "created_at")]
    created_at: jiff::Timestamp,
    start: f64,
    end: f64,
    length: f64,
    view_count: i32,
    chapters: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Comment {
    _id: String,
    created_at: jiff::Timestamp,
    channel_id: String,
    content_type: String,
    content_id: String,
    content_offset_seconds: f64,
    commenter: Commenter,
    message: Message,
}

#[derive(Debug, Deserialize)]
struct Commenter {
    display_name: String,
    _id: String,
    name: String,
    logo: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Message {
    body: String,
    bits_spent: i32,
    fragments: Vec<Fragment>,
    user_badges: Vec<Badge>,
    user_color: Option<String>,
    emoticons: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Fragment {
    text: String,
    emoticon: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Badge {
    _id: String,
    version: String,
}

/// A cue of WebVTT.
#[derive(Debug, PartialEq)]
struct Cue {
    id: String,
    start: i64,
    end: i64,
    voice: String,
    text: String,
}

/// Parses WebVTT by its specification, as far as chat files need it: blocks between empty lines, of which those with an
/// arrow are cues.
fn cues(file: &str) -> Vec<Cue> {
    let file = file.replace("\r\n", "\n").replace('\r', "\n");
    let mut blocks = file.split("\n\n");
    assert_eq!(blocks.next(), Some("WEBVTT"));
    let cues = blocks.map(|block| block.trim_start_matches('\n')).filter(|block| !block.is_empty()).map(|block| {
        let mut lines = block.splitn(3, '\n');
        let (id, timing, payload) = (lines.next().unwrap(), lines.next().unwrap(), lines.next().unwrap_or(""));
        let (start, end) = timing.split_once(" --> ").unwrap_or_else(|| panic!("no cue: {block}"));
        let (voice, text) = payload.strip_prefix("<v ").unwrap().split_once('>').unwrap();
        assert!(!text.contains(['<', '>']), "a tag: {text}");
        assert!(!payload.contains("-->"), "an arrow ends the cue: {payload}");
        Cue { id: id.to_owned(), start: ms(start), end: ms(end), voice: unescaped(voice.trim()), text: unescaped(text) }
    });
    cues.collect()
}

fn ms(timestamp: &str) -> i64 {
    let (clock, ms) = timestamp.split_once('.').unwrap();
    assert_eq!(ms.len(), 3);
    let seconds = clock.split(':').fold(0, |sum, part| sum * 60 + part.parse::<i64>().unwrap());
    seconds * 1_000 + ms.parse::<i64>().unwrap()
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

pub(super) async fn export(reader: &Reader<'_>, path: &str, format: &str, timeline: &str) -> String {
    let query = [("format", format), ("timeline", timeline)];
    let answer = reader.ask(&format!("{path}/export"), &query).await;
    assert_eq!(answer.status(), 200, "{path} {format}");
    answer.text().await.unwrap()
}

/// The offset, id and text of each message in each format.
pub(super) async fn exported(reader: &Reader<'_>, path: &str, timeline: &str) -> [Vec<(i64, String, String)>; 3] {
    let ndjson = export(reader, path, "ndjson", timeline).await;
    let lines: Vec<Value> = ndjson.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let texts = lines.iter().map(|line| line["text"].as_str().unwrap().to_owned());
    let ndjson = offsets(&lines).into_iter().zip(texts).map(|((offset, id), text)| (offset, id, text)).collect();
    let twitch: ChatRoot = serde_json::from_str(&export(reader, path, "twitchdownloader", timeline).await).unwrap();
    let comments = twitch.comments.into_iter().map(|comment| {
        let offset = (comment.content_offset_seconds * 1_000.0).round() as i64;
        (offset, comment._id, comment.message.body)
    });
    let comments = comments.collect();
    let cues = cues(&export(reader, path, "webvtt", timeline).await);
    [ndjson, comments, cues.into_iter().map(|cue| (cue.start, cue.id, cue.text)).collect()]
}

#[tokio::test]
async fn every_format_has_what_the_replay_has() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let (session, segments, told) = cut_twice(&world).await;
    let reader = Reader::analyst(&archiver);
    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    for timeline in TIMELINES {
        let expected = recount(&segments, &told, timeline);
        for (format, found) in
            ["ndjson", "twitchdownloader", "webvtt"].iter().zip(exported(&reader, &path, timeline).await)
        {
            let found: Vec<(i64, String)> = found.into_iter().map(|(offset, id, _)| (offset, id)).collect();
            assert_eq!(found, expected, "{format} {timeline}");
        }
    }
    // The same lines as the messages of the replay.
    let replayed = reader.all(&format!("{path}/replay"), &[], "messages", 1_000).await;
    let lines = export(&reader, &path, "ndjson", "segments").await;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, replayed);
}

#[tokio::test]
async fn the_files_name_the_broadcast_and_stay_valid_with_any_text() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let session = Session::new(0, 3_723_250);
    let texts = [
        "안녕하세요 👋🏽",
        "<b>bold</b> & <v other>voice",
        "a --> b",
        "00:00:00.000 --> 99:00:00.000",
        "\"quoted\" \\ \u{8}\u{1f}",
        "&amp; &lt;",
        "NOTE\nSTYLE\nREGION",
        "WEBVTT",
        "a\u{2028}b\u{85}c",
        "\u{202e}עברית\u{202c}",
        "]}",
        "null",
        "line\nline",
        "1",
        "{{ }}",
        "</script><script>",
        "\u{feff}bom",
        "a\tb",
    ];
    let by = |event: &mut Event, idx: i64, nickname: &str, role: Role| {
        if let Body::MessagePosted(posted) = &mut event.body {
            posted.user = User { idx: UserIdx::try_from(idx).unwrap(), nickname: nickname.to_owned(), role };
        }
    };
    let mut events: Vec<Event> =
        texts.iter().enumerate().map(|(second, text)| said(42, 7, second as i64 * 1_000, text)).collect();
    by(&mut events[0], 42, "방송 <인> & co", Role::Presenter);
    by(&mut events[1], 8, "mod\n<er>", Role::Moderator);
    by(&mut events[2], 9, "somebody--", Role::Viewer);
    let mut everything = vec![session.begins(42), session.ends(42, "closed")];
    everything.extend(events.iter().cloned());
    archive(&world, &everything).await;
    let reader = Reader::analyst(&archiver);
    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);

    let answer = reader.ask(&format!("{path}/export"), &[("format", "twitchdownloader")]).await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    let disposition = "attachment; filename=\"room-42-20251122T100000Z.json\"";
    assert_eq!(answer.headers()["content-disposition"], disposition);
    let file = answer.text().await.unwrap();
    // TwitchDownloader tests the first byte.
    assert!(file.starts_with('{'));
    let ChatRoot { file_info, streamer, video, comments, embedded_data } = serde_json::from_str(&file).unwrap();
    assert_eq!(file_info.version, Version { major: 1, minor: 4, patch: 0 });
    assert!(file_info.created_at == file_info.updated_at && embedded_data.is_none());
    assert_eq!((streamer.name.as_str(), streamer.login.as_str(), streamer.id), ("방송 <인> & co", "42", 0));
    assert_eq!((video.id, format!("{:.3}", video.created_at)), (session.id.to_string(), time(0)));
    assert_eq!((video.start, video.end, video.length, video.view_count), (0.0, 3_723.25, 3_723.25, 0));
    assert!(video.chapters.is_empty());
    assert_eq!(comments.len(), texts.len());
    for ((second, text), comment) in texts.iter().enumerate().zip(&comments) {
        assert_eq!((comment.content_offset_seconds, comment.message.body.as_str()), (second as f64, *text));
        assert_eq!(comment.message.fragments.len(), 1);
        assert_eq!((&comment.message.fragments[0].text, comment.message.bits_spent), (&comment.message.body, 0));
        assert!(comment.message.fragments[0].emoticon.is_none() && comment.message.emoticons.is_empty());
        assert!(comment.message.user_color.is_none() && comment.commenter.logo.is_none());
        assert_eq!((comment.channel_id.as_str(), comment.content_type.as_str()), ("42", "video"));
        assert_eq!((&comment.content_id, comment.created_at), (&session.id.to_string(), events[second].at));
        assert_eq!(comment.commenter.name, comment.commenter._id);
    }
    let badges = |index: usize| {
        let badges = comments[index].message.user_badges.iter();
        badges.map(|badge| format!("{}/{}", badge._id, badge.version)).collect::<Vec<_>>()
    };
    assert_eq!((badges(0), badges(1)), (vec!["broadcaster/1".to_owned()], vec!["moderator/1".to_owned()]));
    assert!(badges(2).is_empty());
    assert_eq!((comments[1].commenter.display_name.as_str(), comments[1].commenter._id.as_str()), ("mod\n<er>", "8"));

    let answer = reader.ask(&format!("{path}/export"), &[("format", "webvtt")]).await;
    assert_eq!(answer.headers()["content-type"], "text/vtt; charset=utf-8");
    let cues = cues(&answer.text().await.unwrap());
    let voices = ["방송 <인> & co", "mod <er>", "somebody--", "사용자7"];
    let expected: Vec<Cue> = texts
        .iter()
        .enumerate()
        .map(|(second, text)| Cue {
            id: events[second].id.to_string(),
            start: second as i64 * 1_000,
            end: second as i64 * 1_000 + 5_000,
            voice: voices[second.min(3)].to_owned(),
            text: (*text).to_owned(),
        })
        .collect();
    assert_eq!(cues, expected);
}

#[tokio::test]
async fn a_presenter_who_wrote_nothing_and_has_a_large_number_is_named_by_it() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let (room, session) = (1 << 40, Session::new(0, 1_000));
    archive(&world, &[session.begins(room), session.ends(room, "closed")]).await;
    let path = format!("/v1/rooms/{room}/broadcasts/{}", session.id);
    let reader = Reader::analyst(&archiver);
    let file: ChatRoot = serde_json::from_str(&export(&reader, &path, "twitchdownloader", "wall").await).unwrap();
    assert_eq!((file.streamer.name, file.streamer.id), (room.to_string(), 0));
    assert!(file.comments.is_empty());
    assert_eq!(export(&reader, &path, "webvtt", "wall").await, "WEBVTT\n\n");
    assert_eq!(export(&reader, &path, "ndjson", "wall").await, "");
}
