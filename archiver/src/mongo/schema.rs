//! Creates missing collections and indexes at the start. Existing ones stay as they are: an operator's own indexes,
//! validators and collection options are not touched.

use mongodb::bson::{Bson, Document, doc};

use crate::mongo::collections::{
    BROADCASTS, DECISIONS, ERASED_IDS, ERASURES, GAPS, MESSAGES, PROGRESS, QUARANTINE, RUNS, TEXT_GRAMS, TEXT_PARTS,
};
use crate::mongo::database::Database;
use crate::mongo::failure::Failure;

/// An ascending index.
struct Index {
    collection: &'static str,
    name: &'static str,
    keys: &'static [&'static str],
    /// The index has only documents with these members.
    only_with: &'static [&'static str],
    /// The index has only documents without these members.
    only_without: &'static [&'static str],
}

/// A room in the order of the log, for pages, and for the messages that a decision is about.
pub(crate) const ROOM_BY_POSITION: &str = "room_by_position";
/// The positions of a room at a time, without the messages.
pub(crate) const ROOM_TIMES: &str = "room_times";
/// Who wrote when in a room, and which of it was deleted: statistics read nothing else. Its entries share most of their
/// bytes, so that one takes 17.
pub(crate) const ROOM_AUTHORS: &str = "room_authors";
/// A user across rooms. `_id` makes the order total; the room lets messages in other rooms be skipped unread.
pub(crate) const USER_TIMES: &str = "user_times";
/// The few messages with flags.
pub(crate) const ROOM_FLAGGED: &str = "room_flagged";
/// The few deleted messages.
pub(crate) const ROOM_DELETED: &str = "room_deleted";
/// The folded texts of a room: searches read texts from the index, and whole messages only for results.
pub(crate) const ROOM_TEXT: &str = "room_text";
/// The messages whose text is not folded: an earlier version wrote them.
pub(crate) const UNFOLDED: &str = "unfolded";
/// The messages that the text index may lack: an earlier version or another program wrote them.
pub(crate) const UNINDEXED: &str = "unindexed";
/// When each of a room's chatters first wrote. `deleted.at` comes before `sentAt`, so a chatter's first entry is the
/// first message that was not deleted, if there is one.
pub(crate) const ROOM_CHATTERS: &str = "room_chatters";
/// A room's reports in the order of the log.
pub(crate) const ROOM_REPORTS: &str = "room_reports";
/// A room's sessions. `_id` makes the order total.
pub(crate) const ROOM_SESSIONS: &str = "room_sessions";
/// Decisions in the order of time. `_id` makes it total.
pub(crate) const DECISION_TIMES: &str = "times";

const INDEXES: [Index; 28] = [
    Index {
        collection: MESSAGES,
        name: ROOM_BY_POSITION,
        keys: &["presenterIdx", "position"],
        only_with: &[],
        only_without: &[],
    },
    Index {
        collection: MESSAGES,
        name: ROOM_TIMES,
        keys: &["presenterIdx", "sentAt", "position"],
        only_with: &[],
        only_without: &[],
    },
    Index {
        collection: MESSAGES,
        name: ROOM_AUTHORS,
        keys: &["presenterIdx", "sentAt", "userIdx", "deleted.at"],
        only_with: &[],
        only_without: &[],
    },
    Index {
        collection: MESSAGES,
        name: USER_TIMES,
        keys: &["userIdx", "sentAt", "_id", "presenterIdx"],
        only_with: &[],
        only_without: &[],
    },
    Index {
        collection: MESSAGES,
        name: ROOM_FLAGGED,
        keys: &["presenterIdx", "position"],
        only_with: &["flags.0"],
        only_without: &[],
    },
    Index {
        collection: MESSAGES,
        name: ROOM_DELETED,
        keys: &["presenterIdx", "position"],
        only_with: &["deleted"],
        only_without: &[],
    },
    Index {
        collection: MESSAGES,
        name: ROOM_TEXT,
        keys: &["presenterIdx", "position", "folded"],
        only_with: &[],
        only_without: &[],
    },
    Index {
        collection: MESSAGES,
        name: UNFOLDED,
        keys: &["presenterIdx", "position"],
        only_with: &["message"],
        only_without: &["folded"],
    },
    Index {
        collection: MESSAGES,
        name: UNINDEXED,
        keys: &["presenterIdx", "position"],
        only_with: &["message"],
        only_without: &["textIndex"],
    },
    // The parts that have a message: every batch asks for them.
    Index {
        collection: TEXT_PARTS,
        name: "room_parts",
        keys: &["presenterIdx", "last"],
        only_with: &[],
        only_without: &[],
    },
    Index {
        collection: MESSAGES,
        name: ROOM_CHATTERS,
        keys: &["presenterIdx", "userIdx", "deleted.at", "sentAt"],
        only_with: &[],
        only_without: &[],
    },
    // The decisions after a message: every batch asks for them.
    Index {
        collection: DECISIONS,
        name: ROOM_BY_POSITION,
        keys: &["presenterIdx", "position"],
        only_with: &[],
        only_without: &[],
    },
    // The few earlier sweeps that may be about a message: every batch asks for them, too.
    Index {
        collection: DECISIONS,
        name: "room_forward",
        keys: &["presenterIdx", "forwardUntil"],
        only_with: &["forwardUntil"],
        only_without: &[],
    },
    Index {
        collection: DECISIONS,
        name: ROOM_TIMES,
        keys: &["presenterIdx", "at", "_id"],
        only_with: &[],
        only_without: &[],
    },
    Index {
        collection: DECISIONS,
        name: ROOM_REPORTS,
        keys: &["presenterIdx", "position"],
        only_with: &["category"],
        only_without: &[],
    },
    Index { collection: DECISIONS, name: DECISION_TIMES, keys: &["at", "_id"], only_with: &[], only_without: &[] },
    Index {
        collection: BROADCASTS,
        name: ROOM_SESSIONS,
        keys: &["presenterIdx", "connectedAt", "_id"],
        only_with: &[],
        only_without: &[],
    },
    // The erasures of the users that a batch names: every batch asks for them. Then the decisions that they are about.
    Index { collection: ERASURES, name: "user", keys: &["userIdx"], only_with: &[], only_without: &[] },
    Index { collection: DECISIONS, name: "by", keys: &["by.userIdx"], only_with: &[], only_without: &[] },
    Index { collection: DECISIONS, name: "user", keys: &["userIdx"], only_with: &["userIdx"], only_without: &[] },
    // The deletions of erased messages.
    Index { collection: DECISIONS, name: "target", keys: &["target"], only_with: &["target"], only_without: &[] },
    Index {
        collection: MESSAGES,
        name: "deleted_by",
        keys: &["deleted.by.userIdx"],
        only_with: &["deleted.by.userIdx"],
        only_without: &[],
    },
    // What a copy of a restoration recorded.
    Index {
        collection: MESSAGES,
        name: "restored_by",
        keys: &["restored.decision"],
        only_with: &["restored.decision"],
        only_without: &[],
    },
    // The rules of sweeps: those that name an erased user, and those that retention removes.
    Index { collection: DECISIONS, name: "rules", keys: &["at"], only_with: &["rule"], only_without: &[] },
    // The runs beyond the progress, in order, and the gaps.
    Index { collection: RUNS, name: "place", keys: &["epoch", "from"], only_with: &[], only_without: &[] },
    Index { collection: GAPS, name: "place", keys: &["epoch", "first"], only_with: &[], only_without: &[] },
    Index { collection: QUARANTINE, name: "users", keys: &["users"], only_with: &["users"], only_without: &[] },
    // The deleted texts that retention removes.
    Index {
        collection: MESSAGES,
        name: "deleted_text",
        keys: &["deleted.at"],
        only_with: &["deleted.at", "message"],
        only_without: &[],
    },
];

