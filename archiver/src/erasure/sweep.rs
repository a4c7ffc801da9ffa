//! Erases what is archived before an erasure: the messages, and the user's name everywhere else. It works page by page.
//! The erasure's document names the page in progress before it is changed, and counts it afterwards. An archiver that
//! finds a page in progress finishes it first. So the counts are right however often the work is interrupted, and
//! however many archivers do it at once.
//!
//! A transaction would do the same, but would hold its locks for a minute after its archiver was killed.

use chat::ErasureMode;
use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{DateTime, Document, doc, serialize_to_bson};
use serde::Deserialize;

use super::tombstones::{Tombstones, place};
use super::{reasons, receipt, replay_guard};
use crate::mongo::database::Database;
use crate::mongo::documents::{ErasureDocument, ErasureState, PageDocument, REPORTED};
use crate::mongo::failure::Failure;
use crate::write::text_index;

/// The counter of quarantined lines.
const QUARANTINED: &str = "quarantined";

/// The counter of the user's own messages.
const MESSAGES: &str = "messages";

/// The counter of decisions about the user: those that name the user, and deletions of the user's messages.
const DECISIONS_ABOUT: &str = "decisionsAbout";

/// 1,000: the documents that one request changes. A request must end within its deadline.
const PAGE: i64 = 1_000;

/// A change to documents of a collection, and its counter in the receipt.
struct Step {
    collection: Collection<Document>,
    counter: &'static str,
    /// The member with the user's number.
    member: &'static str,
    /// Matches the documents, the member's value included.
    about: Document,
    /// The order, so that documents that stay are passed over only once.
    order: Option<&'static str>,
    change: Change,
}

enum Change {
    Remove,
    Update(Vec<Document>),
}

/// Erases everything before the known copies. The archiving side takes care of what is archived meanwhile.
pub(crate) async fn erase(database: &Database, erasure: &ErasureDocument) -> Result<(), Failure> {
    let others = Tombstones::of_users(database, [erasure.user_idx].into()).await?;
    let steps = steps(database, erasure, &others);
    rename_in_rules(database, erasure, &others).await?;
    for step in &steps {
        let mut about = step.about.clone();
        while let Some(page) = next_page(database, erasure, step, &mut about, &steps, &others).await? {
            finish_page(database, erasure, &steps, &page).await?;
        }
    }
    Ok(())
}

/// Puts the pseudonym in place of the user in the rules of sweeps, and removes the reasons of those. Repeating it
/// changes nothing. The receipt does not count it: a rule is no decision about one user.
async fn rename_in_rules(database: &Database, erasure: &ErasureDocument, others: &Tombstones) -> Result<(), Failure> {
    let (user, pseudonym) = (erasure.user_idx, erasure.pseudonym);
    let mut about = erasure.range("position", others.all());
    // The index of rules has the first condition.
    about.insert("rule", doc! { "$exists": true });
    about.insert("rule.users", user);
    let renamed = doc! { "$cond": [{ "$eq": ["$$user", user] }, pseudonym, "$$user"] };
    let users = doc! { "$map": { "input": "$rule.users", "as": "user", "in": renamed } };
    let update = vec![doc! { "$set": { "rule.users": users } }, doc! { "$unset": "reason" }];
    let collection = database.decisions();
    database.ask(async move { collection.update_many(about, update).await }).await.map(|_| ())
}

