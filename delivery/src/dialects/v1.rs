//! The frames of `chat.v1`, at `/v1/presenter`, as `docs/reference/presenter-protocol.md` describes them: a format that other
//! programs depend on, pinned by snapshots. An event's line is not read on its way into a frame, only given its
//! position; that is what makes a frame of many events cheap. The exceptions are lines with the members `request` and
//! `requestKey`, which are ingest's own business and are taken out, and decisions of which something is withheld. What a
//! frame leads to is not known here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use chat::{EventId, MalformedEvent, Position, PresenterIdx, User};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use web::auth::TokenError;

use crate::dialects::{Complaint, Dialect, Framed, Said, Welcome};
use crate::visibility::Sight;
use crate::window::{Deleted, Kept, Shown, Withheld};

#[cfg(test)]
mod tests;

/// The subprotocol's name.
pub(crate) const SUBPROTOCOL: &str = "chat.v1";

/// What a frame adds to an event: its position, and punctuation.
const POSITION_BYTES: usize = 56;

/// The second dialect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct V1 {
    /// After how much silence the client gets a keepalive.
    pub(crate) keepalive: Duration,
}

impl Dialect for V1 {
    fn hear(&self, text: &str) -> Said {
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
        // The library would take an array for the members in their order.
        let is_object = text.trim_ascii_start().starts_with('{');
        let head = if is_object { serde_json::from_str::<Head>(text).ok() } else { None };
        let Some(head) = head else {
            return Said::Answered(error("bad_frame", "a frame is a JSON object with a type"));
        };
        match head.r#type.as_str() {
            "start" => match serde_json::from_str(text) {
                Ok(Start { token, position }) => Said::Start { token, position },
                Err(_) => Said::Answered(error("bad_frame", "token and position are strings, if they are there")),
            },
            "ack" => match serde_json::from_str(text) {
                Ok(Ack { position }) => Said::Ack { position },
                Err(_) => Said::Answered(error("bad_frame", "an ack has a position, which is a string")),
            },
            "token" => match serde_json::from_str(text) {
                Ok(Token { token }) => Said::Token { token },
                Err(_) => Said::Answered(error("bad_frame", "a token frame has a token, which is a string")),
            },
            "keepalive" => Said::Keepalive,
            _ => Said::Answered(error("unknown_type", "this version has the types start, ack, token and keepalive")),
        }
    }

    fn token_refused(&self, refused: TokenError) -> Utf8Bytes {
        match refused {
            TokenError::Missing => error("token_missing", "neither the handshake nor start has a token"),
            TokenError::Expired => error("token_expired", "the token has expired, get a new one"),
            TokenError::Ambiguous => error("token_invalid", "the handshake has more than one token"),
            TokenError::Malformed | TokenError::Signature | TokenError::Claims => {
                error("token_invalid", "the token is not valid")
            }
            TokenError::Type => error("token_invalid", "the token is not an access token"),
            TokenError::Lifetime => error("token_invalid", "the token lives too long"),
            TokenError::UserIdx => {
                error("token_invalid", "the token's user_idx must be an integer from 1 to 9007199254740991 (2^53 - 1)")
            }
            TokenError::KeysUnavailable => {
                error("keys_unavailable", "the token cannot be verified now, try again later")
            }
        }
    }

    /// All of them: the window hands out what fits a frame.
    fn frame(&self, events: &[Kept], sight: Sight) -> Framed {
        let bytes: usize = events.iter().map(|kept| kept.bytes() + POSITION_BYTES).sum();
        let mut frame = String::with_capacity(bytes + 2 * POSITION_BYTES);
        let mut last = None;
        for kept in events {
            let position = kept.position;
            match object(kept, sight) {
                Ok(None) => {}
                Ok(Some(object)) => {
                    let separator = if last.is_none() { "" } else { "," };
                    write!(frame, r#"{separator}{{"position":"{position}",{}"#, &object[1..])
                        .expect("a string takes what is written");
                    last = Some(position);
                }
                Err(error) => tracing::error!(%position, %error, "skipped an event that cannot be shown: {error}"),
            }
        }
        let frame = last.map(|last| {
            // Only now is it known which is the last that is shown.
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
            Complaint::NotStarted => error("not_started", "the first frame is start"),
            Complaint::AlreadyStarted => error("already_started", "this session has started"),
            Complaint::BadPosition => error("bad_position", "no event of this session has that position"),
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

    fn keepalive(&self, position: Position) -> Option<Utf8Bytes> {
        #[derive(Serialize)]
        struct Frame {
            r#type: &'static str,
            position: Position,
        }
        Some(json(&Frame { r#type: "keepalive", position }))
    }

    fn outlives_token(&self) -> Duration {
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
            Err(refused) => error("token_not_renewed", &format!("the token before it stays: {refused}")),
        })
    }

    fn reconnect(&self, within: Duration) -> Option<Utf8Bytes> {
        Some(format!(r#"{{"type":"reconnect","withinMs":{}}}"#, within.as_millis()).into())
    }
}

/// The JSON that is given a position; nothing for what is the nodes' own business.
fn object(kept: &Kept, sight: Sight) -> Result<Option<Cow<'_, str>>, MalformedEvent> {
    Ok(match kept.shown()? {
        Shown::Message(line) => Some(without_request(line)),
        Shown::Other(line, withheld) => Some(without_withheld(without_request(line), withheld)),
        Shown::Everywhere(line, withheld) => Some(Cow::Owned(of_every_room(line, sight, withheld))),
        Shown::Deleted(message) => Some(Cow::Owned(deleted(&message))),
        Shown::Nothing => None,
    })
}

/// The line without the members that only what was posted under an idempotency key has.
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

/// A decision about every room: what hides messages, and beyond that what who listens may read elsewhere too.
fn of_every_room(line: &str, sight: Sight, withheld: Withheld) -> String {
    let members: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(line).unwrap_or_default();
    let is_erasure = members.get("type").is_some_and(|kind| kind.get() == r#""user.erased""#);
    let sees_who = if is_erasure { sight.erases } else { sight.moderates };
    let shown = |name: &&str| match *name {
        "mode" => sees_who,
        "by" => sees_who && !withheld.by,
        "reason" => sees_who && !withheld.reason,
        _ => true,
    };
    let names = ["v", "id", "type", "at", "user", "until", "mode", "by", "reason"];
    let shown = names.into_iter().filter(shown).filter_map(|name| Some((name, members.get(name)?.get())));
    let mut object = String::with_capacity(line.len());
    for (name, value) in shown {
        let separator = if object.is_empty() { '{' } else { ',' };
        write!(object, r#"{separator}"{name}":{value}"#).expect("a string takes what is written");
    }
    object.push('}');
    object
}

fn without<'a>(line: &'a str, name: &str) -> Cow<'a, str> {
    let quoted = format!(r#""{name}""#);
    // Within a text these quotes would have a backslash before them: few lines have this that have no such member.
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
    // One of the commas beside it goes with it; the first member has none before it.
    let rest = match before.strip_suffix(',') {
        Some(before) => [before, after].concat(),
        None => [before, after.trim_ascii_start().trim_start_matches(',')].concat(),
    };
    Cow::Owned(rest)
}

/// A deleted message as it stands in the log, but for its text.
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
