//! The frames of the original system's dialect, at `/chatting`, for its presenters' pages. Other programs depend on the
//! format: snapshots pin it.

use std::time::Duration;

use chat::{Body, Event, EventId, MalformedEvent, Position, PostedLine, Role, UserIdx};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use web::auth::TokenError;

use crate::dialects::{ClientFrame, Complaint, Dialect, Framed, Welcome};
use crate::visibility::Visibility;
use crate::window::{Kept, Shown};

#[cfg(test)]
mod tests;

/// The original's dialect.
#[derive(Debug, Clone)]
pub(crate) struct Legacy {
    /// The time zone of the member `time`.
    pub(crate) zone: TimeZone,
    /// How long a session may outlive its token.
    pub(crate) grace: Duration,
}

impl Dialect for Legacy {
    /// The original replies to a text that is not a JSON object as to one with the id `null`.
    fn parse(&self, text: &str) -> ClientFrame {
        #[derive(Deserialize)]
        struct Frame {
            #[serde(default)]
            id: Value,
            #[serde(default)]
            token: Value,
        }
        if text == "ping" {
            return ClientFrame::Answered(Utf8Bytes::from_static("pong"));
        }
        // serde_json would accept an array of the members in their order.
        let is_object = text.trim_ascii_start().starts_with('{');
        let frame = if is_object { serde_json::from_str::<Frame>(text).ok() } else { None };
        let Some(frame) = frame else { return ClientFrame::Answered(invalid_id("null")) };
        match (frame.id, frame.token) {
            (Value::String(id), Value::Null) if id == "start" => {
                ClientFrame::Start { token: None, position: None, room: None }
            }
            // A token that is not a string counts as an invalid token.
            (Value::String(id), token) if id == "start" => {
                ClientFrame::Start { token: Some(text_of(token)), position: None, room: None }
            }
            (id, _) => ClientFrame::Answered(invalid_id(&text_of(id))),
        }
    }

    fn token_refused(&self, error: TokenError) -> Utf8Bytes {
        Utf8Bytes::from_static(match error {
            TokenError::Missing => r#"{"id":"error","message":"룸 idx값이 정상적으로 오지 않습니다."}"#,
            // Not a tokenException: a page would not reconnect.
            TokenError::KeysUnavailable => {
                r#"{"id":"error","message":"토큰을 지금 확인할 수 없습니다. 잠시 후에 다시 연결해주세요."}"#
            }
            _ => r#"{"id":"tokenException","response":"reject","message":"Jwt Exception"}"#,
        })
    }

    /// One event. Only messages are shown.
    fn frame(&self, events: &[Kept], _visibility: Visibility) -> Framed {
        let frame = events.first().and_then(|kept| {
            message(kept, &self.zone).unwrap_or_else(|error| {
                let position = kept.position;
                tracing::error!(%position, %error, "skipped a malformed event: {error}");
                None
            })
        });
        Framed { frame, events: 1 }
    }

    fn waits_for_start(&self) -> bool {
        false
    }

    fn acknowledges(&self) -> bool {
        false
    }

    fn complaint(&self, _about: Complaint) -> Option<Utf8Bytes> {
        None
    }

    fn welcome(&self, _welcome: &Welcome) -> Option<Utf8Bytes> {
        None
    }

    fn keeps_alive(&self) -> bool {
        false
    }

    fn keepalive(&self, _position: Position) -> Option<Utf8Bytes> {
        None
    }

    fn token_grace(&self) -> Duration {
        self.grace
    }

    fn renewed(&self, _renewed: Result<Duration, TokenError>) -> Option<Utf8Bytes> {
        None
    }

    fn reconnect(&self, _within: Duration) -> Option<Utf8Bytes> {
        None
    }
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// The reply to any frame but `start`. The socket stays open.
fn invalid_id(id: &str) -> Utf8Bytes {
    #[derive(Serialize)]
    struct Frame<'a> {
        id: &'static str,
        message: &'a str,
    }
    json(&Frame { id: "error", message: &format!("Invalid message with id {id}") })
}

/// The frame of a message. None for any other event.
fn message(kept: &Kept, zone: &TimeZone) -> Result<Option<Utf8Bytes>, MalformedEvent> {
    let Shown::Message(line) = kept.shown()? else { return Ok(None) };
    match PostedLine::scan_text(line) {
        Some(posted) => Ok(Some(copied(&posted, kept.position, zone))),
        None => written(line, kept.position, zone),
    }
}

/// The frame of a message whose line is as ingest writes it: its parts are copied.
fn copied(posted: &PostedLine<'_>, position: Position, zone: &TimeZone) -> Utf8Bytes {
    let (time, position) = (hours_and_minutes(posted.at, zone), position.to_string());
    let parts = [
        r#"{"id":"sendChatting","nickname":"#,
        posted.nickname_json,
        r#","message":"#,
        posted.text_json,
        r#","time":""#,
        &time,
        r#"","messageId":""#,
        posted.id_text,
        r#"","position":""#,
        &position,
        r#"","userIdx":"#,
        posted.user_text,
        r#","role":""#,
        posted.role.as_str(),
        r#"","sentAt":""#,
        posted.at_text,
        r#""}"#,
    ];
    parts.concat().into()
}

/// The frame of a message whose line has any other form.
pub(super) fn written(line: &str, position: Position, zone: &TimeZone) -> Result<Option<Utf8Bytes>, MalformedEvent> {
    /// The first four members are the original's, in its order. Its clients ignore the others.
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
    let event = Event::from_line(line.as_bytes())?;
    let Body::MessagePosted(posted) = event.body else { return Ok(None) };
    Ok(Some(json(&Frame {
        id: "sendChatting",
        nickname: &posted.user.nickname,
        message: &posted.text,
        time: hours_and_minutes(event.at, zone),
        message_id: event.id,
        position,
        user: posted.user.idx,
        role: posted.user.role,
        sent_at: format!("{:.3}", event.at),
    })))
}

fn hours_and_minutes(at: Timestamp, zone: &TimeZone) -> String {
    let local = zone.to_datetime(at);
    let digits = |number: i8| [number / 10, number % 10].map(|digit| char::from(b'0' + digit.unsigned_abs()));
    let ([h1, h2], [m1, m2]) = (digits(local.hour()), digits(local.minute()));
    [h1, h2, ':', m1, m2].into_iter().collect()
}

fn json(frame: &impl Serialize) -> Utf8Bytes {
    serde_json::to_string(frame).expect("a frame has string keys and no failing serializer").into()
}
