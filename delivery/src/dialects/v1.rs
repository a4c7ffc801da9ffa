//! The frames of `chat.v1`, at `/v1/presenter`, as in `docs/reference/presenter-protocol.md`. Clients depend on the
//! format: snapshots pin it. An event's line is copied into a frame without parsing, with its position added, so that a
//! frame of many events is cheap. Two kinds of line are parsed: those with the members `request` and `requestKey`,
//! which are ingest's own and are removed, and decisions of which something is withheld.

use std::borrow::Cow;
use std::time::Duration;

use chat::{EventId, EventKind, MalformedEvent, Position, PostedLine, PresenterIdx, User};
use serde::{Deserialize, Serialize};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use web::IDX_BOUNDS;
use web::auth::TokenError;

use crate::dialects::{ClientFrame, Complaint, Dialect, Framed, Welcome};
use crate::members::{is_of_type, members, only, without, without_request};
use crate::visibility::Visibility;
use crate::window::{Deleted, Kept, Shown, Withheld};

#[cfg(test)]
mod tests;

/// The name of the subprotocol.
pub(crate) const SUBPROTOCOL: &str = "chat.v1";

/// The bytes that a frame adds to an event: its position, and punctuation.
const POSITION_BYTES: usize = 56;

/// 1,000 events in a frame, as the protocol promises.
const MOST_EVENTS: usize = 1_000;

/// 256 KB: a socket buffers at most 1 MB, and an event that is larger than this has a frame of its own.
const LARGEST_FRAME_BYTES: usize = 256 * 1024;

/// The dialect `chat.v1`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct V1 {
    /// The silence after which the client receives a keepalive.
    pub(crate) keepalive: Duration,
}

