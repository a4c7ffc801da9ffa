//! Finds a room's broadcasts by their sessions: from one session backwards and forwards, up to a long pause. Each step
//! reads the index, so the cost depends neither on the room's other broadcasts nor on its messages.

use std::time::{Duration, Instant};

use mongodb::bson::{DateTime, Document, doc};
use mongodb::options::{FindOptions, Hint};

use super::broadcasts::{Broadcast, LONGEST_QUIET_MS, LONGEST_SILENCE_MS, Session, SessionDocument};
use super::sequence::Span;
use super::times;
use crate::mongo::database::Database;
use crate::mongo::failure::Failure;
use crate::mongo::schema::ROOM_SESSIONS;

/// 8: the sessions in the first read of each direction. Most broadcasts have fewer.
const FIRST_STEP: i64 = 8;

/// 200: the sessions in each further read.
const STEP: i64 = 200;

/// 10,000: the most sessions of a broadcast. Only a broken page that keeps reconnecting makes more.
const LONGEST: usize = 10_000;

/// 1 s: after so long a page of broadcasts ends with what it has.
pub(crate) const BUDGET: Duration = Duration::from_secs(1);

/// A session's place among the room's sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionKey {
    pub(crate) began: i64,
    pub(crate) id: String,
}

impl SessionKey {
    pub(crate) fn first_of(broadcast: &Broadcast) -> SessionKey {
        SessionKey { began: broadcast.started(), id: broadcast.id.clone() }
    }
}

/// Some of a room's broadcasts, the newest first.
#[derive(Debug)]
pub(crate) struct BroadcastsPage {
    pub(crate) broadcasts: Vec<Broadcast>,
    /// Whether older ones follow.
    pub(crate) more: bool,
}

/// The broadcast that has this session.
pub(crate) async fn broadcast_of(
    database: &Database,
    presenter_idx: i64,
    session: &str,
) -> Result<Option<Broadcast>, Failure> {
    let beginning = doc! { "$lte": DateTime::MAX };
    let filter = doc! { "_id": session, "presenterIdx": presenter_idx, "connectedAt": beginning };
    let found: Vec<SessionDocument> = database.select(&database.broadcasts(), filter, FindOptions::default()).await?;
    match found.into_iter().next() {
        Some(session) => Ok(Broadcast::new(&run(database, presenter_idx, session).await?)),
        None => Ok(None),
    }
}

/// The broadcasts of that span that began before the session `after`, the newest first.
pub(crate) async fn broadcasts(
    database: &Database,
    presenter_idx: i64,
    span: Span,
    mut after: Option<SessionKey>,
    first: usize,
) -> Result<BroadcastsPage, Failure> {
    let started = Instant::now();
    let mut broadcasts = Vec::new();
    loop {
        let newest = before(database, presenter_idx, after.as_ref(), span.to, 1).await?.pop();
        let Some(newest) = newest else { return Ok(BroadcastsPage { broadcasts, more: false }) };
        let run = run(database, presenter_idx, newest).await?;
        let Some(broadcast) = Broadcast::new(&run) else { return Ok(BroadcastsPage { broadcasts, more: false }) };
        let from = span.from.map(|from| from.timestamp_millis());
        if from.is_some_and(|from| broadcast.ended().is_some_and(|ended| ended < from)) {
            return Ok(BroadcastsPage { broadcasts, more: false });
        }
        if broadcasts.len() == first || (started.elapsed() > BUDGET && !broadcasts.is_empty()) {
            return Ok(BroadcastsPage { broadcasts, more: true });
        }
        after = Some(SessionKey::first_of(&broadcast));
        broadcasts.push(broadcast);
    }
}

