//! The text index follows the messages. A part is built once, from the messages that are archived by then. An archiver
//! that stores or removes a text looks for the parts that cover it afterwards, and removes them: the messages of such a
//! part are searched without an index until it is built again.
//!
//! Both sides write first and look afterwards. An archiver that builds a part stores its claim, then reads the messages.
//! One that stores a message stores it, then looks for parts and claims. Whichever is second sees the other. A part
//! whose claim was removed meanwhile is not finished.
//!
//! Earlier versions and other programs store messages without looking for parts. Their messages lack `textIndex`, and
//! a room with such a message is searched without the index until [`backfill`](super::backfill) has marked them.

pub(crate) mod build;

use std::collections::BTreeMap;

use mongodb::bson::{Document, doc};
use mongodb::options::FindOptions;
use serde::Deserialize;

use crate::mongo::database::Database;
use crate::mongo::documents::{MessageDocument, PartDocument, PartState, PositionDocument};
use crate::mongo::failure::Failure;

/// Where a message is.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Place {
    pub(crate) presenter_idx: i64,
    pub(crate) position: PositionDocument,
}

impl From<&MessageDocument> for Place {
    fn from(message: &MessageDocument) -> Place {
        Place { presenter_idx: message.presenter_idx, position: message.position }
    }
}

/// Removes the parts that cover a message, after it was stored or before it is removed.
pub(crate) async fn invalidate(database: &Database, places: &[Place]) -> Result<(), Failure> {
    // Positions are comparable within a partition, and each epoch is of one partition: one question for each epoch.
    let mut epochs: BTreeMap<i64, Vec<Place>> = BTreeMap::new();
    for place in places {
        epochs.entry(place.position.epoch).or_default().push(*place);
    }
    for places in epochs.into_values() {
        let mut rooms: Vec<i64> = places.iter().map(|place| place.presenter_idx).collect();
        rooms.sort_unstable();
        rooms.dedup();
        let first = places.iter().map(|place| place.position).min();
        let filter = doc! { "presenterIdx": { "$in": rooms }, "last": { "$gte": first } };
        // Usually there are none: new messages are after every part.
        for part in parts(database, filter).await? {
            let is_in = |place: &Place| place.presenter_idx == part.presenter_idx && part.covers(place.position);
            if places.iter().any(is_in) {
                remove(database, &part).await?;
            }
        }
    }
    Ok(())
}

/// Removes the messages that match, and what the text index has of them.
pub(crate) async fn remove_messages(database: &Database, filter: Document) -> Result<(), Failure> {
    let collection = database.messages();
    forget(database, filter.clone(), async {
        database.ask(async move { collection.delete_many(filter).await }).await.map(|_| ())
    })
    .await
}

/// Removes what the text index has of the messages that match, about a change that removes their texts.
pub(crate) async fn forget<T>(
    database: &Database,
    messages: Document,
    change: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let places: Vec<Place> = database.find(&database.messages(), messages, 0).await?;
    // Before: once the texts are gone, a repetition would not find their places.
    invalidate(database, &places).await?;
    let changed = change.await?;
    // And afterwards: a part may have been built from the texts meanwhile.
    invalidate(database, &places).await?;
    Ok(changed)
}

/// The parts that match, in the order of the room.
async fn parts(database: &Database, filter: Document) -> Result<Vec<PartDocument>, Failure> {
    // Without a hint: a program that only writes may find a database where no archiver of this version created indexes.
    let options = FindOptions::builder().sort(doc! { "presenterIdx": 1, "last": 1 }).build();
    database.select(&database.text_parts(), filter, options).await
}

/// Removes a part, or a claim. The documents of a claim are removed by the archiver that has it, if that lives.
async fn remove(database: &Database, part: &PartDocument) -> Result<(), Failure> {
    let this = doc! { "_id": &part.id, "token": &part.token };
    let collection = database.text_parts();
    let removed = doc! { "$set": { "state": "removed" } };
    database.ask(async move { collection.update_one(this, removed).await }).await?;
    if part.state == PartState::Building { Ok(()) } else { clean_up(database, part).await }
}

/// Removes what is left of a part that no search uses any more.
async fn clean_up(database: &Database, part: &PartDocument) -> Result<(), Failure> {
    // The point is the character before the slash.
    let its = doc! { "_id": { "$gt": format!("{}.", part.token), "$lt": format!("{}/", part.token) } };
    let collection = database.text_grams();
    database.ask(async move { collection.delete_many(its).await }).await?;
    // The part itself comes last, so that it is found again after an interruption.
    let this = doc! { "_id": &part.id, "token": &part.token };
    let collection = database.text_parts();
    database.ask(async move { collection.delete_one(this).await }).await.map(|_| ())
}
