//! Fills in what an earlier version did not write, a page at a time, beside the archiving. Until it is done, whoever
//! reads does without. Safe to repeat, to interrupt, and for several archivers at once.

use mongodb::bson::{Document, doc};
use mongodb::options::{FindOptions, Hint};
use serde::Deserialize;

use crate::mongo::database::{Database, Failure};
use crate::mongo::schema::UNFOLDED;
use crate::text_folding::folded;

/// How many texts are folded in one request, some 50 ms of work.
const PAGE: i64 = 1_000;

/// What matches the messages whose text nobody has folded yet; `UNFOLDED` has them.
pub(crate) fn unfolded() -> Document {
    doc! { "message": { "$exists": true, "$type": "string" }, "folded": null }
}

/// Folds the texts that are not.
pub(crate) async fn fold_texts(database: &Database) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Found {
        #[serde(rename = "_id")]
        id: String,
        message: String,
    }
    let mut done = 0;
    loop {
        let options = FindOptions::builder()
            .hint(Hint::Name(UNFOLDED.to_owned()))
            .projection(doc! { "message": 1 })
            .limit(PAGE)
            .build();
        let found: Vec<Found> = database.select(&database.messages(), unfolded(), options).await?;
        if found.is_empty() {
            break;
        }
        let update = |Found { id, message }: Found| {
            // Of a text that goes at this moment nothing may be left.
            let as_found = doc! { "_id": id, "message": { "$exists": true }, "folded": null };
            doc! { "q": as_found, "u": { "$set": { "folded": folded(&message) } } }
        };
        let updates: Vec<Document> = found.into_iter().map(update).collect();
        let answer = database.command(doc! { "update": "chatting_log", "updates": updates, "ordered": false }).await?;
        let changed = answer.get_i32("nModified").unwrap_or(0);
        done += i64::from(changed);
        // Another archiver is at it, or a validator refuses it: later.
        if changed == 0 {
            break;
        }
    }
    if done > 0 {
        tracing::info!(texts = done, "{done} texts that an earlier version archived are found faster now");
    }
    Ok(())
}
