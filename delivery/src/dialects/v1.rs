//! The frames of `chat.v1`, at `/v1/presenter`, as in `docs/reference/presenter-protocol.md`. Clients depend on the
//! format: snapshots pin it. An event's line is copied into a frame without parsing, with its position added, so that a
//! frame of many events is cheap. Two kinds of line are parsed: those with the members `request` and `requestKey`,
//! which are ingest's own and are removed, and decisions of which something is withheld.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use chat::{EventId, MalformedEvent, Position, PostedLine, PresenterIdx, User};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use web::auth::TokenError;

use crate::dialects::{ClientFrame, Complaint, Dialect, Framed, Welcome};
use crate::visibility::Visibility;
use crate::window::{Deleted, Kept, Shown, Withheld};

#[cfg(test)]
mod tests;

/// The name of the subprotocol.
pub(crate) const SUBPROTOCOL: &str = "chat.v1";

/// The bytes that a frame adds to an event: its position, and punctuation.
const POSITION_BYTES: usize = 56;

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
                Ok(Start { token, position }) => ClientFrame::Start { token, position },
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

    /// All of the events: a page of the window fits one frame.
    fn frame(&self, events: &[Kept], visibility: Visibility) -> Framed {
        let bytes: usize = events.iter().map(|kept| kept.bytes() + POSITION_BYTES).sum();
        let mut frame = String::with_capacity(bytes + 2 * POSITION_BYTES);
        let mut last = None;
        for kept in events {
            let position = kept.position;
            match object(kept, visibility) {
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
        let frame = last.map(|last| {
            // Written last: it names the last event that is shown.
            frame.insert_str(0, &format!(r#"{{"type":"events","position":"{last}","events":["#));
            frame.push_str("]}");
            frame.into()
        });
        Framed { frame, events: events.len() }
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
        }
        Some(json(&Frame {
            r#type: "welcome",
            session: welcome.session.to_string(),
            position: welcome.position,
            recovered: welcome.recovered,
            keepalive_seconds: self.keepalive.as_secs(),
            expires_in_seconds: welcome.expires_in.as_secs(),
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

/// The JSON object of an event, before its position is added. None for an event that only nodes need.
pub(crate) fn object(kept: &Kept, visibility: Visibility) -> Result<Option<Cow<'_, str>>, MalformedEvent> {
    Ok(match kept.shown()? {
        Shown::Message(line) => match PostedLine::scan(line.as_bytes()) {
            Some(posted) if !posted.has_request() => Some(Cow::Borrowed(line)),
            _ => Some(without_request(line)),
        },
        Shown::Other(line, withheld) => Some(without_withheld(without_request(line), withheld)),
        Shown::Everywhere(line, withheld) => Some(Cow::Owned(of_every_room(line, visibility, withheld))),
        Shown::Deleted(message) => Some(Cow::Owned(deleted(&message))),
        Shown::Nothing => None,
    })
}

/// The line without the members that an idempotency key leaves in a message.
fn without_request(line: &str) -> Cow<'_, str> {
    match without(line, "request") {
        Cow::Borrowed(line) => without(line, "requestKey"),
        Cow::Owned(line) => Cow::Owned(without(&line, "requestKey").into_owned()),
    }
}

fn without_withheld(line: Cow<'_, str>, withheld: Withheld) -> Cow<'_, str> {
    let names = [(withheld.by, "by"), (withheld.reason, "reason")];
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

/// The members of a line, as they stand in it.
pub(crate) type Members<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

/// The members of a line. None of a line that is no JSON object.
pub(crate) fn members(line: &str) -> Members<'_> {
    serde_json::from_str(line).unwrap_or_default()
}

/// Whether an event has this type.
pub(crate) fn is_of_type(members: &Members<'_>, name: &str) -> bool {
    let kind = members.get("type").and_then(|kind| kind.get().strip_prefix('"')?.strip_suffix('"'));
    kind == Some(name)
}

/// The JSON object of these members alone, in this order.
pub(crate) fn only<'n>(members: &Members<'_>, names: impl IntoIterator<Item = &'n str>) -> String {
    let mut object = String::new();
    for (name, value) in names.into_iter().filter_map(|name| Some((name, members.get(name)?.get()))) {
        let separator = if object.is_empty() { '{' } else { ',' };
        write!(object, r#"{separator}"{name}":{value}"#).expect("a string takes what is written");
    }
    object.push('}');
    object
}

fn without<'a>(line: &'a str, name: &str) -> Cow<'a, str> {
    let quoted = format!(r#""{name}""#);
    // Within a string, a backslash would precede these quotes: few lines contain this without such a member.
    if !line.contains(&quoted) {
        return Cow::Borrowed(line);
    }
    let Ok(mut members) = serde_json::from_str::<HashMap<Cow<'_, str>, &RawValue>>(line) else {
        return Cow::Borrowed(line);
    };
    let Some(value) = members.remove(name) else { return Cow::Borrowed(line) };
    let value = value.get();
    let start = value.as_ptr().addr() - line.as_ptr().addr();
    let (before, after) = (&line[..start], &line[start + value.len()..]);
    let before = before.rfind(&quoted).map_or(before, |name| before[..name].trim_ascii_end());
    // One of the adjacent commas goes with it. The first member has none before it.
    let rest = match before.strip_suffix(',') {
        Some(before) => [before, after].concat(),
        None => [before, after.trim_ascii_start().trim_start_matches(',')].concat(),
    };
    Cow::Owned(rest)
}

/// A deleted message: as in the log, without its text.
fn deleted(message: &Deleted) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Object<'a> {
        v: u32,
        id: EventId,
        r#type: &'static str,
        presenter_idx: PresenterIdx,
        at: String,
        user: &'a User,
        deleted: bool,
    }
    let object = Object {
        v: 1,
        id: message.id,
        r#type: "message.posted",
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