/// All sessions of the broadcast that has this one, in the order of time.
async fn run(database: &Database, presenter_idx: i64, session: SessionDocument) -> Result<Vec<Session>, Failure> {
    let anchor = SessionKey { began: session.began(), id: session.id.clone() };
    let mut later = Vec::new();
    let mut current = session;
    let mut step = FIRST_STEP;
    'forwards: loop {
        let key = SessionKey { began: current.began(), id: current.id.clone() };
        let following = since(database, presenter_idx, &key, step).await?;
        let is_the_latest = following.is_empty();
        for next in following {
            let began = next.began();
            let settled = settle(database, presenter_idx, current, Some(began)).await?;
            let leads_on = settled.leads_to(began) && later.len() < LONGEST;
            later.push(settled);
            if !leads_on {
                break 'forwards;
            }
            current = next;
        }
        if is_the_latest {
            later.push(current.settled(None, None));
            break;
        }
        step = STEP;
    }
    let mut earlier = Vec::new();
    let (mut key, mut step) = (anchor, FIRST_STEP);
    'backwards: loop {
        let preceding = before(database, presenter_idx, Some(&key), None, step).await?;
        if preceding.is_empty() {
            break;
        }
        for session in preceding {
            let next = key.began;
            key = SessionKey { began: session.began(), id: session.id.clone() };
            let settled = settle(database, presenter_idx, session, Some(next)).await?;
            if !settled.leads_to(next) || earlier.len() >= LONGEST {
                break 'backwards;
            }
            earlier.push(settled);
        }
        step = STEP;
    }
    earlier.reverse();
    earlier.append(&mut later);
    Ok(earlier)
}

/// The session with its end. Messages are looked up only if they matter.
async fn settle(
    database: &Database,
    presenter_idx: i64,
    session: SessionDocument,
    next: Option<i64>,
) -> Result<Session, Failure> {
    let said = match next {
        Some(next) if session.disconnected_at.is_none() && next - session.began() > LONGEST_QUIET_MS => {
            Some(last_said(database, presenter_idx, session.began(), next).await?)
        }
        _ => None,
    };
    Ok(session.settled(next, said))
}

/// The time of the last message between the two times, before a long silence. `began` if there is none. Two reads of
/// the index get farther than the longest silence.
async fn last_said(database: &Database, presenter_idx: i64, began: i64, next: i64) -> Result<i64, Failure> {
    let mut said = began;
    loop {
        let to = next.min(said.saturating_add(LONGEST_SILENCE_MS + 1));
        let (after, to) = (DateTime::from_millis(said), DateTime::from_millis(to));
        match times::last_said_between(database, presenter_idx, after, to).await? {
            Some(later) => said = later.timestamp_millis(),
            None => return Ok(said),
        }
    }
}

/// The room's sessions after this one, in the order of time.
async fn since(
    database: &Database,
    presenter_idx: i64,
    key: &SessionKey,
    limit: i64,
) -> Result<Vec<SessionDocument>, Failure> {
    let began = DateTime::from_millis(key.began);
    let beyond = doc! { "$or": [{ "connectedAt": { "$gt": began } }, { "_id": { "$gt": &key.id } }] };
    let filter = doc! { "$and": [{ "presenterIdx": presenter_idx, "connectedAt": { "$gte": began } }, beyond] };
    database.select(&database.broadcasts(), filter, in_order(1, limit)).await
}

/// The room's sessions before this one and before that time, the latest first.
async fn before(
    database: &Database,
    presenter_idx: i64,
    key: Option<&SessionKey>,
    to: Option<DateTime>,
    limit: i64,
) -> Result<Vec<SessionDocument>, Failure> {
    // A session without a start has no place in the order: the condition matches times only.
    let mut all = vec![doc! { "presenterIdx": presenter_idx, "connectedAt": { "$lte": DateTime::MAX } }];
    if let Some(key) = key {
        let began = DateTime::from_millis(key.began);
        all.push(doc! { "connectedAt": { "$lte": began } });
        all.push(doc! { "$or": [{ "connectedAt": { "$lt": began } }, { "_id": { "$lt": &key.id } }] });
    }
    all.extend(to.map(|to| doc! { "connectedAt": { "$lt": to } }));
    database.select(&database.broadcasts(), doc! { "$and": all }, in_order(-1, limit)).await
}

fn in_order(direction: i32, limit: i64) -> FindOptions {
    let sort: Document = doc! { "connectedAt": direction, "_id": direction };
    FindOptions::builder().sort(sort).limit(limit).hint(Hint::Name(ROOM_SESSIONS.to_owned())).build()
}
