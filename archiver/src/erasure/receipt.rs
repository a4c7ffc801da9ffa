//! The collection `erasures`: what is recorded of a user's erasure, from the moment that it is wanted or comes up in the
//! log until nothing in the log needs it any more.

use std::time::Duration;

use chat::{ErasureMode, User, UserIdx};
use mongodb::bson::{DateTime, doc, serialize_to_bson};
use mongodb::options::ReturnDocument;

use super::sweep;
use crate::mongo::database::{Database, Failure};
use crate::mongo::documents::{ErasureCounts, ErasureDocument, ErasureState, PositionDocument};

/// 24 hours beyond what the log holds: its age limit counts from the append, and servers' clocks differ.
pub(crate) const MARGIN_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// JavaScript holds every integer up to 2^53 - 1.
const LARGEST_EXACT: i64 = (1 << 53) - 1;

/// An erasure as one of its copies says, or who wants it.
#[derive(Debug, Clone)]
pub(crate) struct Erasure {
    pub(crate) id: String,
    pub(crate) user: UserIdx,
    pub(crate) mode: ErasureMode,
    pub(crate) at: DateTime,
    pub(crate) by: User,
    pub(crate) log: LogFacts,
}

/// What an erasure needs to know of the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogFacts {
    /// Of its partitions.
    pub(crate) epochs: Vec<i64>,
    /// After so long it holds nothing from before; unknown where lines come another way.
    pub(crate) max_age: Option<Duration>,
}

impl LogFacts {
    pub(crate) fn of(log: &nats::Log) -> LogFacts {
        let epoch = |epoch: u64| i64::try_from(epoch).unwrap_or(i64::MAX);
        LogFacts { epochs: log.timelines().epochs().map(epoch).collect(), max_age: Some(log.max_age()) }
    }
}

/// Records that the erasure stands at these places too. It counts from now on for everybody who archives.
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

/// Records that the erasure has these places, one in each partition. They say of which epochs its log is: the log may have
/// lost its end since the erasure was wanted, and no copy will ever stand in the epoch of then.
pub(crate) async fn place(
    database: &Database,
    erasure: &Erasure,
    positions: &[PositionDocument],
) -> Result<ErasureDocument, Failure> {
    let epochs: Vec<i64> = positions.iter().map(|position| position.epoch).collect();
    if begin(database, erasure).await?.epochs != epochs {
        let collection = database.erasures();
        let (this, update) = (doc! { "_id": &erasure.id }, doc! { "$set": { "epochs": epochs } });
        database.ask(async move { collection.update_one(this, update).await }).await?;
    }
    record(database, erasure, positions).await
}

/// The erasure's document, made if it is missing.
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
    // Of two that make it at the same moment one finds it there.
    database.insert(database.erasures(), vec![document.clone()]).await?;
    let standing = find(database, &erasure.id).await?;
    standing.ok_or_else(|| Failure::Unavailable("an erasure went as it was recorded".to_owned()))
}

/// Of several copies in a partition the last counts, because what is erased cannot be brought back: that makes it the
/// same in whichever order they come.
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
    // One update, whatever stands there: the others' places, and the later one of this partition.
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

/// Erases what is before the known copies, until nothing was added meanwhile. Whether all is done then.
pub(crate) async fn enforce(database: &Database, mut erasure: ErasureDocument) -> Result<ErasureDocument, Failure> {
    loop {
        if erasure.state == ErasureState::Done {
            return Ok(erasure);
        }
        sweep::erase(database, &erasure).await?;
        let Some(now) = find(database, &erasure.id).await? else { return Ok(erasure) };
        if now.positions != erasure.positions {
            erasure = now;
            continue;
        }
        if !now.is_complete() {
            return Ok(now);
        }
        erasure = finish(database, now).await?;
    }
}

/// Notes that all is done, unless something was added at this moment.
async fn finish(database: &Database, erasure: ErasureDocument) -> Result<ErasureDocument, Failure> {
    let now = DateTime::now();
    let mut set = doc! { "state": state(ErasureState::Done), "finishedAt": now };
    if let Some(until) = erasure.log_held_until {
        set.insert("expiresAt", DateTime::from_millis(until.timestamp_millis() + MARGIN_MILLIS));
    }
    let positions = erasure.positions.clone();
    let unchanged = doc! { "_id": &erasure.id, "state": state(ErasureState::Running), "positions": positions };
    let collection = database.erasures();
    database.ask(async move { collection.update_one(unchanged, doc! { "$set": set }).await }).await?;
    Ok(find(database, &erasure.id).await?.unwrap_or(erasure))
}

/// The log may hold what it has for longer than it did when an erasure was recorded: so do the tombstones.
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

/// All erasures of the user that are remembered, the last one first.
pub(crate) async fn of_user(database: &Database, user: UserIdx) -> Result<Vec<ErasureDocument>, Failure> {
    let mut found: Vec<ErasureDocument> =
        database.find(&database.erasures(), doc! { "userIdx": user.get() }, 0).await?;
    found.sort_by(|one, other| (other.at, &other.id).cmp(&(one.at, &one.id)));
    Ok(found)
}

/// Those that are not done although they were wanted before that time.
pub(crate) async fn running_since(database: &Database, before: DateTime) -> Result<Vec<ErasureDocument>, Failure> {
    let left = doc! { "state": state(ErasureState::Running), "at": { "$lt": before } };
    database.find(&database.erasures(), left, 0).await
}

fn state(state: ErasureState) -> mongodb::bson::Bson {
    serialize_to_bson(&state).expect("a state is a string")
}

fn after(time: DateTime, duration: Duration) -> DateTime {
    let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    DateTime::from_millis(time.timestamp_millis().saturating_add(millis))
}
