//! Messages and chatters a bucket of time, and how many of those wrote in the room for the first time ever.

use std::collections::{BTreeSet, HashMap};

use mongodb::bson::{Bson, doc};
use serde::Deserialize;

use super::Stretch;
use crate::mongo::database::{Database, Failure};
use crate::mongo::schema::{ROOM_CHATTERS, ROOM_TIMES};

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

/// How many chatters are asked about in one question: some 2 MB of numbers.
const CHATTERS: usize = 100_000;

/// Counts a stretch, bucket by bucket.
pub(crate) async fn counts(database: &Database, stretch: Stretch, bucket_ms: i64) -> Result<Counts, Failure> {
    let written = written(database, stretch, bucket_ms).await?;
    let chatters: BTreeSet<i64> = written.values().flat_map(|bucket| &bucket.chatters).copied().collect();
    let chatters: Vec<i64> = chatters.into_iter().collect();
    let came = came(database, stretch, bucket_ms, &chatters).await?;
    let mut counts = Counts {
        messages: written.values().map(|written| written.messages).sum(),
        chatters: chatters.len() as u64,
        new_chatters: came.values().sum(),
        buckets: Vec::new(),
    };
    counts.buckets.extend((0..stretch.buckets(bucket_ms)).zip(0_i64..).map(|(_, number)| {
        let offset = number * bucket_ms;
        let new_chatters = came.get(&offset).copied().unwrap_or(0);
        match written.get(&offset) {
            Some(Written { messages, chatters }) => {
                Bucket { messages: *messages, chatters: chatters.len() as u64, new_chatters }
            }
            None => Bucket { new_chatters, ..Bucket::default() },
        }
    }));
    Ok(counts)
}

/// What was written in a bucket, and by whom.
#[derive(Debug)]
struct Written {
    messages: u64,
    chatters: Vec<i64>,
}

/// Messages and chatters, by bucket.
async fn written(database: &Database, stretch: Stretch, bucket_ms: i64) -> Result<HashMap<i64, Written>, Failure> {
    #[derive(Deserialize)]
    struct Found {
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
    let found: Vec<Found> = database.aggregate(&database.messages(), stages, Some(ROOM_TIMES)).await?;
    let bucket = |Found { _id, messages, chatters }: Found| {
        // Whatever somebody wrote there by hand is nobody's number.
        let chatters = chatters.iter().filter_map(Bson::as_i64).collect();
        (_id, Written { messages, chatters })
    };
    Ok(found.into_iter().map(bucket).collect())
}

/// How many of the chatters came to the room in which bucket, that is, wrote in it for the first time ever.
async fn came(
    database: &Database,
    stretch: Stretch,
    bucket_ms: i64,
    chatters: &[i64],
) -> Result<HashMap<i64, u64>, Failure> {
    #[derive(Deserialize)]
    struct Found {
        _id: i64,
        chatters: u64,
    }
    let mut came: HashMap<i64, u64> = HashMap::new();
    for chatters in chatters.chunks(CHATTERS) {
        let stages = vec![
            doc! { "$match": { "presenterIdx": stretch.presenter_idx, "userIdx": { "$in": chatters } } },
            // The order of ROOM_CHATTERS. Of each chatter MongoDB reads the first entry, and goes on to the next one's: it
            // is the first message that was not deleted. No message is read.
            doc! { "$sort": { "userIdx": 1, "deleted.at": 1, "sentAt": 1 } },
            doc! { "$group": {
                "_id": "$userIdx",
                "deletedAt": { "$first": "$deleted.at" },
                "first": { "$first": "$sentAt" },
            } },
            doc! { "$match": { "deletedAt": null, "first": { "$gte": stretch.from, "$lt": stretch.to } } },
            doc! { "$group": { "_id": stretch.bucket("$first", bucket_ms), "chatters": { "$sum": 1 } } },
        ];
        let found: Vec<Found> = database.aggregate(&database.messages(), stages, Some(ROOM_CHATTERS)).await?;
        for Found { _id, chatters } in found {
            *came.entry(_id).or_default() += chatters;
        }
    }
    Ok(came)
}
