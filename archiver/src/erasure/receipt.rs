//! Receipts: the collection `erasures` has the record of an erasure, from the request, or from its event in the log,
//! until the log holds nothing that it is about. `http/erasures.rs` says how a receipt looks to its reader.

use std::time::Duration;

use chat::UserIdx;
use mongodb::bson::{DateTime, Document, doc, serialize_to_bson};
use mongodb::options::ReturnDocument;

use crate::mongo::database::Database;
use crate::mongo::documents::{ErasureCounts, ErasureDocument, ErasureState, PositionDocument};
use crate::mongo::failure::Failure;
use crate::work::Erasure;

/// 24 hours beyond the age limit of the log: the limit counts from the append, and servers' clocks differ.
pub(crate) const MARGIN_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// 2^53 - 1: JavaScript holds every integer up to it.
const LARGEST_EXACT: i64 = (1 << 53) - 1;

/// Records that the erasure has copies at these positions. From now on it applies to everything that is archived.
pub(crate) async fn record(
    database: &Database,
    erasure: &Erasure,
    positions: &[PositionDocument],
) -> Result<ErasureDocument, Failure> {
    let mut standing = begin(database, erasure).await?;
    for position in positions {
        if standing.positions.iter().any(|known| known.epoch == position.epoch && known >= position) {
            continue;
        }
        standing = move_to(database, erasure, *position).await?.unwrap_or(standing);
    }
    Ok(standing)
}

/// Records the erasure's position in each partition, and with it the epochs of the log. The log may have lost its end
/// since the request, and then no copy will ever be in the epoch of that time.
pub(crate) async fn place(
    database: &Database,
    erasure: &Erasure,
    positions: &[PositionDocument],
) -> Result<ErasureDocument, Failure> {
    let epochs: Vec<i64> = positions.iter().map(|position| position.epoch).collect();
    if begin(database, erasure).await?.epochs != epochs {
        let collection = database.erasures();
        // It is about more now, and is done again even if it was done.
        let this = doc! { "_id": &erasure.id };
        database.ask(async move { collection.update_one(this, running_in(&epochs)).await }).await?;
    }
    record(database, erasure, positions).await
}

/// The erasure's document, created if it is missing.
async fn begin(database: &Database, erasure: &Erasure) -> Result<ErasureDocument, Failure> {
    let document = ErasureDocument {
        id: erasure.id.clone(),
        user_idx: erasure.user.get(),
        mode: erasure.mode,
        at: erasure.at,
        by: erasure.by.clone().into(),
        pseudonym: -fastrand::i64(1..=LARGEST_EXACT),
        epochs: erasure.log.epochs.clone(),
        positions: Vec::new(),
        state: ErasureState::Running,
        counts: ErasureCounts::default(),
        pages: 0,
        page: None,
        finished_at: None,
        recorded_at: None,
        log_held_until: None,
        expires_at: None,
    };
    // Of two that create it at the same moment, one finds it.
    database.insert(database.erasures(), vec![document.clone()]).await?;
    let standing = find(database, &erasure.id).await?;
    standing.ok_or_else(|| Failure::Unavailable("an erasure vanished while it was recorded".to_owned()))
}

/// Of several copies in a partition the last one counts, because erased data cannot be restored. So the order in which
/// they are recorded does not matter.
async fn move_to(
    database: &Database,
    erasure: &Erasure,
    position: PositionDocument,
) -> Result<Option<ErasureDocument>, Failure> {
    let now = DateTime::now();
    let mut set = doc! { "state": state(ErasureState::Running), "recordedAt": now };
    if let Some(max_age) = erasure.log.max_age {
        set.insert("logHeldUntil", after(now, max_age));
    }
    // One update for any state: the positions in other partitions, and the later one in this partition.
    let others = doc! { "$filter": { "input": "$positions", "cond": { "$ne": ["$$this.epoch", position.epoch] } } };
    let same = doc! { "$filter": { "input": "$positions", "cond": { "$eq": ["$$this.epoch", position.epoch] } } };
    let later = doc! { "$max": { "$concatArrays": [same, [position]] } };
    set.insert("positions", doc! { "$concatArrays": [others, [later]] });
    let earlier = doc! {
        "_id": &erasure.id,
        "positions": { "$not": { "$elemMatch": {
            "epoch": position.epoch,
            "$or": [
                { "sequence": { "$gt": position.sequence } },
                { "sequence": position.sequence, "index": { "$gte": position.index } },
            ],
        } } },
    };
    let update = vec![doc! { "$set": set }, doc! { "$unset": ["finishedAt", "expiresAt"] }];
    let collection = database.erasures();
    let moved =
        async move { collection.find_one_and_update(earlier, update).return_document(ReturnDocument::After).await };
    match database.ask(moved).await? {
        Some(moved) => Ok(Some(moved)),
        None => find(database, &erasure.id).await,
    }
}

