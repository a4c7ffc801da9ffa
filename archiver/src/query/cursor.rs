//! Cursors: where a page ended, as text that its reader hands back as it is. Each names what it is a place in, so that
//! one that went astray is refused and not misunderstood.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chat::{Position, SessionId};
use mongodb::bson::DateTime;

use super::replay::Place;
use super::sequence::{Key, Sequence};
use super::sessions::SessionKey;
use crate::mongo::documents::PositionDocument;

/// A place in a room, among a user's messages, among a room's broadcasts, or in the replay of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor(String);

impl Cursor {
    /// A place in the list of that name, which has no blank.
    pub(crate) fn at(list: &str, place: &str) -> Cursor {
        Cursor(format!("{list} {place}"))
    }

    /// The place in the list of that name; none: it is no cursor of that list.
    pub(crate) fn place(text: &str, list: &str) -> Option<String> {
        let decoded = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        decoded.strip_prefix(list)?.strip_prefix(' ').map(str::to_owned)
    }

    pub(crate) fn new(sequence: &Sequence, key: &Key) -> Option<Cursor> {
        let place = match key {
            Key::Position(position) => position.position()?.to_string(),
            Key::Time(at, id) => of_time(*at, id),
        };
        Some(Cursor::at(&whose(sequence), &place))
    }

    /// Among the broadcasts of a room, by the first session of one.
    pub(crate) fn of_session(presenter_idx: i64, key: &SessionKey) -> Cursor {
        Cursor::at(&format!("b{presenter_idx}"), &format!("{} {}", key.began, key.id))
    }

    pub(crate) fn parse_session(text: &str, presenter_idx: i64) -> Option<SessionKey> {
        let place = Cursor::place(text, &format!("b{presenter_idx}"))?;
        let (began, id) = place.split_once(' ')?;
        Some(SessionKey { began: began.parse().ok()?, id: id.to_owned() })
    }

    /// In the replay of a broadcast, on whichever timeline.
    pub(crate) fn of_place(presenter_idx: i64, broadcast: SessionId, place: &Place) -> Option<Cursor> {
        let place = match place {
            Place::At(at) => at.to_string(),
            Place::After(position, latest) => format!("{latest} {}", position.position()?),
        };
        Some(Cursor::at(&format!("p{presenter_idx}.{broadcast}"), &place))
    }

    pub(crate) fn parse_place(text: &str, presenter_idx: i64, broadcast: SessionId) -> Option<Place> {
        let place = Cursor::place(text, &format!("p{presenter_idx}.{broadcast}"))?;
        match place.split_once(' ') {
            None => place.parse().ok().map(Place::At),
            Some((latest, position)) => {
                let position: Position = position.parse().ok()?;
                Some(Place::After(PositionDocument::try_from(position).ok()?, latest.parse().ok()?))
            }
        }
    }

    /// None: it is no cursor of that sequence.
    pub(crate) fn parse(text: &str, sequence: &Sequence) -> Option<Key> {
        let place = Cursor::place(text, &whose(sequence))?;
        match sequence {
            Sequence::Room { .. } => {
                let position: Position = place.parse().ok()?;
                Some(Key::Position(PositionDocument::try_from(position).ok()?))
            }
            Sequence::User { .. } => {
                let (at, id) = to_time(&place)?;
                Some(Key::Time(at, id))
            }
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

/// A place in an order of time, in which the id decides between what is of one millisecond.
pub(crate) fn of_time(at: DateTime, id: &str) -> String {
    format!("{} {id}", at.timestamp_millis())
}

/// What [`of_time`] wrote.
pub(crate) fn to_time(place: &str) -> Option<(DateTime, String)> {
    let (at, id) = place.split_once(' ')?;
    Some((DateTime::from_millis(at.parse().ok()?), id.to_owned()))
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
    fn a_cursor_of_broadcasts_or_of_a_replay_survives_its_text_and_belongs_to_its_room() {
        let key = SessionKey { began: -5, id: "a-session".to_owned() };
        let text = Cursor::of_session(42, &key).to_string();
        assert_eq!(Cursor::parse_session(&text, 42), Some(key));
        assert_eq!(Cursor::parse_session(&text, 4), None);
        let (broadcast, other) = (SessionId::new(), SessionId::new());
        let position = PositionDocument { epoch: 0x1879_f0c3_a1b2_c3d4, sequence: 31, index: 3 };
        for place in [Place::At(1_700_000_000_123), Place::After(position, i64::MIN), Place::After(position, 17)] {
            let text = Cursor::of_place(42, broadcast, &place).unwrap().to_string();
            assert_eq!(Cursor::parse_place(&text, 42, broadcast), Some(place));
            assert_eq!(Cursor::parse_place(&text, 42, other), None);
            assert_eq!(Cursor::parse_place(&text, 43, broadcast), None);
            assert_eq!(Cursor::parse_session(&text, 42), None);
            assert_eq!(Cursor::parse(&text, &room(42)), None);
        }
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
