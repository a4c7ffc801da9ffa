//! The collections about the log: `log_marks`, `archive_progress`, `archive_runs` and `archive_gaps`.

use mongodb::bson::DateTime;
use serde::{Deserialize, Serialize};

/// `log_marks`: samples of a partition of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MarkDocument {
    /// The partition.
    #[serde(rename = "_id")]
    pub(crate) partition: i64,
    pub(crate) epoch: i64,
    /// The last sequence of the samples.
    pub(crate) last: i64,
    pub(crate) samples: Vec<SampleDocument>,
}

/// A JetStream message of the log.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SampleDocument {
    pub(crate) sequence: i64,
    /// Nanoseconds since 1970: MongoDB's dates have milliseconds only.
    pub(crate) stored: i64,
}

/// `archive_progress`: how far an epoch of the log is archived.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProgressDocument {
    #[serde(rename = "_id")]
    pub(crate) epoch: i64,
    pub(crate) stream: String,
    pub(crate) sequence: i64,
    /// When the batch with that sequence was stored, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stored_at: Option<DateTime>,
    /// Gaps below `sequence` that have yet to be recorded. An archiver that finds them records them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) noticed: Vec<GapDocument>,
}

/// `archive_runs`: neighbouring batches that are archived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunDocument {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) epoch: i64,
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// When the first and the last batch were stored.
    pub(crate) stored_from: DateTime,
    pub(crate) stored_to: DateTime,
}

/// `archive_gaps`: neighbouring batches that are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GapDocument {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) stream: String,
    pub(crate) epoch: i64,
    /// Sequences, both included.
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// The number of missing batches: all of the range, unless the gap spans several. 0: all were archived after all.
    pub(crate) batches: i64,
    /// They were stored after this time. None: nothing before them was archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<DateTime>,
    /// They were stored before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<DateTime>,
    pub(crate) noticed_at: DateTime,
}
