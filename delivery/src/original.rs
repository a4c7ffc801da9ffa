//! The frames of the original system's dialect, at `/chatting`: what its presenters' pages send and understand. It is
//! a format that other programs depend on, pinned by snapshots. What a frame leads to is not known here.

use std::fmt::Write;

use axum::extract::ws::Utf8Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use nats::{Body, Event, EventId, MalformedEvent, Position, Role, UserIdx};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::window::{Kept, Kind};

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// The bare text `ping`, which wants the bare text `pong`.
    Ping,
    /// `start`, with its token if it has one.
    Start { token: Option<String> },
    /// Anything else, with its `id` as text.
    Other { id: String },
}

impl Said {
    /// Every text says something: what is not a JSON object has no id, which the original writes as `null`.
    pub(crate) fn parse(text: &str) -> Said {
        #[derive(Deserialize)]
        struct Frame {
            #[serde(default)]
            id: Value,
            #[serde(default)]
            token: Value,
        }
        if text == "ping" {
            return Said::Ping;
        }
        // The library would take an array for the members in their order.
        let is_object = text.trim_ascii_start().starts_with('{');
        let frame = if is_object { serde_json::from_str::<Frame>(text).ok() } else { None };
        let Some(frame) = frame else { return Said::Other { id: "null".to_owned() } };
        match (frame.id, frame.token) {
            (Value::String(id), Value::Null) if id == "start" => Said::Start { token: None },
            // A token that is no string is one all the same, and as bad as a garbled one.
            (Value::String(id), token) if id == "start" => Said::Start { token: Some(text_of(token)) },
            (id, _) => Said::Other { id: text_of(id) },
        }
    }
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// The answer to [`Said::Ping`].
pub(crate) fn pong() -> Utf8Bytes {
    Utf8Bytes::from_static("pong")
}

/// The answer to a start frame without a token; then the socket is closed.
pub(crate) fn token_missing() -> Utf8Bytes {
    Utf8Bytes::from_static(r#"{"id":"error","message":"룸 idx값이 정상적으로 오지 않습니다."}"#)
}

/// The answer to a bad token; then the socket is closed.
pub(crate) fn token_refused() -> Utf8Bytes {
    Utf8Bytes::from_static(r#"{"id":"tokenException","response":"reject","message":"Jwt Exception"}"#)
}

/// The answer to [`Said::Other`]; the socket stays open.
pub(crate) fn invalid_id(id: &str) -> Utf8Bytes {
    #[derive(Serialize)]
    struct Frame<'a> {
        id: &'static str,
        message: &'a str,
    }
    json(&Frame { id: "error", message: &format!("Invalid message with id {id}") })
}

/// The frame of an event; nothing for one that this dialect does not show.
pub(crate) fn event_frame(kept: &Kept, zone: &TimeZone) -> Result<Option<Utf8Bytes>, MalformedEvent> {
    /// The first four members are the original's, in its order; its clients ignore the others.
    #[derive(Serialize)]
    struct Frame<'a> {
        id: &'static str,
        nickname: &'a str,
        message: &'a str,
        time: String,
        #[serde(rename = "messageId")]
        message_id: EventId,
        position: Position,
        #[serde(rename = "userIdx")]
        user: UserIdx,
        role: Role,
        #[serde(rename = "sentAt")]
        sent_at: String,
    }
    if kept.kind != Kind::Message {
        return Ok(None);
    }
    let event = Event::from_line(&kept.line)?;
    let Body::MessagePosted(posted) = event.body else { return Ok(None) };
    Ok(Some(json(&Frame {
        id: "sendChatting",
        nickname: &posted.user.nickname,
        message: &posted.text,
        time: hours_and_minutes(event.at, zone),
        message_id: event.id,
        position: kept.position,
        user: posted.user.idx,
        role: posted.user.role,
        sent_at: format!("{:.3}", event.at),
    })))
}

fn hours_and_minutes(at: Timestamp, zone: &TimeZone) -> String {
    let local = zone.to_datetime(at);
    let mut text = String::with_capacity(5);
    write!(text, "{:02}:{:02}", local.hour(), local.minute()).expect("a string takes what is written");
    text
}

fn json(frame: &impl Serialize) -> Utf8Bytes {
    serde_json::to_string(frame).expect("a frame has string keys and no failing serializer").into()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use nats::Entry;

    use super::*;
    use crate::window::Incoming;

    fn kept(line: &str) -> Kept {
        let event = Event::from_line(line.as_bytes()).unwrap();
        let entry = Entry {
            position: Position { epoch: 0x1879_f0c3_a1b2_c3d4, sequence: 31, index: 3 },
            id: event.id,
            kind: event.body.kind().to_owned(),
            presenter: event.presenter,
            at: event.at,
            line: Bytes::copy_from_slice(line.as_bytes()),
        };
        Incoming::from(entry).kept
    }

    fn seoul() -> TimeZone {
        TimeZone::get("Asia/Seoul").unwrap()
    }

    #[test]
    fn what_a_client_says_is_understood() {
        let start = |token: &str| Said::Start { token: Some(token.to_owned()) };
        let other = |id: &str| Said::Other { id: id.to_owned() };
        for (text, said) in [
            ("ping", Said::Ping),
            (r#"{"id":"start","token":"a.b.c"}"#, start("a.b.c")),
            (r#"{"token":"a.b.c","more":[1],"id":"start"}"#, start("a.b.c")),
            (r#"{"id":"start"}"#, Said::Start { token: None }),
            (r#"{"id":"start","token":null}"#, Said::Start { token: None }),
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
            assert_eq!(Said::parse(text), said, "{text}");
        }
        // Nesting has a bound, so that no text can exhaust the stack.
        assert_eq!(Said::parse(&r#"{"id":"#.repeat(5_000)), other("null"));
    }

    #[test]
    fn the_frame_of_a_message_is_pinned() {
        let line = r#"{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a8057","type":"message.posted","presenterIdx":42,"at":"2024-03-01T15:04:05.678Z","user":{"idx":7,"nickname":"고양이 \"나비\"","role":"viewer"},"text":"안녕 👋🏽\n<b>"}"#;
        let frame = event_frame(&kept(line), &seoul()).unwrap().unwrap();
        insta::assert_snapshot!(frame.as_str(), @r#"{"id":"sendChatting","nickname":"고양이 \"나비\"","message":"안녕 👋🏽\n<b>","time":"00:04","messageId":"01890a5d-ac96-774b-bcce-b302099a8057","position":"1879f0c3a1b2c3d4-1f-3","userIdx":7,"role":"viewer","sentAt":"2024-03-01T15:04:05.678Z"}"#);
    }

    #[test]
    fn only_messages_are_shown() {
        let line = r#"{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a8057","type":"room.cleared","presenterIdx":42,"at":"2024-03-01T15:04:05.678Z","by":{"idx":42,"nickname":"a","role":"presenter"}}"#;
        assert_eq!(event_frame(&kept(line), &seoul()), Ok(None));
    }

    #[test]
    fn answers_are_pinned() {
        let answers = [pong(), token_missing(), token_refused(), invalid_id("na\"me"), invalid_id("null")];
        insta::assert_snapshot!(answers.map(|answer| answer.as_str().to_owned()).join("\n"), @r#"
        pong
        {"id":"error","message":"룸 idx값이 정상적으로 오지 않습니다."}
        {"id":"tokenException","response":"reject","message":"Jwt Exception"}
        {"id":"error","message":"Invalid message with id na\"me"}
        {"id":"error","message":"Invalid message with id null"}
        "#);
    }
}
