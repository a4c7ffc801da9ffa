//! Which words are in most messages. A word is a run of letters and numbers of whatever script, two at least, with the
//! marks on them; ASCII is folded to lower case, and nothing else is done to it: Korean particles stay where they are.

use mongodb::bson::doc;
use serde::Deserialize;

use super::Stretch;
use crate::mongo::database::{Database, Failure};
use crate::mongo::schema::ROOM_TIMES;

/// What a word is. Fillers, joiners and variation selectors are letters and marks by category, and cannot be seen.
const WORD: &str = concat!(
    r"(?:(?![\x{34F}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{3164}\x{FE00}-\x{FE0F}\x{FFA0}\x{E0100}-\x{E01EF}])",
    r"[\p{L}\p{N}](?:(?![\x{34F}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}])\p{M})*){2,}",
);

/// A word, and where it was written.
#[derive(Debug, Deserialize)]
pub(crate) struct Word {
    #[serde(rename = "_id")]
    pub(crate) word: String,
    /// In how many messages.
    pub(crate) messages: u64,
    /// How many times.
    pub(crate) uses: u64,
}

/// The first so many by messages; of those in as many, by the word.
pub(crate) async fn top(database: &Database, stretch: Stretch, first: i64) -> Result<Vec<Word>, Failure> {
    let mut filter = stretch.filter();
    // Others are none of the archive's, and no words can be looked for in them.
    filter.insert("message", doc! { "$type": "string" });
    // `$toLower` folds ASCII and leaves all other letters as they are.
    let found = doc! { "$regexFindAll": { "input": { "$toLower": "$message" }, "regex": WORD } };
    let stages = vec![
        doc! { "$match": filter },
        doc! { "$project": { "_id": 0, "words": { "$map": { "input": found, "in": "$$this.match" } } } },
        doc! { "$set": { "word": "$words" } },
        doc! { "$unwind": { "path": "$word", "includeArrayIndex": "index" } },
        doc! { "$group": {
            "_id": "$word",
            "uses": { "$sum": 1 },
            // A message counts where it uses the word first.
            "messages": { "$sum": { "$cond": [{ "$eq": [{ "$indexOfArray": ["$words", "$word"] }, "$index"] }, 1, 0] } },
        } },
        doc! { "$sort": { "messages": -1, "_id": 1 } },
        doc! { "$limit": first },
    ];
    database.aggregate(&database.messages(), stages, Some(ROOM_TIMES)).await
}
