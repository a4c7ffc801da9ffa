//! The words in most messages. A word is a run of at least two letters and numbers of any script, with their marks.
//! ASCII letters are lower-cased. Nothing else is normalised: Korean particles are not cut off.

use mongodb::bson::doc;
use serde::Deserialize;

use super::Stretch;
use crate::mongo::database::Database;
use crate::mongo::failure::Failure;
use crate::mongo::schema::ROOM_TIMES;

/// A word. Fillers, joiners and variation selectors are excluded: by category they are letters and marks, but
/// invisible.
const WORD: &str = concat!(
    r"(?:(?![\x{34F}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{3164}\x{FE00}-\x{FE0F}\x{FFA0}\x{E0100}-\x{E01EF}])",
    r"[\p{L}\p{N}](?:(?![\x{34F}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}])\p{M})*){2,}",
);

/// A word, and how often it was used.
#[derive(Debug, Deserialize)]
pub(crate) struct Word {
    #[serde(rename = "_id")]
    pub(crate) word: String,
    /// The number of messages with the word.
    pub(crate) messages: u64,
    /// The number of uses.
    pub(crate) uses: u64,
}

/// The first words by number of messages, then in the order of Unicode.
pub(crate) async fn top(database: &Database, stretch: Stretch, first: i64) -> Result<Vec<Word>, Failure> {
    let mut filter = stretch.filter();
    // A value of another type was changed by hand, and `$regexFindAll` would fail on it.
    filter.insert("message", doc! { "$type": "string" });
    // `$toLower` changes ASCII letters only.
    let found = doc! { "$regexFindAll": { "input": { "$toLower": "$message" }, "regex": WORD } };
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
        doc! { "$limit": first },
    ];
    database.aggregate(&database.messages(), stages, Some(ROOM_TIMES)).await
}
