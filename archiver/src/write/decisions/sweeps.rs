//! Sweeps: such a decision deletes the messages of a room that match its rule. An undone sweep deletes nothing: what it
//! had marked gets the marks of the other decisions.
//!
//! Both sides write first and look afterwards here, too. Archiving a sweep stores it, marks, and then looks for its
//! undoing. Archiving the undoing stores it, then takes the marks back.
//!
//! MongoDB does not compare texts for similarity: those messages are read and compared here.

use std::collections::BTreeSet;

use chat::{Similarity, TextMatcher};
use mongodb::bson::{DateTime, Document, doc};
use mongodb::options::FindOptions;
use serde::Deserialize;

use super::{MessagePlace, PAGE, apply, purge, take_back_page};
use crate::mongo::database::Database;
use crate::mongo::documents::{DecisionDocument, PositionDocument, REFUSE, RuleDocument, SWEPT};
use crate::mongo::failure::Failure;

/// The type of the decision that undoes one.
pub(super) const UNDONE: &str = "sweep.undone";

/// A day: a sweep that is older when it is undone was undone by a version with another bound, or by hand.
const LONGEST_UNDOABLE_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// Matches the messages that the sweep deletes, at any position. Those whose text is not [`similar`] are among them.
/// None: it deletes nothing, or its rule has been removed.
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
    match (&rule.texts, rule.similarity) {
        (None, _) => {}
        (Some(texts), None) => _ = about.insert("folded", doc! { "$in": texts }),
        (Some(_), Some(_)) => _ = about.insert("folded", doc! { "$type": "string" }),
    }
    if let Some(label) = &rule.label {
        about.insert("flags", label);
    }
    Ok(Some(about))
}

/// Of the messages at any position that the sweep is about, the later posts that it deletes. None: it deletes none.
pub(super) fn later(sweep: &DecisionDocument, about: &Document) -> Option<Document> {
    let (since, until) = (sweep.swept_from?, sweep.forward_until?);
    if sweep.forward.as_deref() != Some(REFUSE) {
        return None;
    }
    let mut later = about.clone();
    later.insert("sentAt", doc! { "$gte": since, "$lt": until });
    later.insert("role", "viewer");
    later.insert("released", doc! { "$exists": false });
    Some(later)
}

/// Matches the messages that the sweep deletes, whose text is perhaps not [`similar`].
pub(super) fn whole(sweep: &DecisionDocument, mut about: Document) -> Document {
    let later = later(sweep, &about);
    about.insert("position", doc! { "$lt": sweep.position });
    match later {
        None => about,
        Some(mut later) => {
            later.insert("position", doc! { "$gt": sweep.position });
            doc! { "$or": [about, later] }
        }
    }
}

/// Matches the earlier sweeps that may be about one of the messages.
pub(super) fn candidates(messages: &[&MessagePlace], rooms: &[i64]) -> Document {
    let sent = messages.iter().map(|message| message.sent_at).min();
    doc! { "presenterIdx": { "$in": rooms }, "forwardUntil": { "$gt": sent }, "type": SWEPT, "forward": REFUSE }
}

/// The texts to one of which a message's has to be similar. None: no similarity is part of the rule.
pub(super) fn similar(sweep: &DecisionDocument) -> Option<TextMatcher> {
    let RuleDocument { texts, similarity, .. } = sweep.rule.as_ref()?;
    let least = u8::try_from((*similarity)?).ok().and_then(|percent| Similarity::try_from(percent).ok());
    Some(TextMatcher::of_folded(texts.clone()?, least))
}

/// A page of messages, in the order of the log.
pub(super) struct ComparedPage {
    /// The ids of those whose text is similar.
    pub(super) similar: Vec<String>,
    dissimilar: Vec<String>,
    /// The last position. None: there are no more.
    pub(super) end: Option<PositionDocument>,
}

/// Compares the first page of messages that match.
pub(super) async fn compare(
    database: &Database,
    filter: Document,
    texts: &TextMatcher,
) -> Result<ComparedPage, Failure> {
    #[derive(Deserialize)]
    struct Said {
        #[serde(rename = "_id")]
        id: String,
        position: PositionDocument,
        folded: String,
    }
    let members = doc! { "position": 1, "folded": 1 };
    let options = FindOptions::builder().sort(doc! { "position": 1 }).projection(members).limit(PAGE).build();
    let page: Vec<Said> = database.select(&database.messages(), filter, options).await?;
    let is_full = i64::try_from(page.len()).is_ok_and(|length| length >= PAGE);
    let end = page.last().map(|said| said.position).filter(|_| is_full);
    let (similar, dissimilar): (Vec<Said>, Vec<Said>) =
        page.into_iter().partition(|said| texts.matches_folded(&said.folded));
    let ids = |page: Vec<Said>| page.into_iter().map(|said| said.id).collect();
    Ok(ComparedPage { similar: ids(similar), dissimilar: ids(dissimilar), end })
}

/// The ids of the messages that match the filter and whose text the sweep's rule does not mean.
pub(super) async fn dissimilar(
    database: &Database,
    sweep: &DecisionDocument,
    mut filter: Document,
) -> Result<Vec<String>, Failure> {
    let Some(texts) = similar(sweep) else { return Ok(Vec::new()) };
    filter.insert("folded", doc! { "$type": "string" });
    let mut found = Vec::new();
    loop {
        let page = compare(database, filter.clone(), &texts).await?;
        found.extend(page.dissimilar);
        match page.end {
            Some(end) => filter.insert("position", doc! { "$gt": end }),
            None => return Ok(found),
        };
    }
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

/// Matches those of the messages that the sweep has marked and does not delete. None: it deletes nothing.
pub(super) async fn stale(
    database: &Database,
    sweep: &DecisionDocument,
    ids: &[String],
) -> Result<Option<Document>, Failure> {
    let Some(about) = about(database, sweep).await?.map(|about| whole(sweep, about)) else { return Ok(None) };
    let marked = doc! { "_id": { "$in": ids }, "deleted.decision": &sweep.id };
    let dissimilar = dissimilar(database, sweep, marked).await?;
    Ok(Some(doc! { "$or": [{ "$nor": [about] }, { "_id": { "$in": dissimilar } }] }))
}
