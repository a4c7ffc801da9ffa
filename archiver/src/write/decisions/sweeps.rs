//! Sweeps: such a decision deletes the messages of a room that match its rule. An undone sweep deletes nothing: what it
//! had marked gets the marks of the other decisions.
//!
//! Both sides write first and look afterwards here, too. Archiving a sweep stores it, marks, and then looks for its
//! undoing. Archiving the undoing stores it, then takes the marks back.

use std::collections::BTreeSet;

use mongodb::bson::{DateTime, Document, doc};

use super::{apply, purge, take_back_page};
use crate::mongo::database::Database;
use crate::mongo::documents::{DecisionDocument, SWEPT};
use crate::mongo::failure::Failure;

/// The type of the decision that undoes one.
pub(super) const UNDONE: &str = "sweep.undone";

/// A day: a sweep that is older when it is undone was undone by a version with another bound, or by hand.
const LONGEST_UNDOABLE_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// Matches the messages that the sweep deletes, at any position. None: it deletes nothing, or its rule has been
/// removed.
pub(super) async fn about(database: &Database, sweep: &DecisionDocument) -> Result<Option<Document>, Failure> {
    let (Some(since), Some(rule), Some(room)) = (sweep.swept_from, &sweep.rule, sweep.presenter_idx) else {
        return Ok(None);
    };
    let mut about = doc! { "presenterIdx": room, "sentAt": { "$gte": since } };
    match &rule.users {
        Some(users) => {
            let numbers = purge::numbers(database, users.iter().copied().collect()).await?;
            about.insert("userIdx", doc! { "$in": numbers });
        }
        None if rule.texts.is_none() && rule.label.is_none() => return Ok(None),
        None => _ = about.insert("role", "viewer"),
    }
    if let Some(texts) = &rule.texts {
        about.insert("folded", doc! { "$in": texts });
    }
    if let Some(label) = &rule.label {
        about.insert("flags", label);
    }
    Ok(Some(about))
}

/// The ids of those sweeps that are undone.
pub(super) async fn undone(
    database: &Database,
    sweeps: impl Iterator<Item = &DecisionDocument>,
) -> Result<BTreeSet<String>, Failure> {
    let sweeps: Vec<&DecisionDocument> = sweeps.filter(|decision| decision.kind == SWEPT).collect();
    if sweeps.is_empty() {
        return Ok(BTreeSet::new());
    }
    let targets: Vec<&str> = sweeps.iter().map(|sweep| sweep.id.as_str()).collect();
    let undoings = doc! { "type": UNDONE, "target": { "$in": targets } };
    let undoings: Vec<DecisionDocument> = database.find(&database.decisions(), undoings, 0).await?;
    let is_undone = |sweep: &&DecisionDocument| undoings.iter().any(|undoing| undoes(undoing, sweep));
    Ok(sweeps.into_iter().filter(is_undone).map(|sweep| sweep.id.clone()).collect())
}

/// Whether the decision undoes the sweep. With the room: a moderator of one room must not undo in another.
fn undoes(undoing: &DecisionDocument, sweep: &DecisionDocument) -> bool {
    undoing.target.as_ref() == Some(&sweep.id)
        && undoing.presenter_idx == sweep.presenter_idx
        && undoing.position > sweep.position
}

/// Takes back the marks of the sweep that the decision undoes. A sweep that is archived later finds the decision.
pub(super) async fn undo(database: &Database, undoing: &DecisionDocument) -> Result<(), Failure> {
    let Some(target) = &undoing.target else { return Ok(()) };
    let its_sweep = doc! { "_id": target, "type": SWEPT };
    let found: Vec<DecisionDocument> = database.find(&database.decisions(), its_sweep, 1).await?;
    match found.first() {
        Some(sweep) if undoes(undoing, sweep) => unmark(database, sweep).await,
        _ => Ok(()),
    }
}

/// Takes back the marks of a sweep that is undone. A message whose text has been removed stays deleted.
pub(super) async fn unmark(database: &Database, sweep: &DecisionDocument) -> Result<(), Failure> {
    let marked = doc! {
        "presenterIdx": sweep.presenter_idx,
        // The index of deleted messages has this condition.
        "deleted": { "$exists": true },
        "deleted.decision": &sweep.id,
        "message": { "$exists": true },
    };
    // Asked before each page: of several copies of the undoing the first one may be about another sweep.
    while undone(database, [sweep].into_iter()).await?.contains(&sweep.id) {
        if !take_back_page(database, &marked, "deleted").await? {
            break;
        }
    }
    Ok(())
}

/// Applies the sweeps again that a copy of the decision may have undone: another copy, about another sweep, is the
/// first one.
pub(super) async fn reapply(database: &Database, undoing: &DecisionDocument) -> Result<(), Failure> {
    if undoing.kind != UNDONE {
        return Ok(());
    }
    let since = DateTime::from_millis(undoing.at.timestamp_millis().saturating_sub(LONGEST_UNDOABLE_MILLIS));
    let sweeps = doc! { "presenterIdx": undoing.presenter_idx, "type": SWEPT, "at": { "$gte": since } };
    let sweeps: Vec<DecisionDocument> = database.find(&database.decisions(), sweeps, 0).await?;
    // Boxed: it is part of applying decisions.
    Box::pin(apply(database, sweeps, None, &[])).await
}

/// Matches the messages that the sweep does not delete. None: it deletes nothing.
pub(super) async fn stale(database: &Database, sweep: &DecisionDocument) -> Result<Option<Document>, Failure> {
    Ok(about(database, sweep).await?.map(|about| doc! { "$nor": [about] }))
}
