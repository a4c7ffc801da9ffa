//! Messages and chatters a bucket of time, and how many of those wrote in the room for the first time ever.

use std::collections::HashMap;

use mongodb::bson::doc;
use serde::Deserialize;

use super::Stretch;
use crate::database::{Database, Failure};
use crate::schema::ROOM_TIMES;

/// A stretch in numbers.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) messages: u64,
    pub(crate) chatters: u64,
    pub(crate) new_chatters: u64,
    /// All of them, one after the other.
    pub(crate) buckets: Vec<Bucket>,
}

/// What was in a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) messages: u64,
    pub(crate) chatters: u64,
    pub(crate) new_chatters: u64,
}

/// Counts a stretch, bucket by bucket.
pub(crate) async fn counts(database: &Database, stretch: Stretch, bucket_ms: i64) -> Result<Counts, Failure> {
    let (written, came) = tokio::join!(written(database, stretch, bucket_ms), came(database, stretch, bucket_ms));
    let (written, came) = (written?, came?);
    let mut counts = Counts {
        messages: written.values().map(|written| written.messages).sum(),
        chatters: came.values().sum(),
        new_chatters: came.iter().filter(|(offset, _)| offset.is_some()).map(|(_, chatters)| chatters).sum(),
        buckets: Vec::new(),
    };
    counts.buckets.extend((0..stretch.buckets(bucket_ms)).zip(0_i64..).map(|(_, number)| {
        let offset = number * bucket_ms;
        let mut bucket = written.get(&offset).cloned().unwrap_or_default();
        bucket.new_chatters = came.get(&Some(offset)).copied().unwrap_or(0);
        bucket
    }));
    Ok(counts)
}

/// Messages and chatters, by bucket.
async fn written(database: &Database, stretch: Stretch, bucket_ms: i64) -> Result<HashMap<i64, Bucket>, Failure> {
    #[derive(Deserialize)]
    struct Found {
        _id: i64,
        messages: u64,
        chatters: u64,
    }
    let stages = vec![
        doc! { "$match": stretch.filter() },
        doc! { "$group": {
            "_id": stretch.bucket("$sentAt", bucket_ms),
            "messages": { "$sum": 1 },
            "chatters": { "$addToSet": "$userIdx" },
        } },
        doc! { "$set": { "chatters": { "$size": "$chatters" } } },
    ];
    let found: Vec<Found> = database.aggregate(&database.messages(), stages, Some(ROOM_TIMES)).await?;
    let bucket =
        |found: Found| (found._id, Bucket { messages: found.messages, chatters: found.chatters, ..Bucket::default() });
    Ok(found.into_iter().map(bucket).collect())
}

/// How many chatters came to the room in which bucket; in none those who had written before.
async fn came(database: &Database, stretch: Stretch, bucket_ms: i64) -> Result<HashMap<Option<i64>, u64>, Failure> {
    #[derive(Deserialize)]
    struct Found {
        _id: Option<i64>,
        chatters: u64,
    }
    let mut before = stretch.counting();
    before.insert("sentAt", doc! { "$lt": stretch.from });
    let stages = vec![
        doc! { "$match": stretch.filter() },
        doc! { "$group": { "_id": "$userIdx", "first": { "$min": "$sentAt" } } },
        doc! { "$lookup": {
            "from": "chatting_log",
            "localField": "_id",
            "foreignField": "userIdx",
            "pipeline": [
                { "$match": before },
                // The order of USER_TIMES, which no index of the room has. It passes over other rooms' messages by itself;
                // of the room's, one is read as a rule, to see that it was not deleted.
                { "$sort": { "sentAt": 1, "_id": 1 } },
                { "$limit": 1 },
                { "$project": { "_id": 1 } },
            ],
            "as": "before",
        } },
        doc! { "$group": {
            "_id": { "$cond": [{ "$eq": ["$before", []] }, stretch.bucket("$first", bucket_ms), null] },
            "chatters": { "$sum": 1 },
        } },
    ];
    let found: Vec<Found> = database.aggregate(&database.messages(), stages, Some(ROOM_TIMES)).await?;
    Ok(found.into_iter().map(|found| (found._id, found.chatters)).collect())
}