/// Erases everything before the known copies, until no copy and no epoch is added meanwhile. The result tells whether
/// it is done.
pub(crate) async fn enforce(database: &Database, mut erasure: ErasureDocument) -> Result<ErasureDocument, Failure> {
    loop {
        if erasure.state == ErasureState::Done {
            return Ok(erasure);
        }
        erase(database, &erasure).await?;
        let Some(now) = receipt::find(database, &erasure.id).await? else { return Ok(erasure) };
        // Another archiver may have recorded the epochs of a log that lost its end, and with them what is before it.
        if now.positions != erasure.positions || now.epochs != erasure.epochs {
            erasure = now;
            continue;
        }
        if !now.is_complete() {
            return Ok(now);
        }
        erasure = receipt::finish(database, now).await?;
    }
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
            // Badges and amounts may lead to the user, as a name does.
            ErasureMode::Anonymise => Change::Update(vec![
                doc! { "$set": {
                    "userIdx": pseudonym, "nickname": "", "role": anonymous_role("$role", "viewer"),
                } },
                doc! { "$unset": "attributes" },
            ]),
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
            format!("{prefix}.role"): anonymous_role(&format!("${prefix}.role"), "moderator"),
        } }]),
    };
    // Decisions before the marks that they left: the marking side looks at the decision once more afterwards.
    let mut decided = by("position", "by.userIdx", "by", decisions, "decided");
    if let Change::Update(update) = &mut decided.change {
        let is_report = doc! { "$eq": ["$type", REPORTED] };
        update.push(doc! { "$set": { "reason": { "$cond": [is_report, "$$REMOVE", "$reason"] } } });
    }
    let deleted = by("deleted.position", "deleted.by.userIdx", "deleted.by", messages, "deleted");
    let quarantined = Step {
        collection: database.quarantine().clone_with_type(),
        counter: QUARANTINED,
        member: "users",
        about: doc! { "users": user },
        // Lines after the erasure stay.
        order: Some("_id"),
        change: Change::Remove,
    };
    [own, about, decided, deleted, quarantined]
}

/// Starts the next page of the step. None: nothing is left. A page that another archiver has in progress is finished
/// first.
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
        // Found after the last page was counted, so none of these documents is counted yet.
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

/// Changes the documents of the page, and counts them. Repeating it changes and counts nothing.
async fn finish_page(
    database: &Database,
    erasure: &ErasureDocument,
    steps: &[Step],
    page: &PageDocument,
) -> Result<(), Failure> {
    let step = steps.iter().find(|step| step.counter == page.step);
    let step = step.ok_or_else(|| Failure::Unavailable("a later version began this page of an erasure".to_owned()))?;
    let is_own = step.counter == MESSAGES;
    let (collection, filter) =
        (step.collection.clone(), doc! { "_id": { "$in": &page.ids }, step.member: erasure.user_idx });
    let changed = match &step.change {
        Change::Remove if is_own => text_index::remove_messages(database, filter).await,
        Change::Remove => database.ask(async move { collection.delete_many(filter).await }).await.map(|_| ()),
        Change::Update(update) => {
            let update = update.clone();
            database.ask(async move { collection.update_many(filter, update).await }).await.map(|_| ())
        }
    };
    if let Err(Failure::Refused(reason)) = changed {
        // A validator of an operator. The erasure must not look done, so it is retried until the validator changes.
        return Err(Failure::Unavailable(format!("MongoDB refuses an erasure: {reason}")));
    }
    changed?;
    // Only after the change: an archiver that stores a deletion of one of the messages now sees that it is erased.
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

/// The ids of the next documents. Afterwards `about` matches what follows them.
async fn look(
    database: &Database,
    erasure: &ErasureDocument,
    step: &Step,
    about: &mut Document,
    others: &Tombstones,
) -> Result<Option<Vec<String>>, Failure> {
    #[derive(Deserialize)]
    struct SweptDocument {
        #[serde(rename = "_id")]
        id: String,
        #[serde(rename = "sentAt")]
        sent_at: Option<DateTime>,
    }
    loop {
        let (collection, filter) = (step.collection.clone_with_type::<SweptDocument>(), about.clone());
        let order = step.order;
        let page = async move {
            let find = collection.find(filter).projection(doc! { "_id": 1, "sentAt": 1 }).limit(PAGE);
            let found = match order {
                Some(order) => find.sort(doc! { order: 1 }).await?,
                // In the order of the index that finds them.
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
            // The position of a line is its `_id`, as text, which MongoDB cannot compare.
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

/// The role at that path, unless it identifies the user: the presenter of a room is known by its number.
fn anonymous_role(role: &str, instead: &str) -> Document {
    doc! { "$cond": [{ "$eq": [role, "presenter"] }, instead, role] }
}
