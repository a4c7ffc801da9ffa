//! Reads the parts of a line, front to back and without a copy. Each part has the one form in which it is written.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use uuid::Uuid;

/// `2026-11-22T12:34:56.789Z`
pub(super) const TIME_BYTES: usize = 24;

/// The digits of a request's digest.
pub(super) const DIGEST_BYTES: usize = 16;

/// The digits of a number that fits 64 bits in any case.
pub(super) const SAFE_DIGITS: usize = 18;

/// What is left of a line. Its small parts are inlined: nearly every event is read through them.
pub(super) struct Scanner<'a>(pub(super) &'a str);

impl<'a> Scanner<'a> {
    #[inline]
    pub(super) fn literal(&mut self, literal: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(literal)?;
        Some(())
    }

    #[inline]
    pub(super) fn take(&mut self, bytes: usize) -> Option<&'a str> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    /// A UUID, hyphenated and in lower case.
    #[inline]
    pub(super) fn uuid(&mut self) -> Option<(&'a str, Uuid)> {
        let text = self.take(uuid::fmt::Hyphenated::LENGTH)?;
        let has_upper_case = text.bytes().fold(false, |found, byte| found | byte.is_ascii_uppercase());
        if has_upper_case { None } else { Some((text, Uuid::try_parse(text).ok()?)) }
    }

    /// An optional member, a string: what `read` makes of it. `None`: the member is there, and wrong.
    #[allow(clippy::option_option, reason = "an absent member is not a wrong one")]
    pub(super) fn member<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.literal(name).is_none() {
            return Some(None);
        }
        let value = read(self)?;
        self.literal("\"")?;
        Some(Some(value))
    }

    /// A positive number.
    #[inline]
    pub(super) fn idx(&mut self) -> Option<(&'a str, i64)> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        if digits > SAFE_DIGITS || self.0.starts_with('0') {
            return None;
        }
        let text = self.take(digits)?;
        Some((text, number(text.as_bytes())?)).filter(|(_, number)| *number > 0)
    }

    /// A JSON string, with its quotes. `None` if serde_json would write it differently.
    #[inline]
    pub(super) fn string(&mut self) -> Option<&'a str> {
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
    pub(super) fn strings(&mut self) -> Option<&'a str> {
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
pub(super) fn plain(bytes: &[u8]) -> usize {
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
#[inline]
pub(super) fn time(text: &[u8]) -> Option<Timestamp> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', ref clock @ ..] = text else { return None };
    let &[h1, h2, b':', n1, n2, b':', s1, s2, b'.', f1, f2, f3, b'Z'] = clock else { return None };
    let (year, millis) = (i16::try_from(number(&[y1, y2, y3, y4])?).ok()?, i32::try_from(number(&[f1, f2, f3])?).ok()?);
    let two = |digits: [u8; 2]| i8::try_from(number(&digits)?).ok();
    let (month, day) = (two([m1, m2])?, two([d1, d2])?);
    let (hour, minute, second) = (two([h1, h2])?, two([n1, n2])?, two([s1, s2])?);
    let time = DateTime::new(year, month, day, hour, minute, second, millis * 1_000_000).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}
