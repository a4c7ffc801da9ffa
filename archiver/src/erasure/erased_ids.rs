//! The ids of messages that were removed with their user, for as long as the log may hold a copy of one. An event can
//! stand in the log twice, and the second time after the erasure: without this it would be taken for a new message. Only
//! events under an idempotency key have copies, so only their ids are kept, without anything else.

use mongodb::bson::{DateTime, doc};
use nats::EventId;

use super::erasures::MARGIN_MILLIS;
use super::tombstones::Tombstones;
use crate::database::{Database, Failure};
use crate::documents::{ErasedIdDocument, ErasureDocument};
use crate::work::Work;

/// Remembers those of the ids that may come again, before the messages go. Each with when it was sent.
pub(crate) async fn remember(
    database: &Database,
    erasure: &ErasureDocument,
    messages: impl Iterator<Item = (&str, DateTime)>,
) -> Result<(), Failure> {
    let millis = |time: mongodb::bson::DateTime| time.timestamp_millis();
    let held = erasure.log_held_until.zip(erasure.recorded_at);
    // What is older has left the log, and its copies with it.
    let oldest = held.map(|(until, recorded)| 2 * millis(recorded) - millis(until) - MARGIN_MILLIS);
    let expires_at = held.map(|(until, _)| DateTime::from_millis(millis(until) + MARGIN_MILLIS));
    let remembered = messages
        .filter(|(id, sent_at)| may_come_again(id) && oldest.is_none_or(|oldest| millis(*sent_at) >= oldest))
        .map(|(id, _)| ErasedIdDocument { id: id.to_owned(), expires_at })
        .collect();
    database.insert(database.erased_ids(), remembered).await.map(|_| ())
}

/// The batch as it may be archived, also without later copies of what was erased. What of it is erased is remembered, and
/// goes where a later copy of it is there.
pub(crate) async fn censor(database: &Database, erasures: &Tombstones, work: &Work) -> Result<Work, Failure> {
    for (erasure, messages) in erasures.removed(work) {
        let ids: Vec<&str> = messages.iter().map(|(id, _)| *id).filter(|id| may_come_again(id)).collect();
        let filter = doc! { "_id": { "$in": &ids }, "userIdx": erasure.user_idx };
        remember(database, erasure, messages.into_iter()).await?;
        if !ids.is_empty() {
            let collection = database.messages();
            database.ask(async move { collection.delete_many(filter).await }).await?;
        }
    }
    let mut censored = erasures.censor(work);
    let suspects = suspects(erasures, &censored);
    if !suspects.is_empty() {
        let erased = erased_of(database, suspects).await?;
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
    let erased = erased_of(database, suspects).await?;
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

async fn erased_of(database: &Database, ids: Vec<String>) -> Result<Vec<String>, Failure> {
    let erased: Vec<ErasedIdDocument> =
        database.find(&database.erased_ids(), doc! { "_id": { "$in": ids } }, 0).await?;
    Ok(erased.into_iter().map(|erased| erased.id).collect())
}

fn may_come_again(id: &str) -> bool {
    id.parse::<EventId>().is_ok_and(EventId::is_derived)
}