/// The collections of these indexes.
const INDEXED: [&str; 8] = [MESSAGES, DECISIONS, BROADCASTS, QUARANTINE, ERASURES, RUNS, GAPS, TEXT_PARTS];

/// Indexes of earlier versions that the ones above replace.
const SUPERSEDED: [(&str, &str); 3] =
    [(MESSAGES, "room_by_time"), (MESSAGES, "user_by_time"), (BROADCASTS, "room_by_time")];

/// Matches the messages whose text is not folded yet. The index `UNFOLDED` has them.
pub(crate) fn unfolded() -> Document {
    doc! { "message": { "$exists": true, "$type": "string" }, "folded": null }
}

/// Matches the messages that the text index may lack. The index `UNINDEXED` has them.
pub(crate) fn unindexed() -> Document {
    doc! { "message": { "$exists": true, "$type": "string" }, "textIndex": null }
}

/// Creates missing collections and indexes.
pub(crate) async fn prepare(database: &Database) -> Result<(), Failure> {
    // zstd: 59 bytes on disk per message, against 98 with the default.
    let compressed = doc! { "storageEngine": { "wiredTiger": { "configString": "block_compressor=zstd" } } };
    database.create_collection(MESSAGES, compressed.clone()).await?;
    database.create_collection(TEXT_GRAMS, compressed).await?;
    for collection in [DECISIONS, BROADCASTS, QUARANTINE, ERASURES, ERASED_IDS, PROGRESS, RUNS, GAPS, TEXT_PARTS] {
        database.create_collection(collection, doc! {}).await?;
    }
    for collection in INDEXED {
        let indexes = INDEXES.iter().filter(|index| index.collection == collection);
        match database.create_indexes(collection, indexes.clone().map(Index::document).collect()).await {
            // One by one, so that the index of an operator does not keep the others from being created.
            Err(Failure::Exists) => {
                for index in indexes {
                    index.create(database).await?;
                }
            }
            answer => answer?,
        }
    }
    for (collection, name) in SUPERSEDED {
        database.drop_index(collection, name).await?;
    }
    Ok(())
}

impl Index {
    async fn create(&self, database: &Database) -> Result<(), Failure> {
        let Index { collection, name, .. } = self;
        match database.create_indexes(collection, vec![self.document()]).await {
            Err(Failure::Exists) => tracing::warn!(
                collection,
                index = name,
                "{collection} has another index with the keys or the name of {name}, and it stays as it is"
            ),
            answer => answer?,
        }
        Ok(())
    }

    /// The index, as the command takes it.
    fn document(&self) -> Document {
        let keys: Document = self.keys.iter().map(|key| ((*key).to_owned(), 1.into())).collect();
        let mut index = doc! { "name": self.name, "key": keys };
        let exist = self.only_with.iter().map(|member| ((*member).to_owned(), doc! { "$exists": true }.into()));
        let lack = self.only_without.iter().map(|member| ((*member).to_owned(), Bson::Null));
        let condition: Document = exist.chain(lack).collect();
        if !condition.is_empty() {
            index.insert("partialFilterExpression", condition);
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_is_of_a_collection_whose_indexes_are_created() {
        assert!(INDEXES.iter().all(|index| INDEXED.contains(&index.collection)));
    }
}
