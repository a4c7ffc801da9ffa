//! What holds for any post, text and rule of a sweep. A check panics where it does not. The fuzz targets in `fuzz/`
//! call the checks, and the test below replays their corpus. Compiled for both alone.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use chat::{Attributes, LARGEST_IDX, MessagePosted, Role, SweepMatcher, SweepRule, folded, fragments};
use futures_util::{FutureExt as _, stream};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use unicode_segmentation::UnicodeSegmentation as _;
use web::auth::Identity;
use words::{Filter, List, is_forbidden, is_invisible};

use super::body;
use super::content_digest::ContentDigest;
use super::extract;
use super::fast_path::Surface;
use super::gateway::{Gateway, GatewayConfig};
use super::legacy::SendMessage;
use super::post::Message;
use super::refused::original;
use super::v1::NewMessage;
use crate::moderation::sweep_order::{LONGEST_SECONDS_BACK, LONGEST_SECONDS_FORWARD, SweepOrder};
use crate::posting::extras::Extras;
use crate::posting::text::{InvalidText, LONGEST_TEXT, LONGEST_TEXT_BYTES, Text};
use crate::refusal::Refusal;
use crate::sender::Sender;

/// Bodies that are refused unread are discarded within a deadline, which needs a timer.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime starts"));

static WORDS: LazyLock<Filter> = LazyLock::new(|| Filter::new(&List::built_in()));

static GATEWAYS: LazyLock<[Gateway; 2]> = LazyLock::new(|| ["trusted-addresses", "signature"].map(gateway));

fn gateway(mode: &str) -> Gateway {
    let config = serde_json::json!({
        "mode": mode,
        "trusted": ["10.0.0.0/8"],
        "trusted_scope": true,
        "secret": "a key for fuzzing that has at least 32 bytes",
        "v1_until": "9999-12-30",
    });
    let config: GatewayConfig = serde_json::from_value(config).expect("it is a configuration");
    Gateway::new(&config, "ingest.gateway").expect("the configuration is valid")
}

/// A request as HTTP/1.1 has it: a line with method and target, lines of headers, an empty line, and a body.
pub fn post(input: &[u8]) {
    let end = input.windows(2).position(|pair| pair == b"\n\n").unwrap_or(input.len());
    let (head, body) = (&input[..end], input.get(end + 2..).unwrap_or_default());
    let Some(parts) = parse(head) else { return };
    route(&parts);
    match extract::key(&parts) {
        Ok(key) => assert!(key.is_none_or(|key| (1..=255).contains(&key.as_str().len()) && key.as_str().is_ascii())),
        Err(refusal) => refused(refusal),
    }
    let sender = forwarded(&parts);
    message::<NewMessage>(&parts, body, &sender);
    message::<SendMessage>(&parts, body, &sender);
}

fn parse(head: &[u8]) -> Option<Parts> {
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut words = lines.next()?.splitn(2, |byte| *byte == b' ');
    let (method, target) = (words.next()?, words.next()?);
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    Some(request.body(()).ok()?.into_parts().0)
}

/// The fast path takes a path in one form alone, which the router reads as the same room.
fn route(parts: &Parts) {
    let path = parts.uri.path();
    match Surface::of(&parts.method, path) {
        None => {}
        Some(Surface::Original) => assert_eq!(path, "/send/message"),
        Some(Surface::V1(room)) => assert_eq!(path, format!("/v1/rooms/{room}/messages")),
    }
}

/// The sender that a gateway forwards, or anyone. Nobody but the gateway can sign.
fn forwarded(parts: &Parts) -> Sender {
    let [trusting, signed] = &*GATEWAYS;
    let (gateway, stranger) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([192, 0, 2, 1]));
    assert_eq!(trusting.identity(parts, stranger), Ok(None));
    assert_eq!(signed.identity(parts, gateway), Ok(None));
    let identity = match trusting.identity(parts, gateway) {
        Ok(Some(identity)) => {
            assert!((1..=LARGEST_IDX).contains(&identity.user_idx));
            identity
        }
        Ok(None) => anyone(),
        Err(error) => {
            refused(Refusal::Forwarded(error));
            anyone()
        }
    };
    Sender::new(&identity)
}

