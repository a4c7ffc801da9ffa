//! The ids of messages that were removed with their user, without anything else, for as long as the log may hold what is
//! about them. An event under an idempotency key can stand in the log twice, and the second time after the erasure: without
//! this it would be taken for a new message. And a deletion of the message may be archived after the erasure: without this
//! its reason would stay.

use chat::EventId;
use mongodb::bson::{DateTime, doc};

use super::receipt::MARGIN_MILLIS;
use super::tombstones::Tombstones;
use crate::mongo::database::{Database, Failure};
use crate::mongo::documents::{ErasedIdDocument, ErasureDocument};
use crate::write::work::Work;

/// Remembers the ids, before the messages go.
pub(crate) async fn remember(
    database: &Database,
    erasure: &ErasureDocument,
    messages: impl Iterator<Item = &str>,
) -> Result<(), Failure> {
    let expires_at = erasure.log_held_until;
    let expires_at = expires_at.map(|until| DateTime::from_millis(until.timestamp_millis() + MARGIN_MILLIS));
    let remembered = messages.map(|id| ErasedIdDocument { id: id.to_owned(), expires_at }).collect();
    database.insert(database.erased_ids(), remembered).await.map(|_| ())
}

/// The batch as it may be archived, also without later copies of what was erased. What of it is erased is remembered, and
/// goes where a later copy of it is there.
pub(crate) async fn censor(database: &Database, erasures: &Tombstones, work: &Work) -> Result<Work, Failure> {
    for (erasure, messages) in erasures.removed(work) {
        let ids: Vec<&str> = messages.iter().copied().filter(|id| may_come_again(id)).collect();
        let filter = doc! { "_id": { "$in": &ids }, "userIdx": erasure.user_idx };
        remember(database, erasure, messages.iter().copied()).await?;
        if !ids.is_empty() {
            let collection = database.messages();
            database.ask(async move { collection.delete_many(filter).await }).await?;
        }
    }
    let mut censored = erasures.censor(work);
    let suspects = suspects(erasures, &censored);
    if !suspects.is_empty() {
        let erased = among(database, suspects).await?;
        censored.messages.retain(|message| !erased.contains(&message.document.id));
    }
    Ok(censored)
}

/// Removes of the batch, which is stored already, what is a copy of something that was erased meanwhile.
pub(crate) async fn enforce(database: &Database, erasures: &Tombstones, work: &Work) -> Result<(), Failure> {
    let suspects = suspects(erasures, work);
    if suspects.is_empty() {
        return Ok(());
    }
    let erased = among(database, suspects).await?;
    let collection = database.messages();
    let filter = doc! { "_id": { "$in": erased }, "userIdx": { "$gt": 0_i64 } };
    database.ask(async move { collection.delete_many(filter).await }).await.map(|_| ())
}

/// Those of the batch's messages that may be copies of one that was removed.
fn suspects(erasures: &Tombstones, work: &Work) -> Vec<String> {
    let messages = work.messages.iter().map(|message| &message.document);
    let suspects = messages.filter(|message| may_come_again(&message.id) && erasures.has_removed(message.user_idx));
    suspects.map(|message| message.id.clone()).collect()
}

/// Those of the ids that are remembered.
pub(crate) async fn among(database: &Database, ids: Vec<String>) -> Result<Vec<String>, Failure> {
    let erased: Vec<ErasedIdDocument> =
        database.find(&database.erased_ids(), doc! { "_id": { "$in": ids } }, 0).await?;
    Ok(erased.into_iter().map(|erased| erased.id).collect())
}

fn may_come_again(id: &str) -> bool {
    id.parse::<EventId>().is_ok_and(EventId::is_derived)
}
