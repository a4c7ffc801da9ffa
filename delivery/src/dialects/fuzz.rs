//! What holds for any frame of a client, and for what any line of the log is shown as. A check panics where it does
//! not.

use std::time::Duration;

use bytes::Bytes;
use chat::{Position, PostedLine};
use jiff::tz::TimeZone;
use nats::Entry;
use serde_json::{Map, Value, json};

use super::legacy::{self, Legacy};
use super::v1::V1;
use super::{ClientFrame, Dialect, Framed};
use crate::visibility::Visibility;
use crate::window::{Incoming, Kept, deleted};

const V1: V1 = V1 { keepalive: Duration::from_secs(20) };

const POSITION: Position = Position { epoch: 0x1879_f0c3_a1b2_c3d4, sequence: 31, index: 3 };

/// A text frame of a client, in both dialects: a frame that cannot be parsed is answered with a coded error, and one
/// that can says the same when it is written anew.
pub fn client_frame(text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else { return };
    let frame = V1.parse(text);
    let written = match &frame {
        ClientFrame::Answered(answer) => {
            let answer: Value = serde_json::from_str(answer).expect("an answer is JSON");
            assert_eq!(answer["type"], "error");
            assert!(["bad_frame", "unknown_type"].map(Value::from).contains(&answer["code"]), "{answer}");
            return original_frame(text);
        }
        ClientFrame::Start { token, position, room } => {
            json!({"type": "start", "token": token, "position": position, "room": room})
        }
        ClientFrame::Ack { position } => json!({"type": "ack", "position": position}),
        ClientFrame::Token { token } => json!({"type": "token", "token": token}),
        ClientFrame::Keepalive => json!({"type": "keepalive"}),
    };
    assert_eq!(V1.parse(&written.to_string()), frame);
    original_frame(text);
}

fn original_frame(text: &str) {
    let dialect = Legacy { zone: TimeZone::UTC, grace: Duration::ZERO };
    let frame = dialect.parse(text);
    let written = match &frame {
        ClientFrame::Answered(answer) if answer.as_str() == "pong" => return assert_eq!(text, "ping"),
        ClientFrame::Answered(answer) => {
            let answer: Value = serde_json::from_str(answer).expect("an answer is JSON");
            let told = answer["message"].as_str().unwrap_or_default();
            return assert!(answer["id"] == "error" && told.starts_with("Invalid message with id "), "{answer}");
        }
        ClientFrame::Start { token, position: None, room: None } => json!({"id": "start", "token": token}),
        other => panic!("the original has no such frame: {other:?}"),
    };
    assert_eq!(dialect.parse(&written.to_string()), frame);
}

/// A line of the log: a client gets its members and no others, unless they are the nodes' own or withheld.
pub fn shown_line(line: &[u8]) {
    let entry = || Entry::read(POSITION, Bytes::copy_from_slice(line)).ok();
    let Some(read) = entry() else { return };
    let is_everywhere = read.presenter.is_none();
    let kept = Incoming::new(0, read).kept;
    let everything = Visibility { moderates: true, erases: true, holds: true };
    for visibility in [everything, Visibility::default()] {
        let Some(shown) = shown(&kept, visibility) else { continue };
        for of_nodes in ["request", "requestKey"] {
            assert!(!shown.contains_key(of_nodes), "{of_nodes}");
        }
        if is_everywhere && visibility == Visibility::default() {
            for withheld in ["by", "reason", "mode"] {
                assert!(!shown.contains_key(withheld), "{withheld}");
            }
        }
        let whole: Map<String, Value> = serde_json::from_slice(line).expect("an event is an object");
        let is_of_line = |(name, value): (&String, &Value)| match whole.get(name) {
            Some(of_line) => of_line == value,
            // A sweep shows the members of its span as its own.
            None => whole["type"] == "room.swept" && whole["span"].get(name) == Some(value),
        };
        assert!(shown.iter().all(is_of_line), "{shown:?}");
    }
    original_message(&kept);
    if let Some(entry) = entry()
        && let Some(shown) = shown(&deleted(Incoming::new(0, entry)), everything)
        && shown["type"] == "message.posted"
    {
        assert!(!shown.contains_key("text") && shown["deleted"] == true);
    }
}

/// The event of a frame of `chat.v1`, without its position.
fn shown(kept: &Kept, visibility: Visibility) -> Option<Map<String, Value>> {
    let Framed { frame, events } = V1.frame(std::slice::from_ref(kept), visibility);
    assert_eq!(events, 1);
    let frame: Value = serde_json::from_str(&frame?).expect("a frame is JSON");
    assert_eq!((&frame["type"], &frame["position"]), (&json!("events"), &json!(POSITION)));
    let [event] = frame["events"].as_array().expect("a frame has a list").as_slice() else { panic!("{frame}") };
    let mut event = event.as_object().expect("an event is an object").clone();
    assert_eq!(event.remove("position"), Some(json!(POSITION)));
    Some(event)
}

/// The frame that is copied from a line is the one that is written from its event.
fn original_message(kept: &Kept) {
    let dialect = Legacy { zone: TimeZone::UTC, grace: Duration::ZERO };
    let Some(frame) = dialect.frame(std::slice::from_ref(kept), Visibility::default()).frame else { return };
    let frame: Value = serde_json::from_str(&frame).expect("a frame is JSON");
    assert_eq!((&frame["id"], &frame["position"]), (&json!("sendChatting"), &json!(POSITION)));
    let line = kept.line();
    if PostedLine::scan_text(line).is_some() {
        let written = legacy::written(line, POSITION, &TimeZone::UTC).expect("serde reads what the scanner does");
        let written = written.expect("it is a message");
        assert_eq!(serde_json::from_str::<Value>(&written).expect("a frame is JSON"), frame);
    }
}
