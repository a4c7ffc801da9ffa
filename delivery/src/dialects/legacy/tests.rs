//! The original's frames, pinned.

use bytes::Bytes;
use chat::{MessagePosted, PresenterIdx, User};
use nats::Entry;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::window::Incoming;

fn kept(line: &str) -> Kept {
    incoming(line).kept
}

fn incoming(line: &str) -> Incoming {
    let position = Position { epoch: 0x1879_f0c3_a1b2_c3d4, sequence: 31, index: 3 };
    let entry = Entry::read(position, Bytes::copy_from_slice(line.as_bytes())).unwrap();
    Incoming::new(0, entry)
}

fn legacy() -> Legacy {
    Legacy { zone: TimeZone::get("Asia/Seoul").unwrap(), grace: Duration::ZERO }
}

#[test]
fn every_frame_of_a_client_is_parsed() {
    let start = |token: &str| ClientFrame::Start { token: Some(token.to_owned()), position: None, room: None };
    let other = |id: &str| ClientFrame::Answered(invalid_id(id));
    for (text, said) in [
        ("ping", ClientFrame::Answered("pong".into())),
        (r#"{"id":"start","token":"a.b.c"}"#, start("a.b.c")),
        (r#"{"token":"a.b.c","more":[1],"id":"start"}"#, start("a.b.c")),
        (r#"{"id":"start"}"#, ClientFrame::Start { token: None, position: None, room: None }),
        (r#"{"id":"start","token":null}"#, ClientFrame::Start { token: None, position: None, room: None }),
        (r#"{"id":"start","token":""}"#, start("")),
        (r#"{"id":"start","token":5}"#, start("5")),
        (r#"{"id":"stop"}"#, other("stop")),
        (r#"{"id":"ping"}"#, other("ping")),
        (r#"{"id":5}"#, other("5")),
        (r#"{"id":null}"#, other("null")),
        (r#"{"token":"a.b.c"}"#, other("null")),
        (r#"["start"]"#, other("null")),
        (r#""start""#, other("null")),
        ("PING", other("null")),
        ("ping ", other("null")),
        ("", other("null")),
        ("{", other("null")),
    ] {
        assert_eq!(legacy().parse(text), said, "{text}");
    }
    // Nesting is bounded, so that no text exhausts the stack.
    assert_eq!(legacy().parse(&r#"{"id":"#.repeat(5_000)), other("null"));
}

#[test]
fn the_frame_of_a_message_is_pinned() {
    let line = r#"{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a8057","type":"message.posted","presenterIdx":42,"at":"2024-03-01T15:04:05.678Z","user":{"idx":7,"nickname":"고양이 \"나비\"","role":"viewer"},"text":"안녕 👋🏽\n<b>"}"#;
    let frame = legacy().frame(&[kept(line)], Visibility::default()).frame.unwrap();
    insta::assert_snapshot!(frame.as_str(), @r#"{"id":"sendChatting","nickname":"고양이 \"나비\"","message":"안녕 👋🏽\n<b>","time":"00:04","messageId":"01890a5d-ac96-774b-bcce-b302099a8057","position":"1879f0c3a1b2c3d4-1f-3","userIdx":7,"role":"viewer","sentAt":"2024-03-01T15:04:05.678Z"}"#);
}

fn event() -> impl Strategy<Value = Event> {
    let role = prop::sample::select(vec![Role::Viewer, Role::Moderator, Role::Presenter]);
    let user = (1..=i64::MAX, any::<String>(), role);
    let flags = prop::collection::vec(any::<String>(), 0..2);
    // From 1800, when clocks showed the sun's time, to 2200.
    let at = -5_364_662_400_000..7_258_118_400_000_i64;
    (user, any::<String>(), flags, at, any::<bool>()).prop_map(|((idx, nickname, role), text, flags, at, belated)| {
        let user = User { idx: UserIdx::stored(idx).unwrap(), nickname, role };
        let body = Body::MessagePosted(MessagePosted { flags, ..MessagePosted::new(user, text) });
        let at = Timestamp::from_millisecond(at).unwrap();
        Event { at, belated, ..Event::now(PresenterIdx::try_from(42).unwrap(), body) }
    })
}

proptest! {
    /// A frame of copied parts is the frame that would be written from the event. A line that is changed anywhere is
    /// either left to the parser, or gives the same frame too.
    #[test]
    fn a_copied_frame_is_the_frame_that_is_written(
        event in event(),
        position in (any::<u64>(), any::<u64>(), any::<u32>()),
        zone in prop::sample::select(vec!["Asia/Seoul", "UTC", "America/New_York", "Asia/Kolkata"]),
        changes in prop::collection::vec((any::<Index>(), any::<u8>(), any::<bool>()), 0..3),
    ) {
        let position = Position { epoch: position.0, sequence: position.1, index: position.2 };
        let zone = TimeZone::get(zone).unwrap();
        let mut line = event.to_line().to_vec();
        for (at, byte, inserts) in changes {
            let at = at.index(line.len());
            if inserts { line.insert(at, byte) } else { line[at] = byte }
        }
        if let Ok(line) = str::from_utf8(&line)
            && let Some(posted) = PostedLine::scan(line.as_bytes())
        {
            prop_assert_eq!(Some(copied(&posted, position, &zone)), written(line, position, &zone).unwrap());
        }
    }
}

#[test]
fn only_messages_that_are_not_deleted_are_shown() {
    let by = r#""by":{"idx":42,"nickname":"a","role":"presenter"}"#;
    let line = |kind: &str, members: &str| {
        format!(
            r#"{{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a8057","type":"{kind}","at":"2024-03-01T15:04:05.678Z",{members}}}"#
        )
    };
    for (kind, members) in [
        ("message.deleted", format!(r#""presenterIdx":42,"target":"01890a5d-ac96-774b-bcce-b302099a8058",{by}"#)),
        ("room.cleared", format!(r#""presenterIdx":42,{by}"#)),
        ("room.updated", format!(r#""presenterIdx":42,"settings":{{}},{by}"#)),
        ("user.banned", format!(r#""presenterIdx":42,"user":7,{by}"#)),
        ("user.unbanned", format!(r#""user":7,{by}"#)),
        ("user.banned", format!(r#""user":7,{by}"#)),
    ] {
        let kept = kept(&line(kind, &members));
        assert_eq!(legacy().frame(&[kept], Visibility::default()), Framed { frame: None, events: 1 }, "{kind}");
    }
    let message =
        line("message.posted", r#""presenterIdx":42,"user":{"idx":7,"nickname":"n","role":"viewer"},"text":"a""#);
    assert_eq!(
        legacy().frame(&[crate::window::deleted(incoming(&message))], Visibility::default()),
        Framed { frame: None, events: 1 }
    );
}

#[test]
fn answers_are_pinned() {
    let refused = |error| legacy().token_refused(error);
    let answers = [
        refused(TokenError::Missing),
        refused(TokenError::Expired),
        refused(TokenError::KeysUnavailable),
        invalid_id("na\"me"),
        invalid_id("null"),
    ];
    insta::assert_snapshot!(answers.map(|answer| answer.as_str().to_owned()).join("\n"), @r#"
    {"id":"error","message":"룸 idx값이 정상적으로 오지 않습니다."}
    {"id":"tokenException","response":"reject","message":"Jwt Exception"}
    {"id":"error","message":"토큰을 지금 확인할 수 없습니다. 잠시 후에 다시 연결해주세요."}
    {"id":"error","message":"Invalid message with id na\"me"}
    {"id":"error","message":"Invalid message with id null"}
    "#);
}