/// Records that the erasure is done, unless a copy was added, or the epochs of the log changed, at this moment.
pub(crate) async fn finish(database: &Database, erasure: ErasureDocument) -> Result<ErasureDocument, Failure> {
    let now = DateTime::now();
    let mut set = doc! { "state": state(ErasureState::Done), "finishedAt": now };
    if let Some(until) = erasure.log_held_until {
        set.insert("expiresAt", DateTime::from_millis(until.timestamp_millis() + MARGIN_MILLIS));
    }
    let (positions, epochs) = (erasure.positions.clone(), erasure.epochs.clone());
    let running = state(ErasureState::Running);
    let unchanged = doc! { "_id": &erasure.id, "state": running, "positions": positions, "epochs": epochs };
    let collection = database.erasures();
    database.ask(async move { collection.update_one(unchanged, doc! { "$set": set }).await }).await?;
    Ok(find(database, &erasure.id).await?.unwrap_or(erasure))
}

/// Prolongs the tombstones if the age limit of the log has become longer since they were recorded.
pub(crate) async fn hold_for(database: &Database, max_age: Duration) -> Result<(), Failure> {
    let max_age = i64::try_from(max_age.as_millis()).unwrap_or(i64::MAX);
    let held = doc! { "$add": ["$recordedAt", max_age] };
    let expires = doc! { "$add": ["$logHeldUntil", MARGIN_MILLIS] };
    let update = vec![
        doc! { "$set": { "logHeldUntil": { "$max": ["$logHeldUntil", held] } } },
        doc! { "$set": { "expiresAt": {
            "$cond": [{ "$eq": ["$state", state(ErasureState::Done)] }, expires, "$$REMOVE"]
        } } },
    ];
    let known = doc! { "logHeldUntil": { "$exists": true } };
    let collection = database.erasures();
    database.ask(async move { collection.update_many(known, update).await }).await.map(|_| ())
}

/// The erasure with that id.
pub(crate) async fn find(database: &Database, id: &str) -> Result<Option<ErasureDocument>, Failure> {
    Ok(database.find(&database.erasures(), doc! { "_id": id }, 1).await?.into_iter().next())
}

/// The recorded erasures of the user, the latest first.
pub(crate) async fn of_user(database: &Database, user: UserIdx) -> Result<Vec<ErasureDocument>, Failure> {
    let mut found: Vec<ErasureDocument> =
        database.find(&database.erasures(), doc! { "userIdx": user.get() }, 0).await?;
    found.sort_by(|one, other| (other.at, &other.id).cmp(&(one.at, &one.id)));
    Ok(found)
}

/// Erasures that were requested before that time and are not done.
pub(crate) async fn running_since(database: &Database, before: DateTime) -> Result<Vec<ErasureDocument>, Failure> {
    let left = doc! { "state": state(ErasureState::Running), "at": { "$lt": before } };
    database.find(&database.erasures(), left, 0).await
}

/// The erasures that are done, and older than something that the log may have.
pub(crate) async fn held_by_the_log(database: &Database) -> Result<Vec<ErasureDocument>, Failure> {
    let held = doc! { "state": state(ErasureState::Done), "logHeldUntil": { "$gt": DateTime::now() } };
    database.find(&database.erasures(), held, 0).await
}

/// Sets an erasure that is done to running again, in a log of these epochs. False: somebody else changed it first.
pub(crate) async fn reopen(database: &Database, known: &ErasureDocument, epochs: &[i64]) -> Result<bool, Failure> {
    let unchanged = doc! {
        "_id": &known.id, "state": state(ErasureState::Done), "positions": &known.positions, "epochs": &known.epochs,
    };
    let (collection, update) = (database.erasures(), running_in(epochs));
    let updated = database.ask(async move { collection.update_one(unchanged, update).await }).await?;
    Ok(updated.modified_count == 1)
}

/// Sets an erasure to running in a log of these epochs.
fn running_in(epochs: &[i64]) -> Document {
    doc! {
        "$set": { "epochs": epochs, "state": state(ErasureState::Running) },
        "$unset": { "finishedAt": "", "expiresAt": "" },
    }
}

fn state(state: ErasureState) -> mongodb::bson::Bson {
    serialize_to_bson(&state).expect("a state is a string")
}

fn after(time: DateTime, duration: Duration) -> DateTime {
    let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    DateTime::from_millis(time.timestamp_millis().saturating_add(millis))
}