impl Dialect for V1 {
    fn parse(&self, text: &str) -> ClientFrame {
        #[derive(Deserialize)]
        struct Head {
            r#type: String,
        }
        #[derive(Deserialize)]
        struct Start {
            token: Option<String>,
            position: Option<String>,
            room: Option<serde_json::Value>,
        }
        #[derive(Deserialize)]
        struct Token {
            token: String,
        }
        #[derive(Deserialize)]
        struct Ack {
            position: String,
        }
        // serde_json would accept an array of the members in their order.
        let is_object = text.trim_ascii_start().starts_with('{');
        let head = if is_object { serde_json::from_str::<Head>(text).ok() } else { None };
        let Some(head) = head else {
            return ClientFrame::Answered(error("bad_frame", "a frame must be a JSON object with a member type"));
        };
        match head.r#type.as_str() {
            "start" => match serde_json::from_str(text) {
                Ok(Start { token, position, room: None }) => ClientFrame::Start { token, position, room: None },
                Ok(Start { token, position, room: Some(room) }) => match web::idx(&room).map(PresenterIdx::try_from) {
                    Some(Ok(room)) => ClientFrame::Start { token, position, room: Some(room) },
                    _ => ClientFrame::Answered(error("bad_frame", &format!("room must be {IDX_BOUNDS}, or absent"))),
                },
                Err(_) => ClientFrame::Answered(error("bad_frame", "token and position must be strings, or absent")),
            },
            "ack" => match serde_json::from_str(text) {
                Ok(Ack { position }) => ClientFrame::Ack { position },
                Err(_) => ClientFrame::Answered(error("bad_frame", "an ack must have a position, a string")),
            },
            "token" => match serde_json::from_str(text) {
                Ok(Token { token }) => ClientFrame::Token { token },
                Err(_) => ClientFrame::Answered(error("bad_frame", "a token frame must have a token, a string")),
            },
            "keepalive" => ClientFrame::Keepalive,
            _ => ClientFrame::Answered(error(
                "unknown_type",
                "unknown type: this version has start, ack, token and keepalive",
            )),
        }
    }

    fn token_refused(&self, refused: TokenError) -> Utf8Bytes {
        let message = match refused {
            TokenError::Missing => "no token: send one in the handshake or in start",
            TokenError::Expired => "the token has expired: get a new one",
            TokenError::Ambiguous => "the handshake has more than one token",
            TokenError::Malformed | TokenError::Signature | TokenError::Claims => "the token is not valid",
            TokenError::Type => "the token is not an access token",
            TokenError::Lifetime => "the token's lifetime is too long",
            TokenError::UserIdx => "the token's user_idx must be an integer from 1 to 9007199254740991 (2^53 - 1)",
            TokenError::KeysUnavailable => "the token cannot be verified now: try again later",
        };
        error(refused.code(), message)
    }

    /// As many of the events as fit: nearly always all.
    fn frame(&self, events: &[Kept], visibility: Visibility) -> Framed {
        let (events, _) = events.split_at(fitting(events));
        Framed { frame: frame(events, |kept| object(kept, visibility)), events: events.len() }
    }

    fn waits_for_start(&self) -> bool {
        true
    }

    fn acknowledges(&self) -> bool {
        true
    }

    fn complaint(&self, about: Complaint) -> Option<Utf8Bytes> {
        Some(match about {
            Complaint::NotStarted => error("not_started", "the first frame must be start"),
            Complaint::AlreadyStarted => error("already_started", "this session has already started"),
            Complaint::BadPosition => error("bad_position", "this session has not reached that position"),
            Complaint::StartedTooOften { wait } => {
                let seconds = wait.as_secs_f64().ceil();
                let message = format!(
                    "this room started too many sessions: this one starts in {seconds} s, keep the socket open"
                );
                error("session_rate_limited", &message)
            }
        })
    }

    fn welcome(&self, welcome: &Welcome) -> Option<Utf8Bytes> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Frame {
            r#type: &'static str,
            session: String,
            position: Position,
            recovered: bool,
            keepalive_seconds: u64,
            expires_in_seconds: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            pinned: Option<EventId>,
        }
        Some(json(&Frame {
            r#type: "welcome",
            session: welcome.session.to_string(),
            position: welcome.position,
            recovered: welcome.recovered,
            keepalive_seconds: self.keepalive.as_secs(),
            expires_in_seconds: welcome.expires_in.as_secs(),
            pinned: welcome.pinned,
        }))
    }

    fn keeps_alive(&self) -> bool {
        true
    }

    fn keepalive(&self, position: Position) -> Option<Utf8Bytes> {
        #[derive(Serialize)]
        struct Frame {
            r#type: &'static str,
            position: Position,
        }
        Some(json(&Frame { r#type: "keepalive", position }))
    }

    fn token_grace(&self) -> Duration {
        Duration::ZERO
    }

    fn renewed(&self, renewed: Result<Duration, TokenError>) -> Option<Utf8Bytes> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Frame {
            r#type: &'static str,
            expires_in_seconds: u64,
        }
        Some(match renewed {
            Ok(expires_in) => json(&Frame { r#type: "renewed", expires_in_seconds: expires_in.as_secs() }),
            Err(refused) => error("token_not_renewed", &format!("the previous token stays in use: {refused}")),
        })
    }

    fn reconnect(&self, within: Duration) -> Option<Utf8Bytes> {
        Some(format!(r#"{{"type":"reconnect","withinMs":{}}}"#, within.as_millis()).into())
    }
}

/// How many of the events a frame takes, at least one. A page of the window fits, unless a large sweep is in it.
pub(crate) fn fitting(events: &[Kept]) -> usize {
    let mut bytes = 0;
    let fits = |kept: &&Kept| {
        bytes += kept.bytes() + POSITION_BYTES;
        bytes <= LARGEST_FRAME_BYTES
    };
    events.iter().take(MOST_EVENTS).take_while(fits).count().max(events.len().min(1))
}

/// A frame of the events, as `object` shows them. None: it shows none of them.
pub(crate) fn frame<'k>(
    events: &'k [Kept],
    object: impl Fn(&'k Kept) -> Result<Option<Cow<'k, str>>, MalformedEvent>,
) -> Option<Utf8Bytes> {
    let bytes: usize = events.iter().map(|kept| kept.bytes() + POSITION_BYTES).sum();
    let mut frame = String::with_capacity(bytes + 2 * POSITION_BYTES);
    let mut last = None;
    for kept in events {
        let position = kept.position;
        match object(kept) {
            Ok(None) => {}
            Ok(Some(object)) => {
                let text = position.to_string();
                let separator = if last.is_none() { "" } else { "," };
                for part in [separator, r#"{"position":""#, &text, r#"","#, &object[1..]] {
                    frame.push_str(part);
                }
                last = Some(text);
            }
            Err(error) => tracing::error!(%position, %error, "skipped a malformed event: {error}"),
        }
    }
    let last = last?;
    // Written last: it names the last event that is shown.
    frame.insert_str(0, &format!(r#"{{"type":"events","position":"{last}","events":["#));
    frame.push_str("]}");
    Some(frame.into())
}

/// The JSON object of an event, before its position is added. None for an event that only nodes need.
pub(crate) fn object(kept: &Kept, visibility: Visibility) -> Result<Option<Cow<'_, str>>, MalformedEvent> {
    Ok(match kept.shown()? {
        Shown::Message(line) => match PostedLine::scan_text(line) {
            Some(posted) if !posted.has_request() => Some(Cow::Borrowed(line)),
            _ => Some(without_request(line)),
        },
        Shown::Other(line, withheld) => Some(without_withheld(without_request(line), withheld)),
        Shown::Held(line, withheld) => visibility.holds.then(|| without_withheld(without_request(line), withheld)),
        Shown::Everywhere(line, withheld) => Some(Cow::Owned(of_every_room(line, visibility, withheld))),
        Shown::Deleted(message) => Some(Cow::Owned(deleted(&message))),
        Shown::ForModerators(..) | Shown::Nothing => None,
    })
}

/// As [`object`], for a reader who moderates the room: with the reports.
pub(crate) fn object_for_moderators(
    kept: &Kept,
    visibility: Visibility,
) -> Result<Option<Cow<'_, str>>, MalformedEvent> {
    match kept.shown()? {
        Shown::ForModerators(line, withheld) => Ok(Some(without_withheld(without_request(line), withheld))),
        _ => object(kept, visibility),
    }
}

fn without_withheld(line: Cow<'_, str>, withheld: Withheld) -> Cow<'_, str> {
    let names = [(withheld.by, "by"), (withheld.reason, "reason"), (withheld.message, "message")];
    names.into_iter().filter(|(is_withheld, _)| *is_withheld).fold(line, |line, (_, name)| match line {
        Cow::Borrowed(line) => without(line, name),
        Cow::Owned(line) => Cow::Owned(without(&line, name).into_owned()),
    })
}

/// A decision about every room: the members that hide messages, and those that the client may read elsewhere too.
fn of_every_room(line: &str, visibility: Visibility, withheld: Withheld) -> String {
    let members = members(line);
    let sees_who = if is_of_type(&members, "user.erased") { visibility.erases } else { visibility.moderates };
    let shown = |name: &&str| match *name {
        "mode" => sees_who,
        "by" => sees_who && !withheld.by,
        "reason" => sees_who && !withheld.reason,
        _ => true,
    };
    let names = ["v", "id", "type", "at", "user", "until", "mode", "by", "reason"];
    only(&members, names.into_iter().filter(shown))
}

/// A deleted message: as in the log, without its text.
fn deleted(message: &Deleted) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Object<'a> {
        v: u32,
        id: EventId,
        r#type: &'a EventKind,
        presenter_idx: PresenterIdx,
        at: String,
        user: &'a User,
        deleted: bool,
    }
    let object = Object {
        v: 1,
        id: message.id,
        r#type: &message.kind,
        presenter_idx: message.presenter,
        at: format!("{:.3}", message.at),
        user: &message.user,
        deleted: true,
    };
    serde_json::to_string(&object).expect("an event has string keys and no failing serializer")
}

fn error(code: &'static str, message: &str) -> Utf8Bytes {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        code: &'static str,
        message: &'a str,
    }
    json(&Frame { r#type: "error", code, message })
}

fn json(frame: &impl Serialize) -> Utf8Bytes {
    serde_json::to_string(frame).expect("a frame has string keys and no failing serializer").into()
}
