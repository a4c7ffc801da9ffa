//! Messages, chatters and new chatters by time bucket. New chatters have never written in the room before.

use std::collections::HashMap;
use std::pin::pin;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mongodb::bson::doc;
use serde::Deserialize;

use super::authors::{self, Authors, Written};
use super::{AT_ONCE, Stretch};
use crate::mongo::database::Database;
use crate::mongo::failure::Failure;
use crate::mongo::schema::ROOM_CHATTERS;

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

/// 25,000: the chatters in one question, about 0.5 MB of numbers.
const CHATTERS: usize = 25_000;

/// Counts a stretch, bucket by bucket.
pub(crate) async fn counts(database: &Database, stretch: Stretch, bucket_ms: i64) -> Result<StretchCounts, Failure> {
    let Authors { buckets, users, .. } = authors::of_buckets(database, stretch, bucket_ms).await?;
    // In the order of the index.
    let mut chatters: Vec<i64> = users.into_keys().collect();
    chatters.sort_unstable();
    let came = came(database, stretch, bucket_ms, &chatters).await?;
    let bucket = |(offset, written): (i64, &Written)| {
        let Written { messages, chatters } = *written;
        Bucket { messages, chatters, new_chatters: came.get(&offset).copied().unwrap_or(0) }
    };
    Ok(StretchCounts {
        messages: buckets.iter().map(|written| written.messages).sum(),
        chatters: chatters.len() as u64,
        new_chatters: came.values().sum(),
        buckets: (0_i64..).map(|number| number * bucket_ms).zip(&buckets).map(bucket).collect(),
    })
}

/// The number of new chatters, by bucket.
async fn came(
    database: &Database,
    stretch: Stretch,
    bucket_ms: i64,
    chatters: &[i64],
) -> Result<HashMap<i64, u64>, Failure> {
    let some = chatters.chunks(CHATTERS).map(<[i64]>::to_vec);
    let answers = stream::iter(some).map(|some| came_of(database, stretch, bucket_ms, some));
    let mut answers = pin!(answers.buffer_unordered(AT_ONCE));
    let mut came: HashMap<i64, u64> = HashMap::new();
    while let Some(found) = answers.try_next().await? {
        for ArrivalsOfBucket { _id, chatters } in found {
            *came.entry(_id).or_default() += chatters;
        }
    }
    Ok(came)
}

#[derive(Deserialize)]
struct ArrivalsOfBucket {
    _id: i64,
    chatters: u64,
}

/// Those of these chatters who are new.
async fn came_of(
    database: &Database,
    stretch: Stretch,
    bucket_ms: i64,
    chatters: Vec<i64>,
) -> Result<Vec<ArrivalsOfBucket>, Failure> {
    let stages = vec![
        doc! { "$match": { "presenterIdx": stretch.presenter_idx, "userIdx": { "$in": chatters } } },
        // The order of ROOM_CHATTERS. MongoDB reads the first entry of each chatter and skips to the next chatter. The
        // first entry is the first message that was not deleted. No message is read.
        doc! { "$sort": { "userIdx": 1, "deleted.at": 1, "sentAt": 1 } },
        doc! { "$group": {
            "_id": "$userIdx",
            "deletedAt": { "$first": "$deleted.at" },
            "first": { "$first": "$sentAt" },
        } },
        doc! { "$match": { "deletedAt": null, "first": { "$gte": stretch.from, "$lt": stretch.to } } },
        doc! { "$group": { "_id": stretch.bucket("$first", bucket_ms), "chatters": { "$sum": 1 } } },
    ];
    database.aggregate(&database.messages(), stages, Some(ROOM_CHATTERS)).await
}
