//! Decisions and messages commute: a message is deleted if a deletion is after it and after its latest restoration in
//! the log, in whichever order they are archived, and however many archivers do it. A sweep with a span forward deletes
//! messages after it, too.
//!
//! Both sides write first and look afterwards. Archiving a decision stores it, then marks the messages that it finds.
//! Archiving a message stores it, then looks for decisions. Whichever is second sees the other. Of several deletions
//! the first one marks the message. Of several copies of a decision only the first one counts, so marks that a later
//! copy made beyond it are removed.

pub(crate) mod holds;
mod purge;
mod restore;
mod sweeps;

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::{DateTime, Document, doc, serialize_to_bson};
use serde::Deserialize;

use crate::mongo::database::Database;
use crate::mongo::documents::{DecisionDocument, DeletedDocument, MessageDocument, PositionDocument, SWEPT};
use crate::mongo::failure::Failure;
use crate::write::deduplicate;
use purge::BANNED;
use restore::RESTORED;
use sweeps::UNDONE;

/// 1,000: the messages that one request marks or unmarks. A room may have millions of messages, and a request must end
/// within its deadline.
const PAGE: i64 = 1_000;

/// What determines whether a decision is about a message.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessagePlace {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) presenter_idx: i64,
    pub(crate) user_idx: i64,
    pub(crate) sent_at: DateTime,
    pub(crate) position: PositionDocument,
}

impl From<&MessageDocument> for MessagePlace {
    fn from(message: &MessageDocument) -> MessagePlace {
        let MessageDocument { ref id, presenter_idx, user_idx, sent_at, position, .. } = *message;
        MessagePlace { id: id.clone(), presenter_idx, user_idx, sent_at, position }
    }
}

/// Marks the messages that the decisions delete, after they are stored. `copied`: decisions that the log has more than
/// once.
pub(crate) async fn enforce(database: &Database, ids: Vec<String>, copied: &[String]) -> Result<(), Failure> {
    let standing = deduplicate::find(database, &database.decisions(), ids).await?;
    apply(database, standing.into_values().collect(), None, copied).await
}

/// Marks the messages that decisions delete, after the messages are stored.
pub(crate) async fn reconcile(database: &Database, messages: &[MessagePlace]) -> Result<(), Failure> {
    // Positions are comparable within a partition, and each epoch is of one partition: one question for each epoch.
    let mut partitions: BTreeMap<i64, Vec<&MessagePlace>> = BTreeMap::new();
    for message in messages {
        partitions.entry(message.position.epoch).or_default().push(message);
    }
    for messages in partitions.into_values() {
        let ids: Vec<String> = messages.iter().map(|message| message.id.clone()).collect();
        let mut rooms: Vec<i64> = messages.iter().map(|message| message.presenter_idx).collect();
        rooms.sort_unstable();
        rooms.dedup();
        let first = messages.iter().map(|message| message.position).min().expect("each partition here has a message");
        let later = doc! {
            "presenterIdx": { "$in": &rooms },
            "position": { "$gt": first },
            "$or": [
                { "type": { "$in": ["room.cleared", SWEPT] } },
                { "type": { "$in": ["message.deleted", RESTORED] }, "target": { "$in": &ids } },
                purge::candidates(database, &messages).await?,
            ],
        };
        let about_them = doc! { "$or": [later, sweeps::candidates(&messages, &rooms)] };
        let found: Vec<DecisionDocument> = database.find(&database.decisions(), about_them, 0).await?;
        if !found.is_empty() {
            // Boxed: unmarking a message reconciles it again.
            Box::pin(apply(database, found, Some(&ids), &[])).await?;
        }
    }
    Ok(())
}

