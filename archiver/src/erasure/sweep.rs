//! Erases what stands in the archive before an erasure: the messages, and the user's name everywhere else. A page at a
//! time: the erasure's document says which one is in hand before it is changed, and counts it afterwards. So the counts add
//! up whoever does it, how often it is interrupted, and however many do it at once: who finds a page in hand finishes it.
//!
//! A transaction would do the same, and hold its locks for a minute where whoever began it was killed.

use chat::ErasureMode;
use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{DateTime, Document, doc, serialize_to_bson};
use serde::Deserialize;

use super::tombstones::{Tombstones, place};
use super::{reasons, receipt, replay_guard};
use crate::mongo::database::{Database, Failure};
use crate::mongo::documents::{ErasureDocument, PageDocument};

/// What counts lines of the quarantine.
const QUARANTINED: &str = "quarantined";

/// What counts the user's own messages.
const MESSAGES: &str = "messages";

/// What counts the decisions about the user: those that name the user, and deletions of the user's messages.
const DECISIONS_ABOUT: &str = "decisionsAbout";

/// How many documents are changed in one request. No request may take longer than it is waited for.
const PAGE: i64 = 1_000;

/// What is done to documents of a collection, and what of the receipt counts them.
struct Step {
    collection: Collection<Document>,
    counter: &'static str,
    /// Whose number stands there.
    member: &'static str,
    /// What is found, that member's value included.
    about: Document,
    /// In this order, so that what stays is passed over only once.
    order: Option<&'static str>,
    change: Change,
}

enum Change {
    Remove,
    Update(Vec<Document>),
}

/// Erases what stands before the known copies. What is archived meanwhile is seen to by who archives it.
pub(crate) async fn erase(database: &Database, erasure: &ErasureDocument) -> Result<(), Failure> {
    let others = Tombstones::of_users(database, [erasure.user_idx].into()).await?;
    let steps = steps(database, erasure, &others);
    for step in &steps {
        let mut about = step.about.clone();
        while let Some(page) = next_page(database, erasure, step, &mut about, &steps, &others).await? {
            finish_page(database, erasure, &steps, &page).await?;
        }
    }
    Ok(())
}

fn steps(database: &Database, erasure: &ErasureDocument, others: &Tombstones) -> [Step; 5] {
    let (user, pseudonym) = (erasure.user_idx, erasure.pseudonym);
    let within = |field: &str, member: &str| {
        let mut about = erasure.range(field, others.all());
        about.insert(member, user);
        about
    };
    let messages = database.messages().clone_with_type();
    let decisions = database.decisions().clone_with_type();
    let own = Step {
        collection: messages.clone(),
        counter: MESSAGES,
        member: "userIdx",
        about: within("position", "userIdx"),
        order: Some("sentAt"),
        change: match erasure.mode {
            ErasureMode::Remove => Change::Remove,
            ErasureMode::Anonymise => Change::Update(vec![doc! { "$set": {
                "userIdx": pseudonym, "nickname": "", "role": nobodys("$role", "viewer"),
            } }]),
        },
    };
    let about = Step {
        collection: decisions.clone(),
        counter: DECISIONS_ABOUT,
        member: "userIdx",
        about: within("position", "userIdx"),
        order: None,
        change: Change::Update(vec![doc! { "$set": { "userIdx": pseudonym } }, doc! { "$unset": "reason" }]),
    };
    let by = |field: &str, member: &'static str, prefix: &str, collection, counter| Step {
        collection,
        counter,
        member,
        about: within(field, member),
        order: None,
        change: Change::Update(vec![doc! { "$set": {
            member: pseudonym,
            format!("{prefix}.nickname"): "",
            format!("{prefix}.role"): nobodys(&format!("${prefix}.role"), "moderator"),
        } }]),
    };
    // Decisions before the marks that they have left: who marks looks at the decision once more afterwards.
    let decided = by("position", "by.userIdx", "by", decisions, "decided");
    let deleted = by("deleted.position", "deleted.by.userIdx", "deleted.by", messages, "deleted");
    let quarantined = Step {
        collection: database.quarantine().clone_with_type(),
        counter: QUARANTINED,
        member: "users",
        about: doc! { "users": user },
        // Those of them that stand after the erasure stay.
        order: Some("_id"),
        change: Change::Remove,
    };
    [own, about, decided, deleted, quarantined]
}

