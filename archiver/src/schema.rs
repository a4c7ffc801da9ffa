//! The collections and their indexes, made at start where they are missing. What is there stays as it is: an operator's
//! own indexes, validators and collection options are not touched.

use mongodb::bson::{Document, doc};

use crate::database::{Database, Failure};

/// Collection, index name, keys.
const INDEXES: [(&str, &str, &[&str]); 9] = [
    // A room by time; `_id` makes the order total, for cursors.
    ("chatting_log", "room_by_time", &["presenterIdx", "sentAt", "_id"]),
    ("chatting_log", "user_by_time", &["userIdx", "sentAt"]),
    // A room in the order of the log, and what a decision is about.
    ("chatting_log", "room_by_position", &["presenterIdx", "position"]),
    // The decisions after a message, asked for with every batch.
    ("moderation_log", "room_by_position", &["presenterIdx", "position"]),
    ("broadcasts", "room_by_time", &["presenterIdx", "connectedAt"]),
    // The erasures of those whom a batch names, asked for with every batch; and what they are about.
    ("erasures", "user", &["userIdx"]),
    ("moderation_log", "by", &["by.userIdx"]),
    ("moderation_log", "user", &["userIdx"]),
    ("quarantine", "users", &["users"]),
];

/// Creates what is missing.
pub(crate) async fn prepare(database: &Database) -> Result<(), Failure> {
    // zstd: 59 bytes on disk a message, against 98 with the default.
    let compressed = doc! { "storageEngine": { "wiredTiger": { "configString": "block_compressor=zstd" } } };
    database.create_collection("chatting_log", compressed).await?;
    for collection in ["moderation_log", "broadcasts", "quarantine", "erasures", "erased_ids"] {
        database.create_collection(collection, doc! {}).await?;
    }
    for (collection, name, keys) in INDEXES {
        let keys: Document = keys.iter().map(|key| ((*key).to_owned(), 1.into())).collect();
        match database.create_index(collection, name, keys).await {
            Err(Failure::Exists) => tracing::warn!(
                collection,
                index = name,
                "{collection} has another index with the keys or the name of {name}: it is left as it is"
            ),
            answer => answer?,
        }
    }
    Ok(())
}
