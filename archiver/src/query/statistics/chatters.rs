//! Who wrote most.

use chat::Role;
use mongodb::bson::{DateTime, doc};
use serde::Deserialize;

use super::Stretch;
use crate::mongo::database::{Database, Failure};
use crate::mongo::schema::ROOM_TIMES;

/// Somebody, and how much that one wrote.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Chatter {
    #[serde(rename = "_id")]
    pub(crate) user_idx: i64,
    pub(crate) messages: u64,
    pub(crate) first_at: DateTime,
    pub(crate) last_at: DateTime,
    pub(crate) latest: Known,
}

/// How the latest message knew its author.
#[derive(Debug, Deserialize)]
pub(crate) struct Known {
    pub(crate) nickname: String,
    pub(crate) role: Role,
}

/// The first so many by messages; of those with the same number, by theirs.
pub(crate) async fn top(database: &Database, stretch: Stretch, first: i64) -> Result<Vec<Chatter>, Failure> {
    let mut latest = stretch.counting();
    latest.insert("$expr", doc! { "$eq": ["$sentAt", "$$lastAt"] });
    let stages = vec![
        doc! { "$match": stretch.filter() },
        doc! { "$group": {
            "_id": "$userIdx",
            "messages": { "$sum": 1 },
            "firstAt": { "$min": "$sentAt" },
            "lastAt": { "$max": "$sentAt" },
        } },
        doc! { "$sort": { "messages": -1, "_id": 1 } },
        doc! { "$limit": first },
        // Names are looked up for these few: carried along with every message, they made it take thrice as long.
        doc! { "$lookup": {
            "from": "chatting_log",
            "localField": "_id",
            "foreignField": "userIdx",
            "let": { "lastAt": "$lastAt" },
            "pipeline": [
                { "$match": latest },
                { "$sort": { "position": -1 } },
                { "$limit": 1 },
                { "$project": { "_id": 0, "nickname": 1, "role": 1 } },
            ],
            "as": "latest",
        } },
        // One whose latest message has just been deleted is left out.
        doc! { "$unwind": "$latest" },
        doc! { "$sort": { "messages": -1, "_id": 1 } },
    ];
    database.aggregate(&database.messages(), stages, Some(ROOM_TIMES)).await
}
