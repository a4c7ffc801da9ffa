//! A `message.posted` in the form in which [`Event::to_line`](crate::Event::to_line) writes it, read in one pass and
//! without a copy. Nearly every line of a log is one. [`PostedLine::scan`] accepts that form alone, byte for byte: it
//! returns nothing for any other JSON, nor for a message with attributes, and serde reads the line instead. Both give the
//! same members.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::body::{MessagePosted, Role, User};
use crate::ids::{EventId, KeyId, PresenterIdx, RequestDigest, UserIdx};

/// The members of a `message.posted`, borrowed from its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostedLine<'a> {
    /// The event's id.
    pub id: EventId,
    /// The id as the line has it.
    pub id_text: &'a str,
    /// The room.
    pub presenter: PresenterIdx,
    /// When the message was posted, to the millisecond.
    pub at: Timestamp,
    /// The time as the line has it: RFC 3339 in UTC, with three decimals.
    pub at_text: &'a str,
    /// The author.
    pub user: UserIdx,
    /// The author's id as the line has it.
    pub user_text: &'a str,
    /// The author's role.
    pub role: Role,
    /// The nickname as a JSON string, with quotes and escapes.
    pub nickname_json: &'a str,
    /// The text as a JSON string, with quotes and escapes.
    pub text_json: &'a str,
    /// Whether the event is from a recording, so that `at` is long past.
    pub belated: bool,
    pub(crate) key: Option<KeyId>,
    pub(crate) request: Option<RequestDigest>,
    /// The flags as a JSON array.
    flags_json: Option<&'a str>,
    reply_to: Option<EventId>,
}

