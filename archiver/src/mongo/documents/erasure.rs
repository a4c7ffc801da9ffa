//! The collections `erasures` and `erased_ids`.

use chat::ErasureMode;
use mongodb::bson::DateTime;
use serde::{Deserialize, Serialize};

use super::{PositionDocument, UserDocument};

/// `erasures`: a user's erasure as tombstone, job and receipt. It outlives everything in the log from before the
/// erasure, then it is removed too: it links the user to the pseudonym.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErasureDocument {
    /// The id of the event `user.erased`.
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) user_idx: i64,
    pub(crate) mode: ErasureMode,
    pub(crate) at: DateTime,
    pub(crate) by: UserDocument,
    /// The number that replaces the user's: negative, and exact in JavaScript.
    pub(crate) pseudonym: i64,
    /// The epochs of the log's partitions. Each partition has a copy of the event.
    pub(crate) epochs: Vec<i64>,
    /// The positions of the known copies. What the user wrote before them is erased.
    pub(crate) positions: Vec<PositionDocument>,
    pub(crate) state: ErasureState,
    /// What was found and erased, exact however many archivers did it and however often it was interrupted.
    pub(crate) counts: ErasureCounts,
    /// The number of pages that are erased and counted.
    pub(crate) pages: i64,
    /// The page in progress. An archiver that finds one finishes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) page: Option<PageDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) finished_at: Option<DateTime>,
    /// When the latest copy became known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recorded_at: Option<DateTime>,
    /// When the log will hold nothing from before the erasure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log_held_until: Option<DateTime>,
    /// When this document is removed: never while the erasure is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<DateTime>,
}

/// Documents that are being erased.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PageDocument {
    /// The number of pages before it.
    pub(crate) number: i64,
    /// The step: the member of the counts.
    pub(crate) step: String,
    /// The `_id`s of the documents.
    pub(crate) ids: Vec<String>,
}

/// `erased_ids`: the id of a removed message, for as long as the log may hold events about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErasedIdDocument {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<DateTime>,
}

/// The state of an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ErasureState {
    /// Some copies are not known yet, or something before them is not erased yet.
    Running,
    /// Everything before all of its copies is erased.
    Done,
}

/// What an erasure found and erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErasureCounts {
    /// Messages that were removed or anonymised.
    pub(crate) messages: i64,
    /// Decisions by the user, which are now under the pseudonym.
    pub(crate) decided: i64,
    /// Decisions about the user: bans, which now name the pseudonym, and deletions of the user's messages.
    pub(crate) decisions_about: i64,
    /// Messages of other users that the user deleted. The pseudonym now stands for who deleted them.
    pub(crate) deleted: i64,
    /// Lines in quarantine that named the user and were removed.
    pub(crate) quarantined: i64,
}
