//! Decisions and messages commute: a message is deleted if a decision about it stands after it in the log, in whichever
//! order the two are archived, and however many archivers do it.
//!
//! Both sides write first and look afterwards. Who archives a decision stores it, then marks the messages that it
//! finds; who archives a message stores it, then looks for decisions. Whichever is second sees the other. Of several decisions
//! the first is the one that the message names, and of several copies of a decision only the first counts, so what
//! a later copy marked beyond it is taken back.

use std::collections::BTreeMap;

use mongodb::bson::{Document, doc, serialize_to_bson};
use serde::Deserialize;

use crate::mongo::database::{Database, Failure};
use crate::mongo::documents::{DecisionDocument, DeletedDocument, MessageDocument, PositionDocument};
use crate::write::deduplicate;

/// How many messages are marked, or marks are taken back, in one request. A room may have millions of messages, and
/// no request may take longer than it is waited for.
const PAGE: i64 = 1_000;

/// What of a message decides whether a decision is about it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Place {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) presenter_idx: i64,
    pub(crate) position: PositionDocument,
}

impl From<&MessageDocument> for Place {
    fn from(message: &MessageDocument) -> Place {
        Place { id: message.id.clone(), presenter_idx: message.presenter_idx, position: message.position }
    }
}

/// Marks what the decisions, which are stored already, take away. `copied`: those that the log holds more than once.
pub(crate) async fn enforce(database: &Database, ids: Vec<String>, copied: &[String]) -> Result<(), Failure> {
    let standing = deduplicate::find(database, &database.decisions(), ids).await?;
    apply(database, standing.into_values().collect(), None, copied).await
}

/// Marks those of the messages, which are stored already, that decisions take away.
pub(crate) async fn reconcile(database: &Database, messages: &[Place]) -> Result<(), Failure> {
    // Positions are comparable within a partition, which the epoch stands for: one question for each.
    let mut partitions: BTreeMap<i64, Vec<&Place>> = BTreeMap::new();
    for message in messages {
        partitions.entry(message.position.epoch).or_default().push(message);
    }
    for messages in partitions.into_values() {
        let ids: Vec<String> = messages.iter().map(|message| message.id.clone()).collect();
        let mut rooms: Vec<i64> = messages.iter().map(|message| message.presenter_idx).collect();
        rooms.sort_unstable();
        rooms.dedup();
        let first = messages.iter().map(|message| message.position).min().expect("a partition is here for a message");
        let about_them = doc! {
            "presenterIdx": { "$in": rooms },
            "position": { "$gt": first },
            "$or": [{ "type": "room.cleared" }, { "type": "message.deleted", "target": { "$in": &ids } }],
        };
        let found: Vec<DecisionDocument> = database.find(&database.decisions(), about_them, 0).await?;
        if !found.is_empty() {
            // Boxed: taking back a mark reconciles the message again.
            Box::pin(apply(database, found, Some(&ids), &[])).await?;
        }
    }
    Ok(())
}

/// Marks what the decisions are about: all messages of their rooms, or only the given ones.
async fn apply(
    database: &Database,
    mut decisions: Vec<DecisionDocument>,
    messages: Option<&[String]>,
    copied: &[String],
) -> Result<(), Failure> {
    let mut moved: Vec<String> = copied.to_vec();
    let mut last: BTreeMap<String, DecisionDocument> = BTreeMap::new();
    // Until what was applied is what stands: meanwhile another archiver may have found an earlier copy.
    while !decisions.is_empty() {
        for decision in decisions {
            mark(database, &decision, messages).await?;
            last.insert(decision.id.clone(), decision);
        }
        let standing = deduplicate::find(database, &database.decisions(), last.keys().cloned().collect()).await?;
        let has_moved = |decision: &DecisionDocument| last[&decision.id].position != decision.position;
        // Or who decided was erased, or whose message it is: marks would keep the name, or the reason, that was applied.
        let said = |decision: &DecisionDocument| (decided_by(decision), decision.reason.clone());
        let is_other = |decision: &DecisionDocument| said(&last[&decision.id]) != said(decision);
        decisions = standing.into_values().filter(|decision| has_moved(decision) || is_other(decision)).collect();
        moved.extend(decisions.iter().filter(|decision| has_moved(decision)).map(|decision| decision.id.clone()));
    }
    for decision in last.values().filter(|decision| moved.contains(&decision.id)) {
        take_back(database, decision).await?;
    }
    Ok(())
}