impl<'a> PostedLine<'a> {
    /// Reads a line. `None`: the line is not a `message.posted` in exactly this form.
    pub fn scan(line: &'a [u8]) -> Option<PostedLine<'a>> {
        PostedLine::scan_text(simdutf8::basic::from_utf8(line).ok()?)
    }

    /// As [`PostedLine::scan`], for a line that is known to be UTF-8.
    pub fn scan_text(line: &'a str) -> Option<PostedLine<'a>> {
        let mut rest = Rest(line);
        rest.literal(r#"{"v":1,"id":""#)?;
        let (id_text, id) = rest.uuid()?;
        rest.literal(r#"","type":"message.posted","presenterIdx":"#)?;
        let (_, presenter) = rest.idx()?;
        rest.literal(r#","at":""#)?;
        let at_text = rest.take(TIME_BYTES)?;
        let at = time(at_text.as_bytes())?;
        rest.literal("\"")?;
        let belated = rest.literal(r#","belated":true"#).is_some();
        let key = rest.member(r#","requestKey":""#, |rest| rest.uuid())?.map(|(_, key)| key);
        let request = rest.member(r#","request":""#, |rest| rest.take(DIGEST_BYTES))?;
        let request = request.map(|digest| RequestDigest::try_from(digest.to_owned())).transpose().ok()?;
        rest.literal(r#","user":{"idx":"#)?;
        let (user_text, user) = rest.idx()?;
        rest.literal(r#","nickname":"#)?;
        let nickname_json = rest.string()?;
        rest.literal(r#","role":""#)?;
        let role = [Role::Viewer, Role::Moderator, Role::Presenter]
            .into_iter()
            .find(|role| rest.literal(role.as_str()).is_some())?;
        rest.literal(r#""},"text":"#)?;
        let text_json = rest.string()?;
        let flags_json = match rest.literal(r#","flags":"#) {
            Some(()) => Some(rest.strings()?),
            None => None,
        };
        let reply_to = rest.member(r#","replyTo":""#, |rest| rest.uuid())?.map(|(_, id)| EventId(id));
        (rest.0 == "}").then_some(PostedLine {
            id: EventId(id),
            id_text,
            presenter: PresenterIdx::stored(presenter).ok()?,
            at,
            at_text,
            user: UserIdx::stored(user).ok()?,
            user_text,
            role,
            nickname_json,
            text_json,
            belated,
            key: key.map(KeyId),
            request,
            flags_json,
            reply_to,
        })
    }

    /// Whether the line has a member that is about the request alone: `request` or `requestKey`.
    pub fn has_request(&self) -> bool {
        self.request.is_some() || self.key.is_some()
    }

    /// The message, copied out of the line.
    pub(crate) fn message(&self) -> serde_json::Result<MessagePosted> {
        let flags = self.flags_json.map(serde_json::from_str).transpose()?.unwrap_or_default();
        let user = User { idx: self.user, nickname: unescaped(self.nickname_json)?, role: self.role };
        let text = unescaped(self.text_json)?;
        Ok(MessagePosted { user, text, flags, reply_to: self.reply_to, attributes: None })
    }
}

/// `2026-11-22T12:34:56.789Z`
const TIME_BYTES: usize = 24;

/// The digits of a request's digest.
const DIGEST_BYTES: usize = 16;

/// The digits of a number that fits 64 bits in any case.
const SAFE_DIGITS: usize = 18;

/// What is left of the line.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn literal(&mut self, literal: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(literal)?;
        Some(())
    }

    fn take(&mut self, bytes: usize) -> Option<&'a str> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    /// A UUID, hyphenated and in lower case.
    fn uuid(&mut self) -> Option<(&'a str, Uuid)> {
        let text = self.take(uuid::fmt::Hyphenated::LENGTH)?;
        let has_upper_case = text.bytes().fold(false, |found, byte| found | byte.is_ascii_uppercase());
        if has_upper_case { None } else { Some((text, Uuid::try_parse(text).ok()?)) }
    }

    /// An optional member, a string: what `read` makes of it. `None`: the member is there, and wrong.
    #[allow(clippy::option_option, reason = "an absent member is not a wrong one")]
    fn member<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.literal(name).is_none() {
            return Some(None);
        }
        let value = read(self)?;
        self.literal("\"")?;
        Some(Some(value))
    }

    /// A positive number.
    fn idx(&mut self) -> Option<(&'a str, i64)> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        if digits > SAFE_DIGITS || self.0.starts_with('0') {
            return None;
        }
        let text = self.take(digits)?;
        Some((text, number(text.as_bytes())?)).filter(|(_, number)| *number > 0)
    }

    /// A JSON string, with its quotes. `None` if serde_json would write it differently.
    fn string(&mut self) -> Option<&'a str> {
        self.literal_at(0, b'"')?;
        let bytes = self.0.as_bytes();
        let mut at = 1;
        loop {
            at += plain(&bytes[at..]);
            match bytes.get(at)? {
                b'"' => return self.take(at + 1),
                b'\\' => at += escape(&bytes[at..])?,
                _ => return None,
            }
        }
    }

    /// A JSON array of strings, at least one.
    fn strings(&mut self) -> Option<&'a str> {
        let all = self.0;
        self.literal("[")?;
        self.string()?;
        while self.literal(",").is_some() {
            self.string()?;
        }
        self.literal("]")?;
        all.get(..all.len() - self.0.len())
    }

    fn literal_at(&self, at: usize, byte: u8) -> Option<()> {
        (*self.0.as_bytes().get(at)? == byte).then_some(())
    }
}

/// How many bytes precede the next quote, backslash or control character.
pub(crate) fn plain(bytes: &[u8]) -> usize {
    /// As many as the compiler compares at once.
    const BLOCK: usize = 16;
    let is_special = |byte: &u8| (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
    let is_plain = |block: &&[u8; BLOCK]| !block.iter().fold(false, |found, byte| found | is_special(byte));
    let blocks = bytes.as_chunks::<BLOCK>().0.iter().take_while(is_plain).count() * BLOCK;
    blocks + bytes[blocks..].iter().take_while(|byte| !is_special(byte)).count()
}

/// The length of an escape as serde_json writes it: a short one where there is one, otherwise four lower-case digits,
/// for control characters alone.
fn escape(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => {
            let [b'0', b'0', high @ b'0'..=b'1', low] = bytes.get(2..6)? else { return None };
            let has_short_one = *high == b'0' && matches!(low, b'8' | b'9' | b'a' | b'c' | b'd');
            (matches!(low, b'0'..=b'9' | b'a'..=b'f') && !has_short_one).then_some(6)
        }
        _ => None,
    }
}

/// The number of these digits, at most 18 of them.
fn number(digits: &[u8]) -> Option<i64> {
    let mut number = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + i64::from(digit - b'0');
    }
    Some(number)
}

/// The time of `2026-11-22T12:34:56.789Z`.
fn time(text: &[u8]) -> Option<Timestamp> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, b'.', f1, f2, f3, b'Z'] =
        text
    else {
        return None;
    };
    let (year, millis) = (i16::try_from(number(&[y1, y2, y3, y4])?).ok()?, i32::try_from(number(&[f1, f2, f3])?).ok()?);
    let two = |digits: [u8; 2]| i8::try_from(number(&digits)?).ok();
    let (month, day) = (two([m1, m2])?, two([d1, d2])?);
    let (hour, minute, second) = (two([h1, h2])?, two([n1, n2])?, two([s1, s2])?);
    let time = DateTime::new(year, month, day, hour, minute, second, millis * 1_000_000).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

fn unescaped(json: &str) -> serde_json::Result<String> {
    let inside = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    match inside {
        Some(inside) if !inside.contains('\\') => Ok(inside.to_owned()),
        _ => serde_json::from_str(json),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Attributes, Body, Event, EventKind, Head};

    /// Reads a line by serde alone.
    fn slow(line: &[u8]) -> Option<Event> {
        let Head { id, kind, presenter, at, belated, key, request, .. } = Head::parsed(line).ok()?;
        let request = request.map(|digest| crate::Request { key: key.unwrap_or(KeyId::of_event(id)), digest });
        let body = Body::parsed(&kind, line).ok()?;
        Some(Event { id, presenter, at, belated, request, body })
    }

    fn event() -> impl Strategy<Value = Event> {
        let role = prop::sample::select(vec![Role::Viewer, Role::Moderator, Role::Presenter]);
        let user = (1..=i64::MAX, any::<String>(), role).prop_map(|(idx, nickname, role)| User {
            idx: UserIdx::stored(idx).unwrap(),
            nickname,
            role,
        });
        let flags = prop::collection::vec(any::<String>(), 0..3);
        let reply_to = prop::option::of(any::<u128>());
        let attributes =
            prop::option::weighted(0.2, prop::collection::btree_map("[a-z]{1,4}", "[a-z\"\\\\]{0,4}", 0..3));
        let message = (user, any::<String>(), flags, reply_to, attributes).prop_map(
            |(user, text, flags, reply_to, attributes)| {
                let reply_to = reply_to.map(|id| EventId(Uuid::from_u128(id)));
                let attributes = attributes.map(|members| Attributes::parse(&serde_json::json!(members)).unwrap());
                MessagePosted { flags, reply_to, attributes, ..MessagePosted::new(user, text) }
            },
        );
        // From the year 0 to the end of 9999.
        let at = -62_167_219_200_000..253_402_207_199_999_i64;
        let request = prop::option::of((any::<u128>(), any::<String>()));
        (1..=i64::MAX, at, any::<bool>(), any::<u128>(), request, message).prop_map(
            |(presenter, at, belated, id, request, message)| Event {
                id: EventId(Uuid::from_u128(id)),
                presenter: Some(PresenterIdx::stored(presenter).unwrap()),
                at: Timestamp::from_millisecond(at).unwrap(),
                belated,
                request: request.map(|(key, text)| crate::Request {
                    key: KeyId(Uuid::from_u128(key)),
                    digest: RequestDigest::of("key", &text),
                }),
                body: Body::MessagePosted(message),
            },
        )
    }

    /// Whatever the scan accepts, serde reads as the same event.
    fn agrees(line: &[u8]) -> Result<(), TestCaseError> {
        if let Some(posted) = PostedLine::scan(line) {
            let event = slow(line);
            prop_assert_eq!(Event::from_line(line).ok(), event.clone());
            let event = event.expect("serde reads what the scan accepts");
            prop_assert_eq!(event.body.kind(), EventKind::MessagePosted);
            // Copied into a frame, the parts are what would be written anew.
            prop_assert_eq!(posted.at_text, format!("{:.3}", event.at));
            prop_assert_eq!(posted.id_text, event.id.to_string());
            prop_assert_eq!(posted.user_text, posted.user.to_string());
            let Body::MessagePosted(message) = event.body else { panic!("checked above") };
            prop_assert_eq!(posted.nickname_json, serde_json::to_string(&message.user.nickname).unwrap());
            prop_assert_eq!(posted.text_json, serde_json::to_string(&message.text).unwrap());
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn the_scanner_reads_written_lines_as_serde_does(event in event()) {
            let line = event.to_line();
            prop_assert_eq!(&line, &event.serialized());
            // Larger numbers and attributes are left to serde.
            let is_small = |idx: i64| idx < 10_i64.pow(SAFE_DIGITS as u32);
            let Body::MessagePosted(message) = &event.body else { panic!("it is a message") };
            let is_scanned = is_small(message.user.idx.get())
                && event.presenter.is_some_and(|room| is_small(room.get()))
                && message.attributes.is_none();
            prop_assert_eq!(PostedLine::scan(&line).is_some(), is_scanned);
            prop_assert_eq!(slow(&line), Some(event.clone()));
            prop_assert_eq!(Event::from_line(&line), Ok(event));
            agrees(&line)?;
        }

        #[test]
        fn a_changed_line_is_left_to_serde_or_means_the_same(
            event in event(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
        ) {
            let mut line = event.to_line().to_vec();
            for (at, byte, change) in changes {
                let at = at.index(line.len());
                match change {
                    0 => line[at] = byte,
                    1 => line.insert(at, byte),
                    _ => {
                        line.remove(at);
                    }
                }
                agrees(&line)?;
            }
        }

        #[test]
        fn a_time_is_what_the_calendar_says(at in -62_167_219_200_000..253_402_207_199_999_i64) {
            let at = Timestamp::from_millisecond(at).unwrap();
            prop_assert_eq!(time(format!("{at:.3}").as_bytes()), Some(at));
        }
    }

    #[test]
    fn another_form_is_left_to_serde() {
        const LINE: &str = r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000000a","type":"message.posted","presenterIdx":42,"at":"2026-11-22T12:34:56.789Z","user":{"idx":7,"nickname":"n","role":"viewer"},"text":"a b"}"#;
        assert!(PostedLine::scan(LINE.as_bytes()).is_some());
        for (from, to) in [
            ("00a\"", "00A\""),
            (":42", ":042"),
            (":42", ": 42"),
            (":42", ":0"),
            (":42", ":-42"),
            (":42", ":1000000000000000000"),
            ("11-22", "11-31"),
            ("11-22", "02-29"),
            ("56.789Z", "60.789Z"),
            ("56.789Z", "56.78Z"),
            ("789Z", "789z"),
            ("a b", r"a\/b"),
            ("a b", r"a\u0041b"),
            ("a b", r"a\u000ab"),
            ("a b", r"a\u001Fb"),
            ("a b", "a\tb"),
            ("a b\"", r#"a b","later":1"#),
            ("\"}", "\"} "),
            ("\"a b\"", r#""a b","flags":[]"#),
            ("\"text\"", r#""flags":["a"],"text""#),
            ("\"a b\"", r#""a b","replyTo":null"#),
            ("\"a b\"", r#""a b","replyTo":"019AB5A0-8000-7000-8000-00000000000A""#),
            ("\"a b\"", r#""a b","attributes":{"color":"red"}"#),
        ] {
            let line = LINE.replace(from, to);
            assert_ne!(line, LINE, "{from}");
            assert_eq!(PostedLine::scan(line.as_bytes()), None, "{line}");
        }
        assert!(PostedLine::scan(LINE.replace("a b", r"a\u001f\n\\b").as_bytes()).is_some());
        assert_eq!(PostedLine::scan(&LINE.as_bytes()[..LINE.len() - 1]), None);
    }
}