fn anyone() -> Identity {
    Identity {
        user_idx: 7,
        nickname: String::new(),
        email: String::new(),
        scopes: vec!["chat:attributes".to_owned()],
        attributes: None,
        emotes: None,
    }
}

/// A body is read as the same message in however many pieces it comes, and a message that is accepted is within its
/// bounds.
fn message<M: Message + std::fmt::Debug>(parts: &Parts, bytes: &[u8], sender: &Sender) {
    let read = read::<M>(parts, Body::from(bytes.to_vec()));
    for size in [1, 7, 4_096] {
        // Thousands of pieces take too long.
        if bytes.len() / size > 1_000 {
            continue;
        }
        let pieces: Vec<_> = bytes.chunks(size).map(|piece| Ok::<_, Infallible>(piece.to_vec())).collect();
        let in_pieces = self::read::<M>(parts, Body::from_stream(stream::iter(pieces)));
        assert_eq!(format!("{in_pieces:?}"), format!("{read:?}"), "in pieces of {size}");
    }
    let message = match read {
        Ok(message) => message,
        Err(refusal) => return refused(refusal),
    };
    assert!(str::from_utf8(bytes).is_ok());
    let digest = ContentDigest::of(&parts.headers).expect("another is refused");
    assert!(digest.is_none_or(|digest| digest.is_of(bytes)), "an altered body is refused");
    match message.room(None, sender) {
        Ok(room) => assert!((1..=LARGEST_IDX).contains(&room.get())),
        Err(refusal) => refused(refusal),
    }
    let mut extras = None;
    match message.extras(sender) {
        Ok(None) => {}
        Ok(Some(read)) => {
            // No text can look like it: a post with extras is never the same request as one without.
            let request = read.as_request("text");
            assert_eq!(Text::parse(&request), Err(InvalidText::Forbidden));
            extras = Some(read);
        }
        Err(refusal) => refused(refusal),
    }
    if let Value::String(text) = message.into_text() {
        self::text(text.as_bytes());
        if let Ok(text) = Text::from_string(text) {
            posted(extras, sender, &text);
        }
    }
}

/// The attributes of a message are in their canonical form, and each of its emotes is a part of its text.
fn posted(extras: Option<Box<Extras>>, sender: &Sender, text: &Text) {
    let mut posted = MessagePosted::new(sender.user(Role::Viewer), text.as_str());
    Extras::add_to(extras, sender, &mut posted);
    if let Some(attributes) = posted.attributes {
        let value = serde_json::from_str(attributes.as_json()).expect("attributes are JSON");
        assert_eq!(Attributes::parse(&value), Ok(attributes), "the canonical form is one of its own");
    }
    if let Some(emotes) = posted.emotes {
        let fragments = fragments(text.as_str(), &emotes);
        assert_eq!(fragments.iter().map(|(part, _)| *part).collect::<String>(), text.as_str());
        assert_eq!(fragments.iter().filter(|(_, emote)| emote.is_some()).count(), emotes.len());
    }
}

fn read<M: Message>(parts: &Parts, body: Body) -> Result<M, Refusal> {
    RUNTIME.block_on(body::json::<M>(parts, body, Duration::from_secs(1)))
}

/// A refusal is a coded one on both surfaces, and blames the request.
fn refused(refusal: Refusal) {
    let row = refusal.row();
    let is_code = row.code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    assert!(is_code && !row.code.is_empty() && !row.detail.is_empty());
    assert!((400..500).contains(&row.status) && row.status != 408, "{} {}", row.status, row.code);
    assert!(!row.detail.chars().any(is_forbidden), "{:?}", row.detail);
    let told = json(original(&TimeZone::UTC, "/send/message", &refusal));
    assert_eq!(told["message"], row.original_message);
    let told = json(refusal.into_response());
    assert_eq!((&told["code"], &told["status"]), (&row.code.into(), &row.status.into()));
}

