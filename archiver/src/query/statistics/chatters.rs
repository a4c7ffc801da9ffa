//! The users who wrote most.

use chat::Role;
use mongodb::bson::{DateTime, doc};
use serde::Deserialize;

use super::Stretch;
use crate::mongo::collections::MESSAGES;
use crate::mongo::database::Database;
use crate::mongo::failure::Failure;
use crate::mongo::schema::ROOM_TIMES;

/// A user, and how much they wrote.
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

/// The user as of their latest message.
#[derive(Debug, Deserialize)]
pub(crate) struct Known {
    pub(crate) nickname: String,
    pub(crate) role: Role,
}

/// The first chatters by number of messages, then by the user's number.
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
        // Names are looked up for these few only: grouping them with every message takes three times as long.
        doc! { "$lookup": {
            "from": MESSAGES,
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
        // A chatter whose latest message has just been deleted is left out.
        doc! { "$unwind": "$latest" },
        doc! { "$sort": { "messages": -1, "_id": 1 } },
    ];
    database.aggregate(&database.messages(), stages, Some(ROOM_TIMES)).await
}
