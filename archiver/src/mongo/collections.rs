//! The collections: each name stands here, once.

use mongodb::Collection;
use mongodb::bson::Document;

use crate::mongo::database::Database;
use crate::mongo::documents::{
    DecisionDocument, ErasedIdDocument, ErasureDocument, GapDocument, GramsDocument, MarkDocument, MessageDocument,
    PartDocument, ProgressDocument, QuarantineDocument, RunDocument,
};

/// Messages.
pub(crate) const MESSAGES: &str = "chatting_log";
/// Moderation decisions, which are also the tombstones of messages.
pub(crate) const DECISIONS: &str = "moderation_log";
/// Sessions of presenters.
pub(crate) const BROADCASTS: &str = "broadcasts";
/// Lines of the log that have no place in another collection.
pub(crate) const QUARANTINE: &str = "quarantine";
/// Erasures of users: tombstone, job and receipt.
pub(crate) const ERASURES: &str = "erasures";
/// Ids of messages that erasures removed.
pub(crate) const ERASED_IDS: &str = "erased_ids";
/// Samples of the log, by which a restored log is noticed.
pub(crate) const MARKS: &str = "log_marks";
/// How far each epoch of the log is archived.
pub(crate) const PROGRESS: &str = "archive_progress";
/// Batches that are archived beyond the progress.
pub(crate) const RUNS: &str = "archive_runs";
/// Batches that left the log before they were archived.
pub(crate) const GAPS: &str = "archive_gaps";
/// The parts of the text index.
pub(crate) const TEXT_PARTS: &str = "text_index_parts";
/// The grams of each part.
pub(crate) const TEXT_GRAMS: &str = "text_index";

/// All of them.
#[cfg(test)]
pub(crate) const ALL: [&str; 12] = [
    MESSAGES, DECISIONS, BROADCASTS, QUARANTINE, ERASURES, ERASED_IDS, MARKS, PROGRESS, RUNS, GAPS, TEXT_PARTS,
    TEXT_GRAMS,
];

impl Database {
    pub(crate) fn messages(&self) -> Collection<MessageDocument> {
        self.driver().collection(MESSAGES)
    }

    pub(crate) fn decisions(&self) -> Collection<DecisionDocument> {
        self.driver().collection(DECISIONS)
    }

    pub(crate) fn broadcasts(&self) -> Collection<Document> {
        self.driver().collection(BROADCASTS)
    }

    pub(crate) fn quarantine(&self) -> Collection<QuarantineDocument> {
        self.driver().collection(QUARANTINE)
    }

    pub(crate) fn marks(&self) -> Collection<MarkDocument> {
        self.driver().collection(MARKS)
    }

    pub(crate) fn erased_ids(&self) -> Collection<ErasedIdDocument> {
        self.driver().collection(ERASED_IDS)
    }

    pub(crate) fn erasures(&self) -> Collection<ErasureDocument> {
        self.driver().collection(ERASURES)
    }

    pub(crate) fn progress(&self) -> Collection<ProgressDocument> {
        self.driver().collection(PROGRESS)
    }

    pub(crate) fn runs(&self) -> Collection<RunDocument> {
        self.driver().collection(RUNS)
    }

    pub(crate) fn gaps(&self) -> Collection<GapDocument> {
        self.driver().collection(GAPS)
    }

    pub(crate) fn text_parts(&self) -> Collection<PartDocument> {
        self.driver().collection(TEXT_PARTS)
    }

    pub(crate) fn text_grams(&self) -> Collection<GramsDocument> {
        self.driver().collection(TEXT_GRAMS)
    }
}