fn json(response: Response) -> Value {
    let body = response.into_body().collect().now_or_never().expect("the answer is there").expect("it is whole");
    serde_json::from_slice(&body.to_bytes()).expect("a refusal is JSON")
}

/// A text of a message.
pub fn text(text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else { return };
    assert_eq!(folded(&folded(text)), folded(text), "folding again changes nothing");
    let parsed = Text::parse(text);
    assert_eq!(Text::from_string(text.to_owned()), parsed);
    let trimmed = text.trim();
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(InvalidText::Forbidden) => return assert!(trimmed.chars().any(is_forbidden)),
        Err(InvalidText::Empty) => return assert!(trimmed.chars().all(|c| c.is_whitespace() || is_invisible(c))),
        Err(InvalidText::TooLong) => {
            return assert!(trimmed.len() > LONGEST_TEXT_BYTES || trimmed.graphemes(true).count() > LONGEST_TEXT);
        }
    };
    let length = trimmed.graphemes(true).count();
    assert!(length <= LONGEST_TEXT && trimmed.len() <= LONGEST_TEXT_BYTES);
    assert!(!trimmed.chars().any(is_forbidden), "the quick search finds every forbidden character");
    assert_eq!(Text::parse(parsed.as_str()), Ok(parsed.clone()));
    assert!(parsed.is_longer_than(length - 1) && !parsed.is_longer_than(length));
    let masked = parsed.masked(&WORDS.find(parsed.as_str()));
    assert_eq!(Text::parse(masked.as_str()), Ok(masked), "a masked text is a text");
    // What nobody sees neither hides a link nor makes one.
    let visible: String = trimmed.chars().filter(|c| !is_invisible(*c)).collect();
    if let Ok(visible) = Text::parse(&visible) {
        assert_eq!(visible.has_link(), parsed.has_link());
    }
    assert!(!(parsed.is_emoji_only(None) && parsed.has_link()), "an address has letters or digits");
}

/// The members of a sweep: a JSON list of the rule, the seconds back, the seconds forward, and the action.
pub fn sweep_rule(json: &[u8]) {
    let Ok(Value::Array(members)) = serde_json::from_slice(json) else { return };
    let member = |index: usize| members.get(index).unwrap_or(&Value::Null);
    let order = match SweepOrder::parse(member(0), member(1)) {
        Ok(Some(order)) => order,
        Ok(None) => return refused(Refusal::SecondsBackInvalid),
        Err(invalid) => return refused(Refusal::Rule(invalid)),
    };
    assert!((1..=LONGEST_SECONDS_BACK).contains(&order.seconds_back()));
    let now = Timestamp::from_second(1_800_000_000).expect("it is a time");
    match order.clone().with_forward(member(2), member(3)) {
        Ok(order) => {
            if let Some(forward) = order.forward(now) {
                let seconds = forward.until.duration_since(now).as_secs();
                assert!((1..=i64::from(LONGEST_SECONDS_FORWARD)).contains(&seconds));
            }
        }
        Err(invalid) => refused(Refusal::Forward(invalid)),
    }
    let rule = order.rule(order.first_seen_seconds().map(|_| [].as_slice()));
    assert!(!rule.is_empty(), "a rule without a condition is refused");
    let written = serde_json::to_vec(&rule).expect("a rule is JSON");
    let again: SweepRule = serde_json::from_slice(&written).expect("what is written is read");
    assert_eq!(again, rule);
    let texts = rule.texts.clone().unwrap_or_default();
    assert!(texts.iter().all(|text| Text::parse(text).is_ok_and(|parsed| parsed.as_str() == text)));
    // The rule's own texts match it, whoever it is about.
    if rule.users.is_none() && rule.label.is_none() {
        let matcher = SweepMatcher::new(&rule);
        let author = Sender::new(&anyone()).user(Role::Viewer);
        assert!(texts.iter().all(|text| matcher.matches(&author, text, &[])));
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn the_corpus_of_the_fuzz_targets_holds() {
        replay("post", post);
        replay("message_text", text);
        replay("sweep_rule", sweep_rule);
    }
}