/// Marks the messages before the decision that no earlier decision has marked.
async fn mark(database: &Database, decision: &DecisionDocument, messages: Option<&[String]>) -> Result<(), Failure> {
    let (Some(mut about), Some(by)) = (about(decision), decision.by.clone()) else { return Ok(()) };
    let later = doc! { "deleted.position": { "$gt": decision.position } };
    let of_another = doc! { "deleted.decision": &decision.id, "deleted.by.userIdx": { "$ne": by.user_idx } };
    // An absent reason equals null.
    let with_another = doc! { "deleted.decision": &decision.id, "deleted.reason": { "$ne": decision.reason.clone() } };
    about.insert("$or", [doc! { "deleted": { "$exists": false } }, later, of_another, with_another]);
    if let Some(ids) = messages {
        // Beside the `_id` that the filter may have: both must hold.
        about.insert("$and", [doc! { "_id": { "$in": ids } }]);
    }
    let deleted = DeletedDocument {
        decision: decision.id.clone(),
        at: decision.at,
        by,
        reason: decision.reason.clone(),
        position: decision.position,
    };
    let unfit = |_| Failure::Refused("a value does not fit into BSON".to_owned());
    let set = doc! { "$set": { "deleted": serialize_to_bson(&deleted).map_err(unfit)? } };
    let is_large = decision.kind == "room.cleared" && messages.is_none();
    let mut range = doc! { "$lt": decision.position };
    loop {
        let end = if is_large { end_of_page(database, decision, &range).await? } else { None };
        let (mut page, mut filter) = (range.clone(), about.clone());
        if let Some(end) = end {
            page.insert("$lte", end);
        }
        filter.insert("position", page);
        let (collection, set) = (database.messages(), set.clone());
        match database.ask(async move { collection.update_many(filter, set).await }).await {
            // A validator that somebody put there. The decision is in `moderation_log` all the same, and waiting would
            // not help.
            Err(Failure::Refused(reason)) => {
                tracing::error!(
                    decision = decision.id,
                    reason,
                    "a message that was deleted cannot be marked: {reason}"
                );
            }
            answer => _ = answer?,
        }
        match end {
            Some(end) => range.insert("$gt", end),
            None => return Ok(()),
        };
    }
}

/// The position of the last of the next so many messages of the decision's room; none where there are fewer.
async fn end_of_page(
    database: &Database,
    decision: &DecisionDocument,
    range: &Document,
) -> Result<Option<PositionDocument>, Failure> {
    #[derive(Deserialize)]
    struct Stored {
        position: PositionDocument,
    }
    let collection = database.messages().clone_with_type::<Stored>();
    let room = doc! { "presenterIdx": decision.presenter_idx, "position": range };
    let last = async move {
        // Read from the index alone.
        let members = doc! { "_id": 0, "position": 1 };
        let skipped = (PAGE - 1).unsigned_abs();
        collection.find_one(room).sort(doc! { "position": 1 }).skip(skipped).projection(members).await
    };
    Ok(database.ask(last).await?.map(|stored| stored.position))
}

/// Removes the decision's marks from messages that its first copy is not about, and lets other decisions decide on
/// them.
async fn take_back(database: &Database, decision: &DecisionDocument) -> Result<(), Failure> {
    let Some(mut about) = about(decision) else { return Ok(()) };
    about.insert("position", doc! { "$lt": decision.position });
    let wrongly = doc! {
        "presenterIdx": decision.presenter_idx,
        "deleted.decision": &decision.id,
        "$nor": [about],
    };
    loop {
        let messages: Vec<Place> = database.find(&database.messages(), wrongly.clone(), PAGE).await?;
        if messages.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = messages.iter().map(|message| message.id.clone()).collect();
        let mut marked = wrongly.clone();
        marked.insert("$and", [doc! { "_id": { "$in": ids } }]);
        let collection = database.messages();
        let unmark = doc! { "$unset": { "deleted": "" } };
        database.ask(async move { collection.update_many(marked, unmark).await }).await?;
        reconcile(database, &messages).await?;
    }
}

fn decided_by(decision: &DecisionDocument) -> Option<i64> {
    decision.by.as_ref().map(|by| by.user_idx)
}

/// Which messages a decision is about, wherever they stand; none for a decision that takes nothing away.
fn about(decision: &DecisionDocument) -> Option<Document> {
    match decision.kind.as_str() {
        // The room too: who moderates one room must not reach into another.
        "message.deleted" => Some(doc! { "_id": decision.target.as_deref()?, "presenterIdx": decision.presenter_idx }),
        "room.cleared" => Some(doc! { "presenterIdx": decision.presenter_idx }),
        _ => None,
    }
}