/// Marks and restores the messages that the decisions are about: all in their rooms, or only the given ones, about
/// which these are all decisions.
async fn apply(
    database: &Database,
    mut decisions: Vec<DecisionDocument>,
    messages: Option<&[String]>,
    copied: &[String],
) -> Result<(), Failure> {
    let mut moved: Vec<String> = copied.to_vec();
    let mut last: BTreeMap<String, DecisionDocument> = BTreeMap::new();
    let mut undone: BTreeSet<String> = BTreeSet::new();
    // Until the applied decisions are the stored ones: another archiver may have found an earlier copy meanwhile.
    while !decisions.is_empty() {
        // Restorations first: they remove the marks of earlier deletions, and later deletions mark the message again.
        decisions.sort_by_key(|decision| decision.kind != RESTORED);
        undone.extend(sweeps::undone(database, decisions.iter()).await?);
        for decision in decisions {
            match decision.kind.as_str() {
                RESTORED => restore::restore(database, &decision).await?,
                // Boxed: taking back marks applies decisions.
                UNDONE => Box::pin(sweeps::undo(database, &decision)).await?,
                SWEPT if undone.contains(&decision.id) => {}
                _ => mark(database, &decision, messages).await?,
            }
            last.insert(decision.id.clone(), decision);
        }
        let standing = deduplicate::find(database, &database.decisions(), last.keys().cloned().collect()).await?;
        let has_moved = |decision: &DecisionDocument| last[&decision.id].position != decision.position;
        // The moderator or the author may have been erased meanwhile: marks would keep the name or the reason.
        let said = |decision: &DecisionDocument| (decided_by(decision), decision.reason.clone());
        let is_other = |decision: &DecisionDocument| said(&last[&decision.id]) != said(decision);
        decisions = standing.into_values().filter(|decision| has_moved(decision) || is_other(decision)).collect();
        moved.extend(decisions.iter().filter(|decision| has_moved(decision)).map(|decision| decision.id.clone()));
    }
    // Another archiver may have stored the undoing meanwhile, and taken back only the marks before it.
    let marked = last.values().filter(|decision| !undone.contains(&decision.id));
    for sweep in sweeps::undone(database, marked).await? {
        Box::pin(sweeps::unmark(database, &last[&sweep])).await?;
    }
    for decision in last.values() {
        if moved.contains(&decision.id) {
            unmark(database, decision).await?;
            restore::withdraw(database, decision).await?;
            sweeps::reapply(database, decision).await?;
        } else if messages.is_none() {
            restore::recheck(database, decision).await?;
        }
    }
    Ok(())
}

/// Marks the messages that the decision deletes, that no earlier deletion marked and no later decision restored.
async fn mark(database: &Database, decision: &DecisionDocument, messages: Option<&[String]>) -> Result<(), Failure> {
    let (Some(mut about), Some(by)) = (about(database, decision).await?, decision.by.clone()) else { return Ok(()) };
    // The reason of a ban or a sweep is about its users, and an erasure finds it in `moderation_log` alone.
    let reason = if [BANNED, SWEPT].contains(&decision.kind.as_str()) { None } else { decision.reason.clone() };
    let later = doc! { "deleted.position": { "$gt": decision.position } };
    let of_another = doc! { "deleted.decision": &decision.id, "deleted.by.userIdx": { "$ne": by.user_idx } };
    // An absent reason matches null.
    let with_another = doc! { "deleted.decision": &decision.id, "deleted.reason": { "$ne": reason.clone() } };
    about.insert("$or", [doc! { "deleted": { "$exists": false } }, later, of_another, with_another]);
    about.insert("restored.position", doc! { "$not": { "$gt": decision.position } });
    if let Some(ids) = messages {
        // In addition to an `_id` that the filter may have.
        about.insert("$and", [doc! { "_id": { "$in": ids } }]);
    }
    let deleted =
        DeletedDocument { decision: decision.id.clone(), at: decision.at, by, reason, position: decision.position };
    let unfit = |_| Failure::Refused("a value does not fit into BSON".to_owned());
    let set = doc! { "$set": { "deleted": serialize_to_bson(&deleted).map_err(unfit)? } };
    let later = sweeps::later(decision, &about);
    let is_large = decision.kind == "room.cleared" && messages.is_none();
    mark_between(database, decision, &about, doc! { "$lt": decision.position }, &set, is_large).await?;
    match later {
        Some(later) => mark_between(database, decision, &later, doc! { "$gt": decision.position }, &set, false).await,
        None => Ok(()),
    }
}

