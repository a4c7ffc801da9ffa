//! Messages, chatters and new chatters by time bucket. New chatters have never written in the room before.

use std::collections::{BTreeSet, HashMap};

use mongodb::bson::{Bson, doc};
use serde::Deserialize;

use super::Stretch;
use crate::mongo::database::Database;
use crate::mongo::failure::Failure;
use crate::mongo::schema::{ROOM_CHATTERS, ROOM_TIMES};

/// The counts of a stretch.
#[derive(Debug)]
pub(crate) struct StretchCounts {
    pub(crate) messages: u64,
    pub(crate) chatters: u64,
    pub(crate) new_chatters: u64,
    /// All buckets, in order.
    pub(crate) buckets: Vec<Bucket>,
}

/// The counts of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) messages: u64,
    pub(crate) chatters: u64,
    pub(crate) new_chatters: u64,
}

/// 100,000: the chatters in one question, about 2 MB of numbers.
const CHATTERS: usize = 100_000;

/// StretchCounts a stretch, bucket by bucket.
pub(crate) async fn counts(database: &Database, stretch: Stretch, bucket_ms: i64) -> Result<StretchCounts, Failure> {
    let written = written(database, stretch, bucket_ms).await?;
    let chatters: BTreeSet<i64> = written.values().flat_map(|bucket| &bucket.chatters).copied().collect();
    let chatters: Vec<i64> = chatters.into_iter().collect();
    let came = came(database, stretch, bucket_ms, &chatters).await?;
    let mut counts = StretchCounts {
        messages: written.values().map(|written| written.messages).sum(),
        chatters: chatters.len() as u64,
        new_chatters: came.values().sum(),
        buckets: Vec::new(),
    };
    counts.buckets.extend((0..stretch.buckets(bucket_ms)).zip(0_i64..).map(|(_, number)| {
        let offset = number * bucket_ms;
        let new_chatters = came.get(&offset).copied().unwrap_or(0);
        match written.get(&offset) {
            Some(BucketContents { messages, chatters }) => {
                Bucket { messages: *messages, chatters: chatters.len() as u64, new_chatters }
            }
            None => Bucket { new_chatters, ..Bucket::default() },
        }
    }));
    Ok(counts)
}

/// The messages of a bucket, and their authors.
#[derive(Debug)]
struct BucketContents {
    messages: u64,
    chatters: Vec<i64>,
}

/// Messages and chatters, by bucket.
async fn written(
    database: &Database,
    stretch: Stretch,
    bucket_ms: i64,
) -> Result<HashMap<i64, BucketContents>, Failure> {
    #[derive(Deserialize)]
    struct MessagesOfBucket {
        _id: i64,
        messages: u64,
        chatters: Vec<Bson>,
    }
    let stages = vec![
        doc! { "$match": stretch.filter() },
        doc! { "$group": {
            "_id": stretch.bucket("$sentAt", bucket_ms),
            "messages": { "$sum": 1 },
            "chatters": { "$addToSet": "$userIdx" },
        } },
    ];
    let found: Vec<MessagesOfBucket> = database.aggregate(&database.messages(), stages, Some(ROOM_TIMES)).await?;
    let bucket = |MessagesOfBucket { _id, messages, chatters }: MessagesOfBucket| {
        // A value that was changed by hand is skipped.
        let chatters = chatters.iter().filter_map(Bson::as_i64).collect();
        (_id, BucketContents { messages, chatters })
    };
    Ok(found.into_iter().map(bucket).collect())
}

/// The number of new chatters, by bucket.
async fn came(
    database: &Database,
    stretch: Stretch,
    bucket_ms: i64,
    chatters: &[i64],
) -> Result<HashMap<i64, u64>, Failure> {
    #[derive(Deserialize)]
    struct ArrivalsOfBucket {
        _id: i64,
        chatters: u64,
    }
    let mut came: HashMap<i64, u64> = HashMap::new();
    for chatters in chatters.chunks(CHATTERS) {
        let stages = vec![
            doc! { "$match": { "presenterIdx": stretch.presenter_idx, "userIdx": { "$in": chatters } } },
            // The order of ROOM_CHATTERS. MongoDB reads the first entry of each chatter and skips to the next chatter.
            // The first entry is the first message that was not deleted. No message is read.
            doc! { "$sort": { "userIdx": 1, "deleted.at": 1, "sentAt": 1 } },
            doc! { "$group": {
                "_id": "$userIdx",
                "deletedAt": { "$first": "$deleted.at" },
                "first": { "$first": "$sentAt" },
            } },
            doc! { "$match": { "deletedAt": null, "first": { "$gte": stretch.from, "$lt": stretch.to } } },
            doc! { "$group": { "_id": stretch.bucket("$first", bucket_ms), "chatters": { "$sum": 1 } } },
        ];
        let found: Vec<ArrivalsOfBucket> =
            database.aggregate(&database.messages(), stages, Some(ROOM_CHATTERS)).await?;
        for ArrivalsOfBucket { _id, chatters } in found {
            *came.entry(_id).or_default() += chatters;
        }
    }
    Ok(came)
}
