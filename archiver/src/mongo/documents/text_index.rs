//! The text index: `text_index_parts` and `text_index`. Both follow from `chatting_log`.

use mongodb::bson::{Binary, DateTime};
use serde::{Deserialize, Serialize};

use super::PositionDocument;

/// The version of the text index, as members `textIndex` of messages have it. A later version that encodes it in another
/// way or folds texts otherwise has another one.
pub(crate) const TEXT_INDEX_VERSION: i32 = 1;

/// `text_index_parts`: some neighbouring messages of a room, whose grams are in `text_index`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartDocument {
    /// The room and `from`: no two archivers build the same part.
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) presenter_idx: i64,
    /// The part begins after this position. None: with the first message of the room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<PositionDocument>,
    /// The part ends with this position.
    pub(crate) last: PositionDocument,
    /// Begins the `_id` of its documents in `text_index`. A part that is built again has another one.
    pub(crate) token: String,
    pub(crate) state: PartState,
    /// The number of messages, and of those with a text. 0 until it is built, as is `buckets`.
    pub(crate) messages: i64,
    pub(crate) texts: i64,
    pub(crate) buckets: i64,
    /// When its building began, by the clock of the archiver.
    pub(crate) began_at: DateTime,
    /// When its texts were counted last.
    pub(crate) checked_at: DateTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PartState {
    /// An archiver reads its messages and writes its documents.
    Building,
    /// Searches use it.
    Built,
    /// One of its messages was added or removed. Its documents are being removed.
    Removed,
}

impl PartDocument {
    pub(crate) fn covers(&self, position: PositionDocument) -> bool {
        self.from.is_none_or(|from| from < position) && position <= self.last
    }
}

/// `text_index`: a bucket of grams of a part, or the positions of some of its messages.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GramsDocument {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) data: Binary,
}

impl GramsDocument {
    /// The `_id` of a bucket.
    pub(crate) fn of_bucket(token: &str, bucket: u32) -> String {
        format!("{token}.{bucket}")
    }

    /// The `_id` of the positions with that number.
    pub(crate) fn of_positions(token: &str, number: u32) -> String {
        format!("{token}.p{number}")
    }
}
