//! Reasons of deletions, restorations and reports. They say something about the author of the message, as the reason of
//! a ban says something about the banned user. So when a message is erased, the reasons of the decisions about it are
//! removed: in `moderation_log`, and in the message's own mark.
//!
//! Both sides write first and look afterwards. The erasing side removes, remembers or anonymises the messages, then
//! removes the reasons. The archiving side stores a deletion, then looks whether its message is erased.

use std::collections::{BTreeSet, HashMap};

use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use serde::Deserialize;

use super::replay_guard;
use super::tombstones::Tombstones;
use crate::mongo::database::Database;
use crate::mongo::documents::{QuarantineDocument, target};
use crate::mongo::failure::Failure;
use crate::work::Work;

/// The events that are about a message.
const DECISIONS: [&str; 4] = ["message.deleted", "message.restored", "message.reported", "report.closed"];

/// Removes the reasons of the messages' deletions and restorations. Returns the number of those decisions, with or
/// without a reason, so that repeating it counts the same.
pub(crate) async fn forget(database: &Database, messages: &[String]) -> Result<i64, Failure> {
    if messages.is_empty() {
        return Ok(0);
    }
    let about = doc! { "type": { "$in": DECISIONS }, "target": { "$in": messages } };
    let decisions = ids(database, &database.decisions().clone_with_type(), about).await?;
    if decisions.is_empty() {
        return Ok(0);
    }
    let collection = database.decisions();
    let with_reason = doc! { "_id": { "$in": &decisions }, "reason": { "$exists": true } };
    let update = async move { collection.update_many(with_reason, doc! { "$unset": { "reason": "" } }).await };
    database.ask(update).await?;
    let collection = database.messages();
    // Not the reason of a clear of the room: that is about no user.
    let marked = doc! {
        "_id": { "$in": messages },
        "deleted.decision": { "$in": &decisions },
        "deleted.reason": { "$exists": true },
    };
    let update = async move { collection.update_many(marked, doc! { "$unset": { "deleted.reason": "" } }).await };
    database.ask(update).await?;
    Ok(i64::try_from(decisions.len()).unwrap_or(i64::MAX))
}

/// The erased messages among those that the batch deletes or restores with a reason.
pub(crate) async fn erased(database: &Database, erasures: &Tombstones, work: &Work) -> Result<Vec<String>, Failure> {
    let decisions = work.decisions.iter().map(|decision| &decision.document);
    let targets: BTreeSet<&str> = decisions
        .filter(|decision| decision.reason.is_some())
        .filter_map(|decision| decision.target.as_deref())
        .collect();
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let targets: Vec<String> = targets.into_iter().map(str::to_owned).collect();
    let mut erased: BTreeSet<String> = replay_guard::among(database, targets.clone()).await?.into_iter().collect();
    // Messages under a pseudonym.
    let anonymised = doc! { "_id": { "$in": &targets }, "userIdx": { "$lt": 0_i64 } };
    erased.extend(ids(database, &database.messages().clone_with_type(), anonymised).await?);
    erased.extend(covered(erasures, work).into_iter().filter(|id| targets.contains(id)));
    Ok(erased.into_iter().collect())
}

/// Removes the reasons about erased messages, of the batch's decisions and about the batch's messages, after the batch
/// is stored.
pub(crate) async fn enforce(database: &Database, erasures: &Tombstones, work: &Work) -> Result<(), Failure> {
    let mut messages = covered(erasures, work);
    messages.extend(erased(database, erasures, work).await?);
    forget(database, &messages).await.map(|_| ())
}

/// Removes the reasons of decisions about these messages from the batch.
pub(crate) fn censor(work: &mut Work, erased: &[String]) {
    for decision in &mut work.decisions {
        let target = decision.document.target.as_ref();
        if target.is_some_and(|target| erased.contains(target)) {
            decision.document.reason = None;
        }
    }
}

/// The lines that may go into quarantine. A line that deletes or restores a message is about its author: it names the
/// author, so that an erasure finds it, and it is dropped if the author is erased already.
pub(crate) async fn quarantinable(
    database: &Database,
    mut lines: Vec<QuarantineDocument>,
) -> Result<Vec<QuarantineDocument>, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Authored {
        #[serde(rename = "_id")]
        id: String,
        user_idx: i64,
    }
    let target_of = |line: &QuarantineDocument| match &line.line {
        Bson::String(line) => target(line.as_bytes()),
        Bson::Binary(line) => target(&line.bytes),
        _ => None,
    };
    let targets: Vec<String> = lines.iter().filter_map(target_of).collect();
    if targets.is_empty() {
        return Ok(lines);
    }
    let authors: Vec<Authored> = database.find(&database.messages(), doc! { "_id": { "$in": &targets } }, 0).await?;
    let authors: HashMap<String, i64> = authors.into_iter().map(|Authored { id, user_idx }| (id, user_idx)).collect();
    let removed = replay_guard::among(database, targets).await?;
    lines.retain_mut(|line| {
        let Some(target) = target_of(line) else { return true };
        match authors.get(&target) {
            Some(author) if *author > 0 => line.users.push(*author),
            Some(_) => return false,
            None => {}
        }
        !removed.contains(&target)
    });
    Ok(lines)
}

/// The batch's messages that are erased.
fn covered(erasures: &Tombstones, work: &Work) -> Vec<String> {
    let messages = work.messages.iter().map(|message| &message.document);
    let covered = messages.filter(|message| erasures.covering(message.user_idx, message.position).is_some());
    covered.map(|message| message.id.clone()).collect()
}

async fn ids(
    database: &Database,
    collection: &mongodb::Collection<Document>,
    filter: Document,
) -> Result<Vec<String>, Failure> {
    #[derive(Deserialize)]
    struct FoundId {
        #[serde(rename = "_id")]
        id: String,
    }
    let collection = collection.clone_with_type::<FoundId>();
    let found =
        async move { collection.find(filter).projection(doc! { "_id": 1 }).await?.try_collect::<Vec<_>>().await };
    Ok(database.ask(found).await?.into_iter().map(|FoundId { id }| id).collect())
}
