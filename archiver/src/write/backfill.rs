//! Backfills what earlier versions did not write, page by page, beside the archiving. Queries work without it, more
//! slowly. Safe to repeat, to interrupt, and to run on several archivers at once.

use std::time::Instant;

use chat::folded;
use mongodb::bson::{Document, doc};
use mongodb::options::{FindOptions, Hint};
use serde::Deserialize;
use tokio::time::sleep;

use crate::mongo::collections::MESSAGES;
use crate::mongo::database::Database;
use crate::mongo::documents::{PositionDocument, TEXT_INDEX_VERSION};
use crate::mongo::failure::Failure;
use crate::mongo::schema::{UNFOLDED, UNINDEXED, unfolded, unindexed};
use crate::write::text_index::{self, Place};

/// 1,000: the texts that one request folds, about 50 ms of work.
const PAGE: i64 = 1_000;

/// Folds the texts that are not folded yet.
pub(crate) async fn fold_texts(database: &Database) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct UnfoldedText {
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
        let found: Vec<UnfoldedText> = database.select(&database.messages(), unfolded(), options).await?;
        if found.is_empty() {
            break;
        }
        let update = |UnfoldedText { id, message }: UnfoldedText| {
            // Nothing may be left of a text that is removed at this moment.
            let as_found = doc! { "_id": id, "message": { "$exists": true }, "folded": null };
            doc! { "q": as_found, "u": { "$set": { "folded": folded(&message) } } }
        };
        let updates: Vec<Document> = found.into_iter().map(update).collect();
        let answer = database.command(doc! { "update": MESSAGES, "updates": updates, "ordered": false }).await?;
        let changed = answer.get_i32("nModified").unwrap_or(0);
        done += i64::from(changed);
        // Another archiver is doing it, or a validator refuses it: the next sweep retries.
        if changed == 0 {
            break;
        }
    }
    if done > 0 {
        tracing::info!(
            texts = done,
            "folded {done} texts that an earlier version archived: searches find them faster now"
        );
    }
    Ok(())
}

/// Marks the messages that the text index may lack. No part has one of them by then, so it has them once it is built
/// again. A text must be folded before.
pub(crate) async fn mark_texts(database: &Database) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct UnindexedText {
        #[serde(rename = "_id")]
        id: String,
        #[serde(flatten)]
        place: Place,
    }
    let mut done = 0;
    loop {
        let began = Instant::now();
        let options = FindOptions::builder()
            .hint(Hint::Name(UNINDEXED.to_owned()))
            .projection(doc! { "presenterIdx": 1, "position": 1 })
            .limit(PAGE)
            .build();
        let found: Vec<UnindexedText> = database.select(&database.messages(), unindexed(), options).await?;
        if found.is_empty() {
            break;
        }
        let places: Vec<Place> = found.iter().map(|text| text.place).collect();
        text_index::invalidate(database, &places).await?;
        let ids: Vec<String> = found.into_iter().map(|text| text.id).collect();
        // An earlier copy may have taken the place of a message meanwhile.
        let positions: Vec<PositionDocument> = places.iter().map(|place| place.position).collect();
        let as_found = doc! {
            "_id": { "$in": ids }, "position": { "$in": positions }, "folded": { "$exists": true }, "textIndex": null,
        };
        let marked = doc! { "$set": { "textIndex": TEXT_INDEX_VERSION } };
        let collection = database.messages();
        let changed = database.ask(async move { collection.update_many(as_found, marked).await }).await?.modified_count;
        done += changed;
        // Another archiver is doing it, or a validator refuses it: the next pass retries.
        if changed == 0 {
            break;
        }
        // At most half of the time.
        sleep(began.elapsed()).await;
    }
    if done > 0 {
        tracing::info!(
            texts = done,
            "marked {done} texts that an earlier version archived: the text index can have them"
        );
    }
    Ok(())
}
