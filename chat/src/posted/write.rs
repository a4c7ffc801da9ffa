//! Writes the line of a `message.posted` in one pass and one allocation, byte for byte as serde_json does. Nearly every
//! event is one, and serde takes several times as long for members that are flattened.

use jiff::Timestamp;
use jiff::tz::Offset;
use uuid::Uuid;

use super::scanner::plain;
use crate::body::MessagePosted;
use crate::event::Event;
use crate::ids::{EventId, KeyId};

/// The literals of a line without optional members, generously, and the digits of its ids and numbers.
const FRAME_BYTES: usize = 256;

/// The line. `None`: the time is not one of four-digit years and whole milliseconds, and serde writes the line.
pub(crate) fn posted_line(event: &Event, message: &MessagePosted) -> Option<Vec<u8>> {
    let Event { id: EventId(id), presenter, at, belated, request, .. } = event;
    let MessagePosted { user, text, flags, reply_to, attributes, emotes } = message;
    let mut line = Line(Vec::with_capacity(FRAME_BYTES + user.nickname.len() + text.len()));
    line.add(r#"{"v":1,"id":""#);
    line.uuid(*id);
    line.add(r#"","type":"message.posted""#);
    if let Some(presenter) = presenter {
        line.add(r#","presenterIdx":"#);
        line.number(presenter.get().unsigned_abs());
    }
    line.add(r#","at":""#);
    line.time(*at)?;
    line.add("\"");
    if *belated {
        line.add(r#","belated":true"#);
    }
    if let Some(request) = request {
        if request.key != KeyId::of_event(EventId(*id)) {
            line.add(r#","requestKey":""#);
            line.uuid(request.key.0);
            line.add("\"");
        }
        line.add(r#","request":""#);
        line.add(&String::from(request.digest));
        line.add("\"");
    }
    line.add(r#","user":{"idx":"#);
    line.number(user.idx.get().unsigned_abs());
    line.add(r#","nickname":"#);
    line.string(&user.nickname);
    line.add(r#","role":""#);
    line.add(user.role.as_str());
    line.add(r#""},"text":"#);
    line.string(text);
    for (at, flag) in flags.iter().enumerate() {
        line.add(if at == 0 { r#","flags":["# } else { "," });
        line.string(flag);
    }
    if !flags.is_empty() {
        line.add("]");
    }
    if let Some(EventId(reply_to)) = reply_to {
        line.add(r#","replyTo":""#);
        line.uuid(*reply_to);
        line.add("\"");
    }
    if let Some(attributes) = attributes {
        line.add(r#","attributes":"#);
        line.add(attributes.as_json());
    }
    if let Some(emotes) = emotes {
        line.add(r#","emotes":"#);
        line.add(&serde_json::to_string(emotes).ok()?);
    }
    line.add("}");
    Some(line.0)
}

struct Line(Vec<u8>);

impl Line {
    #[inline]
    fn add(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn uuid(&mut self, uuid: Uuid) {
        self.add(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    }

    /// A number of at most 19 digits, as every id is.
    fn number(&mut self, mut number: u64) {
        let (mut digits, mut start) = ([0; 20], 20);
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.0.extend_from_slice(&digits[start..]);
    }

    /// `2026-11-22T12:34:56.789Z`
    fn time(&mut self, at: Timestamp) -> Option<()> {
        let time = Offset::UTC.to_datetime(at);
        let year = u16::try_from(time.year()).ok().filter(|year| *year <= 9_999)?;
        let nanoseconds = time.subsec_nanosecond().unsigned_abs();
        if !nanoseconds.is_multiple_of(1_000_000) {
            return None;
        }
        let digit = |number: u16| b'0' + (number % 10) as u8;
        let two = |number: i8| [digit(u16::from(number.unsigned_abs()) / 10), digit(u16::from(number.unsigned_abs()))];
        let millis = (nanoseconds / 1_000_000) as u16;
        let [m1, m2] = two(time.month());
        let [d1, d2] = two(time.day());
        let [h1, h2] = two(time.hour());
        let [n1, n2] = two(time.minute());
        let [s1, s2] = two(time.second());
        let [y1, y2, y3, y4] = [year / 1_000, year / 100, year / 10, year].map(digit);
        let [f1, f2, f3] = [millis / 100, millis / 10, millis].map(digit);
        self.0.extend_from_slice(&[
            y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, b'.', f1, f2, f3,
            b'Z',
        ]);
        Some(())
    }

    /// A JSON string.
    fn string(&mut self, text: &str) {
        self.0.push(b'"');
        let mut rest = text.as_bytes();
        loop {
            let (as_it_is, special) = rest.split_at(plain(rest));
            self.0.extend_from_slice(as_it_is);
            let [byte, behind @ ..] = special else { break };
            match byte {
                b'"' | b'\\' => self.0.extend_from_slice(&[b'\\', *byte]),
                0x08 => self.add(r"\b"),
                b'\t' => self.add(r"\t"),
                b'\n' => self.add(r"\n"),
                0x0C => self.add(r"\f"),
                b'\r' => self.add(r"\r"),
                _ => {
                    let digit = |number: u8| b"0123456789abcdef"[usize::from(number & 15)];
                    self.0.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(*byte)]);
                }
            }
            rest = behind;
        }
        self.0.push(b'"');
    }
}
