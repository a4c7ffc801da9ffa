//! The words in most messages. A word is a run of at least two letters and numbers of any script, with their marks.
//! ASCII letters are lower-cased. Nothing else is normalised: Korean particles are not cut off.
//!
//! Texts are read from MongoDB and their words counted here, which takes a tenth of the time that MongoDB takes for it.
//! Memory is bounded ([`counts`]). In the rare case that this is not enough to be sure, MongoDB counts.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mongodb::bson::{RawDocument, doc};
use mongodb::options::{FindOptions, Hint};
use parking_lot::Mutex;
use serde::Deserialize;

use self::counts::Counts;
use super::{AT_ONCE, Stretch};
use crate::mongo::database::Database;
use crate::mongo::failure::Failure;
use crate::mongo::schema::{ROOM_AUTHORS, ROOM_TIMES};

mod counts;
mod split;

/// 2,000: the texts in an answer, usually 0.1 MB, and 4 MB of the longest.
const BATCH: u32 = 2_000;

/// A word, and how often it was used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Word {
    #[serde(rename = "_id")]
    pub(crate) word: String,
    /// The number of messages with the word.
    pub(crate) messages: u64,
    /// The number of uses.
    pub(crate) uses: u64,
}

/// The first words by number of messages, then in the order of Unicode.
pub(crate) async fn top(database: &Database, stretch: Stretch, first: usize) -> Result<Vec<Word>, Failure> {
    let counts = Arc::new(Mutex::new(Counts::new()));
    let parts = stream::iter(stretch.parts()).map(async |part| {
        let options = FindOptions::builder()
            .hint(Hint::Name(ROOM_AUTHORS.to_owned()))
            .projection(doc! { "_id": 0, "message": 1 })
            .batch_size(BATCH)
            .build();
        let counts = Arc::clone(&counts);
        let count = move |(): &mut (), message: &RawDocument| {
            // A value of another type was put there by hand.
            if let Ok(text) = message.get_str("message") {
                let text = text.to_ascii_lowercase();
                let words = split::sorted_words(&text);
                counts.lock().add(&words);
            }
        };
        database.fold(&database.messages(), part.indexed(), options, (), count).await
    });
    parts.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    let words = counts.lock().top(first);
    match words {
        Some(words) => Ok(words),
        None => top_by_mongodb(database, stretch, first).await,
    }
}

/// The same, counted by MongoDB, which writes to its disk what its memory does not hold.
async fn top_by_mongodb(database: &Database, stretch: Stretch, first: usize) -> Result<Vec<Word>, Failure> {
    let mut filter = stretch.filter();
    // `$regexFindAll` would fail on a value of another type.
    filter.insert("message", doc! { "$type": "string" });
    // `$toLower` changes ASCII letters only.
    let found = doc! { "$regexFindAll": { "input": { "$toLower": "$message" }, "regex": split::PATTERN } };
    let stages = vec![
        doc! { "$match": filter },
        doc! { "$project": { "_id": 0, "words": { "$map": { "input": found, "in": "$$this.match" } } } },
        doc! { "$set": { "word": "$words" } },
        doc! { "$unwind": { "path": "$word", "includeArrayIndex": "index" } },
        doc! { "$group": {
            "_id": "$word",
            "uses": { "$sum": 1 },
            // A message counts once, at its first use of the word.
            "messages": { "$sum": { "$cond": [{ "$eq": [{ "$indexOfArray": ["$words", "$word"] }, "$index"] }, 1, 0] } },
        } },
        doc! { "$sort": { "messages": -1, "_id": 1 } },
        doc! { "$limit": i64::try_from(first).unwrap_or(i64::MAX) },
    ];
    database.aggregate(&database.messages(), stages, Some(ROOM_TIMES)).await
}