/// Takes the next page of what the step is still about in hand; none is left where there is none. A page that somebody
/// else has in hand is finished first.
async fn next_page(
    database: &Database,
    erasure: &ErasureDocument,
    step: &Step,
    about: &mut Document,
    steps: &[Step],
    others: &Tombstones,
) -> Result<Option<PageDocument>, Failure> {
    loop {
        let Some(now) = receipt::find(database, &erasure.id).await? else { return Ok(None) };
        if let Some(page) = now.page {
            finish_page(database, erasure, steps, &page).await?;
            continue;
        }
        // Found after the last page was counted, so that nothing of these is.
        let mut rest = about.clone();
        let Some(found) = look(database, erasure, step, &mut rest, others).await? else { return Ok(None) };
        let page = PageDocument { number: now.pages, step: step.counter.to_owned(), ids: found };
        let free = doc! { "_id": &erasure.id, "pages": now.pages, "page": { "$exists": false } };
        let unfit = |_| Failure::Refused("an id does not fit into BSON".to_owned());
        let take = doc! { "$set": { "page": serialize_to_bson(&page).map_err(unfit)? } };
        let collection = database.erasures();
        let taken = database.ask(async move { collection.update_one(free, take).await }).await?;
        if taken.modified_count == 1 {
            *about = rest;
            return Ok(Some(page));
        }
    }
}

/// Changes what is in the page, and counts it. Whoever comes later finds nothing to change and nothing to count.
async fn finish_page(
    database: &Database,
    erasure: &ErasureDocument,
    steps: &[Step],
    page: &PageDocument,
) -> Result<(), Failure> {
    let step = steps.iter().find(|step| step.counter == page.step);
    let step = step.ok_or_else(|| Failure::Unavailable("a page of an erasure is of a later version".to_owned()))?;
    let is_own = step.counter == MESSAGES;
    let (collection, filter) =
        (step.collection.clone(), doc! { "_id": { "$in": &page.ids }, step.member: erasure.user_idx });
    let changed = match &step.change {
        Change::Remove => database.ask(async move { collection.delete_many(filter).await }).await.map(|_| ()),
        Change::Update(update) => {
            let update = update.clone();
            database.ask(async move { collection.update_many(filter, update).await }).await.map(|_| ())
        }
    };
    if let Err(Failure::Refused(reason)) = changed {
        // A validator that somebody put there: waiting mends it only if they do, and the erasure must not look done.
        return Err(Failure::Unavailable(format!("an erasure is refused: {reason}")));
    }
    changed?;
    // Once the messages are nobody's: who archives a deletion of one now sees that.
    let about = if is_own { reasons::forget(database, &page.ids).await? } else { 0 };
    let count = i64::try_from(page.ids.len()).expect("a page is small");
    let mut counts = doc! { "pages": 1_i64, format!("counts.{}", step.counter): count };
    if is_own {
        counts.insert(format!("counts.{DECISIONS_ABOUT}"), about);
    }
    let in_hand = doc! { "_id": &erasure.id, "pages": page.number, "page": { "$exists": true } };
    let counted = doc! { "$inc": counts, "$unset": { "page": "" } };
    let collection = database.erasures();
    database.ask(async move { collection.update_one(in_hand, counted).await }).await.map(|_| ())
}

/// The ids of the next documents, and what is left to look at after them.
async fn look(
    database: &Database,
    erasure: &ErasureDocument,
    step: &Step,
    about: &mut Document,
    others: &Tombstones,
) -> Result<Option<Vec<String>>, Failure> {
    #[derive(Deserialize)]
    struct Found {
        #[serde(rename = "_id")]
        id: String,
        #[serde(rename = "sentAt")]
        sent_at: Option<DateTime>,
    }
    loop {
        let (collection, filter) = (step.collection.clone_with_type::<Found>(), about.clone());
        let order = step.order;
        let page = async move {
            let find = collection.find(filter).projection(doc! { "_id": 1, "sentAt": 1 }).limit(PAGE);
            let found = match order {
                Some(order) => find.sort(doc! { order: 1 }).await?,
                // In the order of whichever index finds them.
                None => find.await?,
            };
            found.try_collect::<Vec<_>>().await
        };
        let mut page = database.ask(page).await?;
        let Some(last) = page.last() else { return Ok(None) };
        match (step.order, last.sent_at) {
            (Some("_id"), _) => about.insert("_id", doc! { "$gt": &last.id }),
            (Some(order), Some(sent_at)) => about.insert(order, doc! { "$gte": sent_at }),
            _ => None,
        };
        if step.counter == QUARANTINED {
            // The place of a line is in its `_id`, as text, in which MongoDB cannot compare it.
            page.retain(|line| {
                let covering = place(&line.id).and_then(|place| others.covering(erasure.user_idx, place));
                covering.is_some_and(|covering| covering.id == erasure.id)
            });
            if page.is_empty() {
                continue;
            }
        }
        if step.counter == MESSAGES && matches!(step.change, Change::Remove) {
            let ids = page.iter().map(|found| found.id.as_str());
            replay_guard::remember(database, erasure, ids).await?;
        }
        return Ok(Some(page.into_iter().map(|found| found.id).collect()));
    }
}

/// The role at that path, unless it says who somebody is: the presenter of a room is known by its number.
fn nobodys(role: &str, instead: &str) -> Document {
    doc! { "$cond": [{ "$eq": [role, "presenter"] }, instead, role] }
}
