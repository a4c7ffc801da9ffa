//! Cursors: the place where a page ended, as opaque text that the client sends back. Each cursor names its list, so
//! that a cursor of another list is refused and not misunderstood.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chat::{Position, SessionId};
use mongodb::bson::DateTime;

use super::decisions::DecisionKey;
use super::replay::ReplayPlace;
use super::sequence::{Key, Sequence};
use super::sessions::SessionKey;
use crate::mongo::documents::PositionDocument;

/// A place in a list: a room, a user's messages, a room's broadcasts, a replay, a moderation log, or
/// a queue of reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor(String);

impl Cursor {
    /// A place in the list with that name, which has no space.
    fn at(list: &str, place: &str) -> Cursor {
        Cursor(format!("{list} {place}"))
    }

    /// The place in the list with that name. None: it is no cursor of that list.
    fn place(text: &str, list: &str) -> Option<String> {
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

    /// A place among the broadcasts of a room, by the first session of a broadcast.
    pub(crate) fn of_session(presenter_idx: i64, key: &SessionKey) -> Cursor {
        Cursor::at(&format!("b{presenter_idx}"), &format!("{} {}", key.began, key.id))
    }

    pub(crate) fn parse_session(text: &str, presenter_idx: i64) -> Option<SessionKey> {
        let place = Cursor::place(text, &format!("b{presenter_idx}"))?;
        let (began, id) = place.split_once(' ')?;
        Some(SessionKey { began: began.parse().ok()?, id: id.to_owned() })
    }

    /// A place in the moderation log of a room, or of all rooms.
    pub(crate) fn of_decision(room: Option<i64>, (at, id): &DecisionKey) -> Cursor {
        Cursor::at(&moderation_log(room), &of_time(*at, id))
    }

    pub(crate) fn parse_decision(text: &str, room: Option<i64>) -> Option<DecisionKey> {
        to_time(&Cursor::place(text, &moderation_log(room))?)
    }

    /// A place in a room's queue of reports.
    pub(crate) fn of_report(room: i64, latest: PositionDocument) -> Option<Cursor> {
        Some(Cursor::at(&format!("q{room}"), &latest.position()?.to_string()))
    }

    pub(crate) fn parse_report(text: &str, room: i64) -> Option<PositionDocument> {
        let position: Position = Cursor::place(text, &format!("q{room}"))?.parse().ok()?;
        PositionDocument::try_from(position).ok()
    }

    /// A place in the replay of a broadcast, for any timeline.
    pub(crate) fn of_place(presenter_idx: i64, broadcast: SessionId, place: &ReplayPlace) -> Option<Cursor> {
        let place = match place {
            ReplayPlace::At(at) => at.to_string(),
            ReplayPlace::After(position, latest) => format!("{latest} {}", position.position()?),
        };
        Some(Cursor::at(&format!("p{presenter_idx}.{broadcast}"), &place))
    }

    pub(crate) fn parse_place(text: &str, presenter_idx: i64, broadcast: SessionId) -> Option<ReplayPlace> {
        let place = Cursor::place(text, &format!("p{presenter_idx}.{broadcast}"))?;
        match place.split_once(' ') {
            None => place.parse().ok().map(ReplayPlace::At),
            Some((latest, position)) => {
                let position: Position = position.parse().ok()?;
                Some(ReplayPlace::After(PositionDocument::try_from(position).ok()?, latest.parse().ok()?))
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

/// A place in an order of time. The id decides within a millisecond.
fn of_time(at: DateTime, id: &str) -> String {
    format!("{} {id}", at.timestamp_millis())
}

/// The inverse of [`of_time`].
fn to_time(place: &str) -> Option<(DateTime, String)> {
    let (at, id) = place.split_once(' ')?;
    Some((DateTime::from_millis(at.parse().ok()?), id.to_owned()))
}

fn moderation_log(room: Option<i64>) -> String {
    room.map_or_else(|| "m".to_owned(), |room| format!("m{room}"))
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
        for place in [
            ReplayPlace::At(1_700_000_000_123),
            ReplayPlace::After(position, i64::MIN),
            ReplayPlace::After(position, 17),
        ] {
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
