//! The collections and their indexes, made at start where they are missing. What is there stays as it is: an operator's
//! own indexes, validators and collection options are not touched.

use mongodb::bson::{Bson, Document, doc};

use crate::mongo::database::{Database, Failure};

/// An ascending index.
struct Index {
    collection: &'static str,
    name: &'static str,
    keys: &'static [&'static str],
    /// Members without which a document is not in it.
    only_with: &'static [&'static str],
    /// Members with which it is not in it.
    only_without: &'static [&'static str],
}

/// A room in the order of the log, and what a decision is about.
pub(crate) const ROOM_BY_POSITION: &str = "room_by_position";
/// Which positions a room had at a time, read without the messages.
pub(crate) const ROOM_TIMES: &str = "room_times";
/// A user across rooms; `_id` makes the order total, the room is there to be passed over without reading the message.
pub(crate) const USER_TIMES: &str = "user_times";
/// The few messages in which a filter found something.
pub(crate) const ROOM_FLAGGED: &str = "room_flagged";
/// The few messages that were taken away.
pub(crate) const ROOM_DELETED: &str = "room_deleted";
/// What a room said, folded: searches read the texts here, and only what they find as a whole.
pub(crate) const ROOM_TEXT: &str = "room_text";
/// The messages whose text an earlier version did not fold.
pub(crate) const UNFOLDED: &str = "unfolded";
/// When each of a room's chatters wrote first. What was deleted has a date before that, so that of a chatter the first
/// entry is the first message that was not, if there is one.
pub(crate) const ROOM_CHATTERS: &str = "room_chatters";
/// A room's sessions; `_id` makes the order total.
pub(crate) const ROOM_SESSIONS: &str = "room_sessions";
/// Decisions in the order of time; `_id` makes it total.
pub(crate) const DECISION_TIMES: &str = "times";

const INDEXES: [Index; 21] = [
    Index {
        collection: "chatting_log",
        name: ROOM_BY_POSITION,
        keys: &["presenterIdx", "position"],
        only_with: &[],
        only_without: &[],
    },
    Index {
        collection: "chatting_log",
        name: ROOM_TIMES,
        keys: &["presenterIdx", "sentAt", "position"],
        only_with: &[],
        only_without: &[],
    },
    Index {
        collection: "chatting_log",
        name: USER_TIMES,
        keys: &["userIdx", "sentAt", "_id", "presenterIdx"],
        only_with: &[],
        only_without: &[],
    },
    Index {
        collection: "chatting_log",
        name: ROOM_FLAGGED,
        keys: &["presenterIdx", "position"],
        only_with: &["flags.0"],
        only_without: &[],
    },
    Index {
        collection: "chatting_log",
        name: ROOM_DELETED,
        keys: &["presenterIdx", "position"],
        only_with: &["deleted"],
        only_without: &[],
    },
    Index {
        collection: "chatting_log",
        name: ROOM_TEXT,
        keys: &["presenterIdx", "position", "folded"],
        only_with: &[],
        only_without: &[],
    },
    Index {
        collection: "chatting_log",
        name: UNFOLDED,
        keys: &["presenterIdx", "position"],
        only_with: &["message"],
        only_without: &["folded"],
    },
    Index {
        collection: "chatting_log",
        name: ROOM_CHATTERS,
        keys: &["presenterIdx", "userIdx", "deleted.at", "sentAt"],
        only_with: &[],
        only_without: &[],
    },
    // The decisions after a message, asked for with every batch.
    Index {
        collection: "moderation_log",
        name: ROOM_BY_POSITION,
        keys: &["presenterIdx", "position"],
        only_with: &[],
        only_without: &[],
    },
    Index {
        collection: "moderation_log",
        name: ROOM_TIMES,
        keys: &["presenterIdx", "at", "_id"],
        only_with: &[],
        only_without: &[],
    },
    Index {
        collection: "moderation_log",
        name: DECISION_TIMES,
        keys: &["at", "_id"],
        only_with: &[],
        only_without: &[],
    },
    Index {
        collection: "broadcasts",
        name: ROOM_SESSIONS,
        keys: &["presenterIdx", "connectedAt", "_id"],
        only_with: &[],
        only_without: &[],
    },
    // The erasures of those whom a batch names, asked for with every batch; and what they are about.
    Index { collection: "erasures", name: "user", keys: &["userIdx"], only_with: &[], only_without: &[] },
    Index { collection: "moderation_log", name: "by", keys: &["by.userIdx"], only_with: &[], only_without: &[] },
    Index {
        collection: "moderation_log",
        name: "user",
        keys: &["userIdx"],
        only_with: &["userIdx"],
        only_without: &[],
    },
    // The deletions of messages that are erased.
    Index {
        collection: "moderation_log",
        name: "target",
        keys: &["target"],
        only_with: &["target"],
        only_without: &[],
    },
    Index {
        collection: "chatting_log",
        name: "deleted_by",
        keys: &["deleted.by.userIdx"],
        only_with: &["deleted.by.userIdx"],
        only_without: &[],
    },
    // What was archived beyond the progress, in order; and what is missing, by its place.
    Index { collection: "archive_runs", name: "place", keys: &["epoch", "from"], only_with: &[], only_without: &[] },
    Index { collection: "archive_gaps", name: "place", keys: &["epoch", "first"], only_with: &[], only_without: &[] },
    Index { collection: "quarantine", name: "users", keys: &["users"], only_with: &["users"], only_without: &[] },
    // The deleted texts that are to go.
    Index {
        collection: "chatting_log",
        name: "deleted_text",
        keys: &["deleted.at"],
        only_with: &["deleted.at", "message"],
        only_without: &[],
    },
];

/// Indexes of earlier versions whose work the ones above do; they would only cost.
const SUPERSEDED: [(&str, &str); 3] =
    [("chatting_log", "room_by_time"), ("chatting_log", "user_by_time"), ("broadcasts", "room_by_time")];

/// Creates what is missing.
pub(crate) async fn prepare(database: &Database) -> Result<(), Failure> {
    // zstd: 59 bytes on disk a message, against 98 with the default.
    let compressed = doc! { "storageEngine": { "wiredTiger": { "configString": "block_compressor=zstd" } } };
    database.create_collection("chatting_log", compressed).await?;
    for collection in [
        "moderation_log",
        "broadcasts",
        "quarantine",
        "erasures",
        "erased_ids",
        "archive_progress",
        "archive_runs",
        "archive_gaps",
    ] {
        database.create_collection(collection, doc! {}).await?;
    }
    for Index { collection, name, keys, only_with, only_without } in INDEXES {
        let keys: Document = keys.iter().map(|key| ((*key).to_owned(), 1.into())).collect();
        let mut index = doc! { "name": name, "key": keys };
        let exist = only_with.iter().map(|member| ((*member).to_owned(), doc! { "$exists": true }.into()));
        let lack = only_without.iter().map(|member| ((*member).to_owned(), Bson::Null));
        let condition: Document = exist.chain(lack).collect();
        if !condition.is_empty() {
            index.insert("partialFilterExpression", condition);
        }
        match database.create_index(collection, index).await {
            Err(Failure::Exists) => tracing::warn!(
                collection,
                index = name,
                "{collection} has another index with the keys or the name of {name}: it is left as it is"
            ),
            answer => answer?,
        }
    }
    for (collection, name) in SUPERSEDED {
        database.drop_index(collection, name).await?;
    }
    Ok(())
}
