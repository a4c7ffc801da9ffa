//! The ids of removed messages, and nothing else of them, for as long as the log may hold events about them. An event
//! under an idempotency key can be in the log twice, the second time after the erasure: without its id it would look
//! like a new message. A deletion of the message may be archived after the erasure: without the id its reason would
//! stay.

use chat::EventId;
use mongodb::bson::{DateTime, doc};

use super::receipt::MARGIN_MILLIS;
use super::tombstones::Tombstones;
use crate::mongo::database::Database;
use crate::mongo::documents::{ErasedIdDocument, ErasureDocument};
use crate::mongo::failure::Failure;
use crate::work::Work;
use crate::write::text_index;

/// Records the ids, before the messages are removed.
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

/// The batch without erased messages, and without later copies of messages that were erased before. Records the ids of
/// the batch's erased messages, and removes later copies of them that are archived already.
pub(crate) async fn censor(database: &Database, erasures: &Tombstones, work: &Work) -> Result<Work, Failure> {
    for (erasure, messages) in erasures.removed(work) {
        let ids: Vec<&str> = messages.iter().copied().filter(|id| may_come_again(id)).collect();
        let filter = doc! { "_id": { "$in": &ids }, "userIdx": erasure.user_idx };
        remember(database, erasure, messages.iter().copied()).await?;
        if !ids.is_empty() {
            text_index::remove_messages(database, filter).await?;
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

/// Removes stored messages of the batch that are copies of messages which were erased meanwhile.
pub(crate) async fn enforce(database: &Database, erasures: &Tombstones, work: &Work) -> Result<(), Failure> {
    let suspects = suspects(erasures, work);
    if suspects.is_empty() {
        return Ok(());
    }
    let erased = among(database, suspects).await?;
    text_index::remove_messages(database, doc! { "_id": { "$in": erased }, "userIdx": { "$gt": 0_i64 } }).await
}

/// The batch's messages that may be copies of a removed one.
fn suspects(erasures: &Tombstones, work: &Work) -> Vec<String> {
    let messages = work.messages.iter().map(|message| &message.document);
    let suspects = messages.filter(|message| may_come_again(&message.id) && erasures.has_removed(message.user_idx));
    suspects.map(|message| message.id.clone()).collect()
}

/// The recorded ids among these.
pub(crate) async fn among(database: &Database, ids: Vec<String>) -> Result<Vec<String>, Failure> {
    let erased: Vec<ErasedIdDocument> =
        database.find(&database.erased_ids(), doc! { "_id": { "$in": ids } }, 0).await?;
    Ok(erased.into_iter().map(|erased| erased.id).collect())
}

fn may_come_again(id: &str) -> bool {
    id.parse::<EventId>().is_ok_and(EventId::is_derived)
}
