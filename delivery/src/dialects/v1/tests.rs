//! The frames of `chat.v1`, pinned. A change here changes the contract with every client.

use bytes::Bytes;
use nats::Entry;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::window::{Incoming, Kept};

const V1: V1 = super::V1 { keepalive: Duration::from_secs(20) };

/// A token that may read the audit of all rooms, and the receipts of erasures.
const EVERYTHING: Visibility = Visibility { moderates: true, erases: true, holds: true };

const MESSAGE: &str = r#"{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a8057","type":"message.posted","presenterIdx":42,"at":"2024-03-01T15:04:05.678Z","user":{"idx":7,"nickname":"고양이 \"나비\"","role":"viewer"},"text":"안녕 👋🏽\n<b>","flags":["profanity"]}"#;
const CLEARED: &str = r#"{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a8058","type":"room.cleared","presenterIdx":42,"at":"2024-03-01T15:04:06.000Z","by":{"idx":42,"nickname":"a","role":"presenter"}}"#;
const CONNECTED: &str = r#"{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a8059","type":"presenter.connected","presenterIdx":42,"at":"2024-03-01T15:04:06.000Z","session":"01890a5d-ac96-774b-bcce-b302099a8050"}"#;
const UPDATED: &str = r#"{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a805b","type":"room.updated","presenterIdx":42,"at":"2024-03-01T15:04:07.000Z","settings":{"slowModeSeconds":5},"until":{"slowModeSeconds":"2024-03-01T15:09:07.000Z"},"by":{"idx":42,"nickname":"a","role":"presenter"},"reason":"raid"}"#;
const BANNED_EVERYWHERE: &str = r#"{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a805c","type":"user.banned","at":"2024-03-01T15:04:08.000Z","user":7,"by":{"idx":3,"nickname":"mod","role":"moderator"},"reason":"spam"}"#;
const ERASED: &str = r#"{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a805e","type":"user.erased","at":"2024-03-01T15:04:09.000Z","user":7,"mode":"remove","by":{"idx":9,"nickname":"privacy","role":"moderator"}}"#;
const UNTIL: &str = r#"{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a805f","type":"user.banned","at":"2024-03-01T15:04:08.000Z","request":"00d4a7e1b05f3c29","later":{"by":"mod"},"user":7,"until":"2024-03-01T16:04:08.000Z","by":{"idx":3,"nickname":"mod","role":"moderator"},"reason":"spam"}"#;
const KEYED: &str = r#"{"v":1,"id":"01890a5d-ac96-574b-bcce-b302099a805d","type":"message.posted","presenterIdx":42,"at":"2024-03-01T15:04:09.000Z","request":"00d4a7e1b05f3c29","user":{"idx":7,"nickname":"n","role":"viewer"},"text":"\"request\":\"no\",\"request\""}"#;
const LATER: &str = r#"{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a805a","type":"poll.opened","presenterIdx":42,"at":"2024-03-01T15:04:06.000Z","choices":["a","b"]}"#;

/// The event, the `index`-th of its batch.
fn incoming(index: u32, line: &'static str) -> Incoming {
    let position = Position { epoch: 0x1879_f0c3_a1b2_c3d4, sequence: 31, index };
    Incoming::new(0, Entry::read(position, Bytes::from_static(line.as_bytes())).unwrap())
}

fn kept(index: u32, line: &'static str) -> Kept {
    incoming(index, line).kept
}

