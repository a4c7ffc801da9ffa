//! Restores a message: deletions before the restoration do not count any more. The message records its latest
//! restoration, so that an earlier deletion, whenever it is archived, does not mark it.

use mongodb::bson::{Document, doc, serialize_to_bson};

use super::{MessagePlace, PAGE, reconcile, take_back};
use crate::mongo::database::Database;
use crate::mongo::documents::{DecisionDocument, RestoredDocument};
use crate::mongo::failure::Failure;

/// The type of the decision.
pub(super) const RESTORED: &str = "message.restored";

/// Records the restoration in its message, unless a later one is there, and removes the mark of an earlier deletion. A
/// message whose text has been removed stays deleted.
pub(super) async fn restore(database: &Database, decision: &DecisionDocument) -> Result<(), Failure> {
    let Some(message) = message(decision) else { return Ok(()) };
    let restored = RestoredDocument { decision: decision.id.clone(), position: decision.position };
    let unfit = |_| Failure::Refused("a value does not fit into BSON".to_owned());
    let restored = serialize_to_bson(&restored).map_err(unfit)?;
    let mut unrestored = message.clone();
    unrestored.insert("position", doc! { "$lt": decision.position });
    unrestored.insert("message", doc! { "$exists": true });
    unrestored.insert("restored.position", doc! { "$not": { "$gte": decision.position } });
    update(database, decision, unrestored, doc! { "$set": { "restored": restored } }).await?;
    let mut marked = message;
    marked.insert("message", doc! { "$exists": true });
    marked.insert("restored.position", doc! { "$gte": decision.position });
    marked.insert("deleted.position", doc! { "$lt": decision.position });
    update(database, decision, marked, doc! { "$unset": { "deleted": "" } }).await
}

/// Applies the decisions about the restored message to it once more: a later deletion may have left no mark, because an
/// earlier one had.
pub(super) async fn recheck(database: &Database, decision: &DecisionDocument) -> Result<(), Failure> {
    let Some(message) = message(decision) else { return Ok(()) };
    let found: Vec<MessagePlace> = database.find(&database.messages(), message, PAGE).await?;
    reconcile(database, &found).await
}

/// Removes what later copies of the restoration recorded, also in messages that the first copy is not about, and
/// applies all decisions to those. Then applies all decisions to the message of the first copy.
pub(super) async fn withdraw(database: &Database, decision: &DecisionDocument) -> Result<(), Failure> {
    let Some(message) = message(decision) else { return Ok(()) };
    let wrongly = doc! {
        "restored.decision": &decision.id,
        "$or": [{ "$nor": [message] }, { "restored.position": { "$ne": decision.position } }],
    };
    take_back(database, wrongly, "restored").await?;
    recheck(database, decision).await
}

/// Matches the restored message. None: no restoration.
fn message(decision: &DecisionDocument) -> Option<Document> {
    let target = decision.target.as_deref().filter(|_| decision.kind == RESTORED)?;
    // With the room: a moderator of one room must not restore in another.
    Some(doc! { "_id": target, "presenterIdx": decision.presenter_idx })
}

async fn update(
    database: &Database,
    decision: &DecisionDocument,
    filter: Document,
    update: Document,
) -> Result<(), Failure> {
    let collection = database.messages();
    match database.ask(async move { collection.update_one(filter, update).await }).await {
        // A validator of an operator. The decision is in `moderation_log` anyway, and waiting would not help.
        Err(Failure::Refused(reason)) => {
            tracing::error!(decision = decision.id, reason, "cannot restore a message, MongoDB refuses it: {reason}");
            Ok(())
        }
        answer => answer.map(|_| ()),
    }
}
