//! Orders in which messages are read, each with its index: a room in the order of the log, a user across rooms in the
//! order of time. A key is a message's place in such an order. Keys stay valid when messages arrive or are removed.

use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::options::{FindOptions, Hint};
use serde::Deserialize;

use crate::mongo::documents::{MessageDocument, PositionDocument};
use crate::mongo::schema::{ROOM_BY_POSITION, ROOM_DELETED, ROOM_FLAGGED, USER_TIMES};

/// The messages of a room or of a user, in order.
#[derive(Debug, Clone)]
pub(crate) enum Sequence {
    Room {
        presenter_idx: i64,
        only: Only,
    },
    /// Across rooms, or in one.
    User {
        user_idx: i64,
        presenter_idx: Option<i64>,
    },
}

/// A part of a room's messages. Flagged and deleted messages are few and have an index of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Only {
    All,
    Flagged,
    Deleted,
}

/// The place of a message in a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Position(PositionDocument),
    Time(DateTime, String),
}

/// A range of positions, both ends included.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bounds {
    pub(crate) lower: Option<PositionDocument>,
    pub(crate) upper: Option<PositionDocument>,
}

/// In which direction a sequence is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The oldest first.
    Asc,
    /// The newest first.
    Desc,
}

/// The members of a message that make its key.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Keyed {
    #[serde(rename = "_id")]
    id: Option<String>,
    sent_at: Option<DateTime>,
    position: Option<PositionDocument>,
}

impl Sequence {
    /// Matches all messages of the sequence.
    pub(crate) fn filter(&self) -> Document {
        match self {
            Sequence::Room { presenter_idx, only: Only::All } => doc! { "presenterIdx": presenter_idx },
            Sequence::Room { presenter_idx, only: Only::Flagged } => {
                doc! { "presenterIdx": presenter_idx, "flags.0": { "$exists": true } }
            }
            Sequence::Room { presenter_idx, only: Only::Deleted } => {
                doc! { "presenterIdx": presenter_idx, "deleted": { "$exists": true } }
            }
            Sequence::User { user_idx, presenter_idx: None } => doc! { "userIdx": user_idx },
            Sequence::User { user_idx, presenter_idx: Some(room) } => {
                doc! { "userIdx": user_idx, "presenterIdx": room }
            }
        }
    }

    /// Matches the messages within the bounds, after the key `after`, and up to the key `end`, in that order.
    pub(crate) fn range(&self, bounds: &Bounds, order: Order, after: Option<&Key>, end: Option<&Key>) -> Document {
        let (beyond, within) = match order {
            Order::Asc => ("$gt", "$lte"),
            Order::Desc => ("$lt", "$gte"),
        };
        let mut all: Vec<Document> = Vec::new();
        match self {
            Sequence::Room { .. } => {
                let lower = bounds.lower.map(|position| doc! { "position": { "$gte": position } });
                let upper = bounds.upper.map(|position| doc! { "position": { "$lte": position } });
                all.extend(lower.into_iter().chain(upper));
                for (key, operator) in [(after, beyond), (end, within)] {
                    if let Some(Key::Position(position)) = key {
                        all.push(doc! { "position": { operator: *position } });
                    }
                }
            }
            Sequence::User { .. } => {
                for (key, operator) in [(after, beyond), (end, within)] {
                    if let Some(Key::Time(at, id)) = key {
                        all.extend(by_time("sentAt", operator, *at, id));
                    }
                }
            }
        }
        if all.is_empty() {
            doc! {}
        } else {
            doc! { "$and": all }
        }
    }

    /// Options to read in that order, by its index.
    pub(crate) fn options(&self, order: Order) -> FindOptions {
        let direction = match order {
            Order::Asc => 1,
            Order::Desc => -1,
        };
        let (sort, index) = match self {
            Sequence::Room { only, .. } => {
                let index = match only {
                    Only::All => ROOM_BY_POSITION,
                    Only::Flagged => ROOM_FLAGGED,
                    Only::Deleted => ROOM_DELETED,
                };
                (doc! { "position": direction }, index)
            }
            Sequence::User { .. } => (doc! { "sentAt": direction, "_id": direction }, USER_TIMES),
        };
        let hint = Hint::Name(index.to_owned());
        // Only searches need the folded text.
        FindOptions::builder().sort(sort).hint(hint).projection(doc! { "folded": 0 }).build()
    }

    /// The members that [`Sequence::key_of`] needs. The index has them.
    pub(crate) fn projection(&self) -> Document {
        match self {
            Sequence::Room { .. } => doc! { "_id": 0, "position": 1 },
            Sequence::User { .. } => doc! { "_id": 1, "sentAt": 1 },
        }
    }

    pub(crate) fn key_of(&self, keyed: Keyed) -> Option<Key> {
        match self {
            Sequence::Room { .. } => keyed.position.map(Key::Position),
            Sequence::User { .. } => Some(Key::Time(keyed.sent_at?, keyed.id?)),
        }
    }

    pub(crate) fn key(&self, message: &MessageDocument) -> Key {
        match self {
            Sequence::Room { .. } => Key::Position(message.position),
            Sequence::User { .. } => Key::Time(message.sent_at, message.id.clone()),
        }
    }
}

/// Matches what is beyond a place in an order of time (`$gt`, `$lt`), or at it too (`$gte`, `$lte`). The index is read
/// from that time on, and the id decides within the millisecond.
pub(crate) fn by_time(member: &str, operator: &str, at: DateTime, id: &str) -> [Document; 2] {
    let (from, strictly) = if operator.starts_with("$g") { ("$gte", "$gt") } else { ("$lte", "$lt") };
    [doc! { member: { from: at } }, doc! { "$or": [{ member: { strictly: at } }, { "_id": { operator: id } }] }]
}

/// A time span, the end excluded.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span {
    pub(crate) from: Option<DateTime>,
    pub(crate) to: Option<DateTime>,
}

impl Span {
    /// Matches times in the span. None: every time does.
    pub(crate) fn filter(self) -> Option<Bson> {
        let mut range = doc! {};
        if let Some(from) = self.from {
            range.insert("$gte", from);
        }
        if let Some(to) = self.to {
            range.insert("$lt", to);
        }
        (!range.is_empty()).then_some(Bson::Document(range))
    }
}