#[test]
fn every_frame_of_a_client_is_parsed() {
    let start = |token: Option<&str>, position: Option<&str>| ClientFrame::Start {
        token: token.map(str::to_owned),
        position: position.map(str::to_owned),
        room: None,
    };
    let read = |room: i64| ClientFrame::Start { token: None, position: None, room: room.try_into().ok() };
    for (text, said) in [
        (r#"{"type":"start"}"#, start(None, None)),
        (r#"{"type":"start","token":"a.b.c"}"#, start(Some("a.b.c"), None)),
        (r#" {"position":"1-2-3","more":[1],"token":"a.b.c","type":"start"}"#, start(Some("a.b.c"), Some("1-2-3"))),
        (r#"{"type":"start","token":null,"position":null}"#, start(None, None)),
        (r#"{"type":"start","position":"anything"}"#, start(None, Some("anything"))),
        (r#"{"type":"start","room":42}"#, read(42)),
        (r#"{"type":"start","room":null}"#, start(None, None)),
        (r#"{"type":"ack","position":"1-2-3","more":1}"#, ClientFrame::Ack { position: "1-2-3".to_owned() }),
        (r#"{"type":"token","token":"eyJ"}"#, ClientFrame::Token { token: "eyJ".to_owned() }),
        (r#"{"type":"keepalive"}"#, ClientFrame::Keepalive),
    ] {
        assert_eq!(V1.parse(text), said, "{text}");
    }
}

#[test]
fn a_frame_that_cannot_be_parsed_is_answered() {
    for (text, code) in [
        ("", "bad_frame"),
        ("ping", "bad_frame"),
        ("{", "bad_frame"),
        ("null", "bad_frame"),
        (r#""start""#, "bad_frame"),
        (r#"["start"]"#, "bad_frame"),
        (r#"{"id":"start"}"#, "bad_frame"),
        (r#"{"type":7}"#, "bad_frame"),
        (r#"{"type":"start"}{"#, "bad_frame"),
        (r#"{"type":"start","token":7}"#, "bad_frame"),
        (r#"{"type":"start","position":{}}"#, "bad_frame"),
        (r#"{"type":"start","room":"42"}"#, "bad_frame"),
        (r#"{"type":"start","room":0}"#, "bad_frame"),
        (r#"{"type":"start","room":9007199254740992}"#, "bad_frame"),
        (r#"{"type":"ack"}"#, "bad_frame"),
        (r#"{"type":"ack","position":null}"#, "bad_frame"),
        (r#"{"type":"stop"}"#, "unknown_type"),
        (r#"{"type":""}"#, "unknown_type"),
        (r#"{"type":"START"}"#, "unknown_type"),
    ] {
        let ClientFrame::Answered(answer) = V1.parse(text) else { panic!("{text} was understood") };
        assert!(answer.contains(&format!(r#""code":"{code}""#)), "{text}: {answer}");
    }
    // Nesting is bounded, so that no text exhausts the stack.
    assert!(matches!(V1.parse(&r#"{"type":"#.repeat(5_000)), ClientFrame::Answered(_)));
}

#[test]
fn events_are_as_in_the_log_with_their_positions() {
    let lines = [MESSAGE, CONNECTED, CLEARED, LATER, UPDATED, BANNED_EVERYWHERE, KEYED];
    let events: Vec<Kept> = (0..).zip(lines).map(|(index, line)| kept(index, line)).collect();
    let frame = V1.frame(&events, EVERYTHING);
    assert_eq!(frame.events, 7);
    insta::assert_snapshot!(frame.frame.unwrap().as_str());
}

proptest! {
    #[test]
    fn a_frame_is_json_that_has_every_event_whatever_is_said(
        said in prop::collection::vec((any::<String>(), any::<String>(), any::<bool>()), 1..4),
        in_order: bool,
    ) {
        let events: Vec<Value> = said
            .iter()
            .map(|(nickname, text, is_keyed)| {
                let mut event: Value = serde_json::from_str(if *is_keyed { KEYED } else { MESSAGE }).unwrap();
                event["user"]["nickname"] = nickname.as_str().into();
                event["text"] = text.as_str().into();
                event
            })
            .collect();
        // In the order in which ingest writes the members, or in another one.
        let kept = (0..).zip(&events).map(|(index, event)| {
            let position = Position { epoch: 1, sequence: 2, index };
            let line = Bytes::from(event.to_string());
            let line = if in_order { chat::Event::from_line(&line).unwrap().to_line() } else { line };
            Incoming::new(0, Entry::read(position, line).unwrap()).kept
        });
        let kept: Vec<Kept> = kept.collect();
        let frame = V1.frame(&kept, Visibility::default()).frame.unwrap();
        let frame: Value = serde_json::from_str(frame.as_str()).unwrap();
        let shown = frame["events"].as_array().unwrap();
        prop_assert_eq!(shown.len(), events.len());
        for kept in &kept {
            let line = kept.shown().map(|shown| match shown {
                Shown::Message(line) => without_request(line).into_owned(),
                shown => panic!("{shown:?}"),
            });
            let object = object(kept, Visibility::default()).unwrap().map(Cow::into_owned);
            prop_assert_eq!(object, line.ok());
        }
        for (index, (shown, event)) in shown.iter().zip(events).enumerate() {
            let mut expected = event;
            expected["position"] = format!("1-2-{index}").into();
            expected.as_object_mut().unwrap().remove("request");
            prop_assert_eq!(shown, &expected);
        }
    }
}

#[test]
fn a_frame_names_the_last_event_that_it_shows() {
    let Framed { frame, events } = V1.frame(&[kept(0, MESSAGE), kept(1, CONNECTED)], Visibility::default());
    assert!(frame.unwrap().starts_with(r#"{"type":"events","position":"1879f0c3a1b2c3d4-1f-0","#));
    assert_eq!(events, 2);
    assert_eq!(V1.frame(&[kept(1, CONNECTED)], Visibility::default()), Framed { frame: None, events: 1 });
}

#[test]
fn members_that_only_ingest_needs_are_removed() {
    for (line, shown) in [
        (r#"{"v":1,"request":"00d4a7e1b05f3c29","text":"a"}"#, r#"{"v":1,"text":"a"}"#),
        (r#"{"request":"00d4a7e1b05f3c29","v":1}"#, r#"{"v":1}"#),
        (r#"{"v":1,"request":"00d4a7e1b05f3c29"}"#, r#"{"v":1}"#),
        (r#"{"request":"00d4a7e1b05f3c29"}"#, "{}"),
        (r#"{"v":1,"requestKey":"a","request":"b","text":"c"}"#, r#"{"v":1,"text":"c"}"#),
        (r#"{"requestKey":"a","v":1}"#, r#"{"v":1}"#),
        (r#"{ "v": 1 , "request" : "00d4a7e1b05f3c29" , "text": "a" }"#, r#"{ "v": 1  , "text": "a" }"#),
        (r#"{"request" : "00d4a7e1b05f3c29" , "v": 1}"#, r#"{ "v": 1}"#),
        // Nested members stay.
        (
            r#"{"v":1,"settings":{"request":"a"},"text":"request"}"#,
            r#"{"v":1,"settings":{"request":"a"},"text":"request"}"#,
        ),
        (
            r#"{"v":1,"settings":{"request":"a"},"request":"b","x":{"request":1}}"#,
            r#"{"v":1,"settings":{"request":"a"},"x":{"request":1}}"#,
        ),
        (r#"{"v":1,"text":"\",\"request\":\"a\""}"#, r#"{"v":1,"text":"\",\"request\":\"a\""}"#),
    ] {
        assert_eq!(without_request(line), shown, "{line}");
    }
    let copied = matches!(without_request(MESSAGE), Cow::Owned(_));
    assert!(!copied, "a line without it is copied");
    let deleted = V1.frame(&[crate::window::deleted(incoming(0, KEYED))], Visibility::default()).frame.unwrap();
    assert!(!deleted.contains("request"), "{deleted}");
}

#[test]
fn of_a_decision_about_every_room_only_what_hides_messages_is_for_everybody() {
    let events = [kept(0, BANNED_EVERYWHERE), kept(1, UNTIL), kept(2, ERASED), kept(3, UPDATED)];
    let frame = |moderates, erases| {
        V1.frame(&events, Visibility { moderates, erases, holds: false }).frame.unwrap().as_str().to_owned()
    };
    insta::assert_snapshot!([frame(false, false), frame(true, false), frame(false, true)].join("\n"));
}

#[test]
fn a_deleted_message_has_no_text() {
    let frame = V1.frame(&[crate::window::deleted(incoming(0, MESSAGE))], Visibility::default());
    insta::assert_snapshot!(frame.frame.unwrap().as_str());
}

#[test]
fn every_other_frame_is_pinned() {
    let session = serde_json::from_str(r#""01890a5d-ac96-774b-bcce-b302099a8050""#).unwrap();
    let position = Position { epoch: 0x1879_f0c3_a1b2_c3d4, sequence: 31, index: 3 };
    let pinned = "019ab5a0-8000-7000-8000-000000000001".parse().unwrap();
    let refused = |error| V1.token_refused(error);
    let expires_in = Duration::from_millis(3_599_900);
    let frames = [
        V1.welcome(&Welcome { session, position, recovered: true, expires_in, pinned: None }).unwrap(),
        V1.welcome(&Welcome { session, position, recovered: false, expires_in, pinned: Some(pinned) }).unwrap(),
        V1.renewed(Ok(expires_in)).unwrap(),
        V1.renewed(Err(TokenError::Expired)).unwrap(),
        V1.keepalive(position).unwrap(),
        V1.reconnect(Duration::from_millis(2_000)).unwrap(),
        V1.complaint(Complaint::NotStarted).unwrap(),
        V1.complaint(Complaint::AlreadyStarted).unwrap(),
        V1.complaint(Complaint::BadPosition).unwrap(),
        V1.complaint(Complaint::StartedTooOften { wait: Duration::from_millis(41_200) }).unwrap(),
        refused(TokenError::Missing),
        refused(TokenError::Expired),
        refused(TokenError::Signature),
        refused(TokenError::UserIdx),
        refused(TokenError::Ambiguous),
        refused(TokenError::KeysUnavailable),
    ];
    insta::assert_snapshot!(frames.map(|frame| frame.as_str().to_owned()).join("\n"));
}
