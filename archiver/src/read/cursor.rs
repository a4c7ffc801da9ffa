//! Cursors: where a page ended, as text that its reader hands back as it is. Each names what it is a place in, so that
//! one that went astray is refused and not misunderstood.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mongodb::bson::DateTime;
use nats::Position;

use super::sequence::{Key, Sequence};
use crate::documents::PositionDocument;

/// A place in a room, or among a user's messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor(String);

impl Cursor {
    pub(crate) fn new(sequence: &Sequence, key: &Key) -> Option<Cursor> {
        let place = match key {
            Key::Position(position) => position.position()?.to_string(),
            Key::Time(at, id) => format!("{} {id}", at.timestamp_millis()),
        };
        Some(Cursor(format!("{} {place}", whose(sequence))))
    }

    /// None: it is no cursor of that sequence.
    pub(crate) fn parse(text: &str, sequence: &Sequence) -> Option<Key> {
        let decoded = URL_SAFE_NO_PAD.decode(text).ok()?;
        let decoded = std::str::from_utf8(&decoded).ok()?;
        let place = decoded.strip_prefix(&whose(sequence))?.strip_prefix(' ')?;
        match sequence {
            Sequence::Room { .. } => {
                let position: Position = place.parse().ok()?;
                Some(Key::Position(PositionDocument::try_from(position).ok()?))
            }
            Sequence::User { .. } => {
                let (at, id) = place.split_once(' ')?;
                Some(Key::Time(DateTime::from_millis(at.parse().ok()?), id.to_owned()))
            }
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

fn whose(sequence: &Sequence) -> String {
    match sequence {
        Sequence::Room { presenter_idx, .. } => format!("r{presenter_idx}"),
        Sequence::User { user_idx, .. } => format!("u{user_idx}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sequence::Only;
    use super::*;

    fn room(presenter_idx: i64) -> Sequence {
        Sequence::Room { presenter_idx, only: Only::All }
    }

    #[test]
    fn a_cursor_survives_its_text_and_belongs_to_its_sequence() {
        let user = Sequence::User { user_idx: 42, presenter_idx: None };
        let position = PositionDocument { epoch: 0x1879_f0c3_a1b2_c3d4, sequence: 31, index: 3 };
        let time = Key::Time(DateTime::from_millis(1_700_000_000_123), "an-id".to_owned());
        for (sequence, key) in [(room(42), Key::Position(position)), (user.clone(), time)] {
            let text = Cursor::new(&sequence, &key).unwrap().to_string();
            assert_eq!(Cursor::parse(&text, &sequence), Some(key));
            assert_eq!(Cursor::parse(&text, &room(4)), None);
            assert_eq!(Cursor::parse(&text, &room(421)), None);
        }
        for text in ["", "x", "*", "cjQyIA", "cjQyIDEtMg"] {
            assert_eq!(Cursor::parse(text, &room(42)), None, "{text}");
            assert_eq!(Cursor::parse(text, &user), None, "{text}");
        }
    }
}