/// Marks the messages between these positions, in pages if the decision `is_large`.
async fn mark_between(
    database: &Database,
    decision: &DecisionDocument,
    about: &Document,
    mut range: Document,
    set: &Document,
    is_large: bool,
) -> Result<(), Failure> {
    let similar = sweeps::similar(decision);
    loop {
        let mut end = if is_large { end_of_page(database, decision, &range).await? } else { None };
        let (mut page, mut filter) = (range.clone(), about.clone());
        if let Some(end) = end {
            page.insert("$lte", end);
        }
        filter.insert("position", page);
        if let Some(texts) = &similar {
            let compared = sweeps::compare(database, filter.clone(), texts).await?;
            filter.insert("_id", doc! { "$in": compared.similar });
            end = compared.end;
        }
        let (collection, set) = (database.messages(), set.clone());
        match database.ask(async move { collection.update_many(filter, set).await }).await {
            // A validator of an operator. The decision is in `moderation_log` anyway, and waiting would not help.
            Err(Failure::Refused(reason)) => {
                tracing::error!(
                    decision = decision.id,
                    reason,
                    "cannot mark a deleted message, MongoDB refuses it: {reason}"
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

/// The position of the last message of the next page of the decision's room. None: less than a page is left.
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
        // The index alone has these members.
        let members = doc! { "_id": 0, "position": 1 };
        let skipped = (PAGE - 1).unsigned_abs();
        collection.find_one(room).sort(doc! { "position": 1 }).skip(skipped).projection(members).await
    };
    Ok(database.ask(last).await?.map(|stored| stored.position))
}

/// Removes the decision's marks from messages that its first copy is not about, or that were restored after that copy.
/// Then applies other decisions to them.
async fn unmark(database: &Database, decision: &DecisionDocument) -> Result<(), Failure> {
    let Some(about) = about(database, decision).await?.map(|about| sweeps::whole(decision, about)) else {
        return Ok(());
    };
    let mut wrongly = doc! { "presenterIdx": decision.presenter_idx, "deleted.decision": &decision.id };
    let dissimilar = sweeps::dissimilar(database, decision, wrongly.clone()).await?;
    let is_not_about = doc! { "$or": [{ "$nor": [about] }, { "_id": { "$in": dissimilar } }] };
    wrongly.insert("$or", [is_not_about, doc! { "restored.position": { "$gt": decision.position } }]);
    take_back(database, wrongly, "deleted").await
}

/// Removes the member, which a decision wrongly set, from the messages that match, and applies all decisions to them.
async fn take_back(database: &Database, wrongly: Document, member: &str) -> Result<(), Failure> {
    while take_back_page(database, &wrongly, member).await? {}
    Ok(())
}

/// The same, of at most a page of messages. Returns whether there were any.
async fn take_back_page(database: &Database, wrongly: &Document, member: &str) -> Result<bool, Failure> {
    let messages: Vec<MessagePlace> = database.find(&database.messages(), wrongly.clone(), PAGE).await?;
    if messages.is_empty() {
        return Ok(false);
    }
    let ids: Vec<String> = messages.iter().map(|message| message.id.clone()).collect();
    let of_page = doc! { "$and": [wrongly.clone(), { "_id": { "$in": ids } }] };
    let (collection, unset) = (database.messages(), doc! { "$unset": { member: "" } });
    database.ask(async move { collection.update_many(of_page, unset).await }).await?;
    reconcile(database, &messages).await?;
    Ok(true)
}

/// Removes the marks of decisions that do not delete these messages: an earlier copy of a message replaced a later one,
/// which was another. Then applies the decisions about them.
pub(crate) async fn release(database: &Database, ids: Vec<String>) -> Result<(), Failure> {
    let marked = doc! { "_id": { "$in": &ids }, "deleted": { "$exists": true } };
    let marked: Vec<MessageDocument> = database.find(&database.messages(), marked, 0).await?;
    let decisions: BTreeSet<&str> =
        marked.iter().filter_map(|message| Some(message.deleted.as_ref()?.decision.as_str())).collect();
    if decisions.is_empty() {
        return Ok(());
    }
    let decisions: Vec<&str> = decisions.into_iter().collect();
    let decisions = doc! { "_id": { "$in": decisions }, "type": { "$in": [SWEPT, BANNED] } };
    let decisions: Vec<DecisionDocument> = database.find(&database.decisions(), decisions, 0).await?;
    for decision in decisions {
        let stale = if decision.kind == SWEPT {
            sweeps::stale(database, &decision, &ids).await?
        } else {
            purge::stale(&decision)
        };
        if let Some(mut stale) = stale {
            stale.insert("_id", doc! { "$in": &ids });
            stale.insert("deleted.decision", &decision.id);
            take_back(database, stale, "deleted").await?;
        }
    }
    Ok(())
}

fn decided_by(decision: &DecisionDocument) -> Option<i64> {
    decision.by.as_ref().map(|by| by.user_idx)
}

/// Matches the messages that a decision deletes, at any position. None: the decision deletes nothing.
async fn about(database: &Database, decision: &DecisionDocument) -> Result<Option<Document>, Failure> {
    Ok(match decision.kind.as_str() {
        // With the room: a moderator of one room must not delete in another.
        "message.deleted" => {
            let target = decision.target.as_deref();
            target.map(|target| doc! { "_id": target, "presenterIdx": decision.presenter_idx })
        }
        "room.cleared" => Some(doc! { "presenterIdx": decision.presenter_idx }),
        BANNED => purge::about(database, decision).await?,
        SWEPT => sweeps::about(database, decision).await?,
        _ => None,
    })
}
