//! Erases what stands in the archive before an erasure: the messages, and the user's name everywhere else. A page at a
//! time, and each page together with its count in one transaction, so that the counts add up whoever does it, how often it
//! is interrupted, and however many do it at once.

use futures_util::FutureExt;
use mongodb::Collection;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::options::UpdateModifications;
use nats::ErasureMode;
use serde::Deserialize;

use crate::database::{Database, Failure};
use crate::documents::{ErasureDocument, QuarantineDocument};
use crate::erased_ids;
use crate::tombstones::{Tombstones, place};

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
    /// In the order of an index that begins with the member, so that what stays is passed over only once.
    order: Option<&'static str>,
    change: Change,
}

enum Change {
    Remove,
    Update(Vec<Document>),
}

/// Erases what stands before the known copies. What is archived meanwhile is seen to by who archives it.
pub(crate) async fn erase(database: &Database, erasure: &ErasureDocument) -> Result<(), Failure> {
    let user = erasure.user_idx;
    let others = Tombstones::of_users(database, [user].into()).await?;
    let within = |field: &str, member: &str| {
        let mut about = erasure.range(field, others.all());
        about.insert(member, user);
        about
    };
    let messages = database.messages().clone_with_type();
    let decisions = database.decisions().clone_with_type();
    let pseudonym = erasure.pseudonym;
    let own = Step {
        collection: messages.clone(),
        counter: "messages",
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
        counter: "decisionsAbout",
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
    for step in [own, about, decided, deleted] {
        run(database, erasure, &step).await?;
    }
    erase_quarantine(database, &others, erasure).await
}

/// All pages of a step.
async fn run(database: &Database, erasure: &ErasureDocument, step: &Step) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Found {
        #[serde(rename = "_id")]
        id: Bson,
        #[serde(rename = "sentAt")]
        sent_at: Option<DateTime>,
    }
    let mut about = step.about.clone();
    loop {
        let (collection, filter) = (step.collection.clone_with_type::<Found>(), about.clone());
        let order = step.order.map(|order| doc! { order: 1 });
        let page = async move {
            let find = collection.find(filter).projection(doc! { "_id": 1, "sentAt": 1 }).limit(PAGE);
            let mut found = match order {
                Some(order) => find.sort(order).await?,
                None => find.await?,
            };
            let mut page = Vec::new();
            while found.advance().await? {
                page.push(found.deserialize_current()?);
            }
            Ok(page)
        };
        let page: Vec<Found> = database.ask(page).await?;
        let Some(last) = page.last() else { return Ok(()) };
        if let (Some(order), Some(sent_at)) = (step.order, last.sent_at) {
            about.insert(order, doc! { "$gte": sent_at });
        }
        if matches!(step.change, Change::Remove) {
            let messages = page.iter().filter_map(|found| Some((found.id.as_str()?, found.sent_at?)));
            erased_ids::remember(database, erasure, messages).await?;
        }
        let ids: Vec<Bson> = page.into_iter().map(|found| found.id).collect();
        // Somebody else may have erased it meanwhile, and counted it.
        let filter = doc! { "_id": { "$in": ids }, step.member: erasure.user_idx };
        change(database, erasure, step, filter).await?;
    }
}

/// Changes a page and counts it, both or neither.
async fn change(database: &Database, erasure: &ErasureDocument, step: &Step, filter: Document) -> Result<(), Failure> {
    let collection = step.collection.clone();
    let update = match &step.change {
        Change::Remove => None,
        Change::Update(update) => Some(UpdateModifications::from(update.clone())),
    };
    let (erasures, receipt) = (database.erasures(), doc! { "_id": &erasure.id });
    let counter = format!("counts.{}", step.counter);
    let changed = async move {
        let mut session = collection.client().start_session().await?;
        let transaction = session.start_transaction();
        transaction
            .and_run((), move |session, ()| {
                let (collection, filter, update) = (collection.clone(), filter.clone(), update.clone());
                let (erasures, receipt, counter) = (erasures.clone(), receipt.clone(), counter.clone());
                async move {
                    let count = match update {
                        None => collection.delete_many(filter).session(&mut *session).await?.deleted_count,
                        Some(update) => {
                            collection.update_many(filter, update).session(&mut *session).await?.modified_count
                        }
                    };
                    if count > 0 {
                        let count = doc! { "$inc": { counter: count as i64 } };
                        erasures.update_one(receipt, count).session(&mut *session).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await
    };
    database.ask(changed).await
}

/// Removes the lines that name the user. Their place is in their `_id`, as text.
async fn erase_quarantine(
    database: &Database,
    erasures: &Tombstones,
    erasure: &ErasureDocument,
) -> Result<(), Failure> {
    let user = erasure.user_idx;
    let mut after = String::new();
    loop {
        let collection = database.quarantine();
        let filter = doc! { "users": user, "_id": { "$gt": &after } };
        let page = async move {
            let mut found = collection.find(filter).sort(doc! { "_id": 1 }).limit(PAGE).await?;
            let mut page: Vec<QuarantineDocument> = Vec::new();
            while found.advance().await? {
                page.push(found.deserialize_current()?);
            }
            Ok(page)
        };
        let page = database.ask(page).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.id);
        let is_erased = |line: &QuarantineDocument| {
            let covering = place(line).and_then(|place| erasures.covering(user, place));
            covering.is_some_and(|covering| covering.id == erasure.id)
        };
        let ids: Vec<Bson> = page.into_iter().filter(is_erased).map(|line| line.id.into()).collect();
        if ids.is_empty() {
            continue;
        }
        let step = Step {
            collection: database.quarantine().clone_with_type(),
            counter: "quarantined",
            member: "users",
            about: Document::new(),
            order: None,
            change: Change::Remove,
        };
        change(database, erasure, &step, doc! { "_id": { "$in": ids } }).await?;
    }
}

/// The role at that path, unless it says who somebody is: the presenter of a room is known by its number.
fn nobodys(role: &str, instead: &str) -> Document {
    doc! { "$cond": [{ "$eq": [role, "presenter"] }, instead, role] }
}
