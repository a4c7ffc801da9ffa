//! Orders in which messages are read, each with the index that has it: a room's is the log's, a user's across rooms is
//! that of time. A key is a message's place in such an order; between two keys nothing moves when messages come or go.

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

/// Which of a room's messages; the few have an index of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Only {
    All,
    Flagged,
    Deleted,
}

/// Where a message stands in a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Position(PositionDocument),
    Time(DateTime, String),
}

/// From where to where, both included.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bounds {
    pub(crate) lower: Option<PositionDocument>,
    pub(crate) upper: Option<PositionDocument>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// The oldest first.
    Asc,
    /// The newest first.
    Desc,
}

/// What of a message makes its key.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Keyed {
    #[serde(rename = "_id")]
    id: Option<String>,
    sent_at: Option<DateTime>,
    position: Option<PositionDocument>,
}

impl Sequence {
    /// What every message of it matches.
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

    /// What those match that come after the one key, in that order, and not after the other.
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

    /// How to find: in that order, by the index that has it.
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
        // What is there for searches alone need not be read.
        FindOptions::builder().sort(sort).hint(hint).projection(doc! { "folded": 0 }).build()
    }

    /// The members of which [`Sequence::key_of`] makes a key; the index has them.
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

/// What is beyond a place in an order of time, for `$gt` and `$lt`, or not before it: the index is read from that time on,
/// and of what is of the same millisecond the id decides.
pub(crate) fn by_time(member: &str, operator: &str, at: DateTime, id: &str) -> [Document; 2] {
    let (from, strictly) = if operator.starts_with("$g") { ("$gte", "$gt") } else { ("$lte", "$lt") };
    [doc! { member: { from: at } }, doc! { "$or": [{ member: { strictly: at } }, { "_id": { operator: id } }] }]
}

/// From when to when, the end excluded.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span {
    pub(crate) from: Option<DateTime>,
    pub(crate) to: Option<DateTime>,
}

impl Span {
    /// What matches it; none if everything does.
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
