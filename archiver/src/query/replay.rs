//! The messages of a broadcast in the order of the log, from a time or from a message on. The clocks of nodes differ,
//! so times do not quite ascend. A message is due at the latest time so far, so that no message is due before its
//! predecessor in the room. Deleted messages are left out, but their times count: a deletion moves no other message.

use std::time::{Duration, Instant};

use mongodb::bson::{DateTime, Document, doc};
use mongodb::options::FindOptions;

use super::broadcasts::Broadcast;
use super::sequence::{Only, Order, Sequence, Span};
use super::statistics::Stretch;
use super::statistics::chatters;
use super::times;
use crate::mongo::database::Database;
use crate::mongo::documents::{MessageDocument, PositionDocument};
use crate::mongo::failure::Failure;
use crate::mongo::schema::{ROOM_DELETED, ROOM_TIMES};

/// 2,000: the messages that one question reads after the first one found too few.
const STEP: usize = 2_000;

/// 1 s: after so long a page ends with what it has.
const BUDGET: Duration = Duration::from_secs(1);

/// The messages that were sent during a broadcast. Milliseconds since 1970, both ends included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    presenter_idx: i64,
    started: i64,
    ended: Option<i64>,
}

/// A place in a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplayPlace {
    /// Before the messages of that time.
    At(i64),
    /// After a message, with the latest time so far.
    After(PositionDocument, i64),
}

impl ReplayPlace {
    /// The latest time so far.
    pub(crate) fn time(&self) -> i64 {
        match self {
            ReplayPlace::At(at) => *at,
            ReplayPlace::After(_, latest) => *latest,
        }
    }
}

/// The limit of a replay. Milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limit {
    /// Messages before this time are within the limit.
    pub(crate) before: Option<i64>,
    /// Messages up to this position of its epoch, and all that are older than this time, are within the limit.
    pub(crate) archived: Option<(PositionDocument, i64)>,
}

impl Limit {
    /// Whether a message is beyond the limit. `so_far`: the latest time so far, with this message.
    fn excludes(&self, position: PositionDocument, so_far: i64) -> bool {
        let is_unsettled = |(archived, certain): (PositionDocument, i64)| {
            position.epoch == archived.epoch && position > archived && so_far >= certain
        };
        self.before.is_some_and(|before| so_far >= before) || self.archived.is_some_and(is_unsettled)
    }
}

/// A part of a replay.
#[derive(Debug)]
pub(crate) struct Part {
    /// Each with the latest time so far.
    pub(crate) messages: Vec<(i64, MessageDocument)>,
    /// Where to go on.
    pub(crate) place: ReplayPlace,
    pub(crate) rest: Rest,
}

/// What follows a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Perhaps more messages.
    More,
    /// A message beyond the limit, with its latest time so far.
    Later(i64),
    /// Nothing, so far.
    Nothing,
}

impl Scope {
    pub(crate) fn new(presenter_idx: i64, broadcast: &Broadcast) -> Scope {
        Scope { presenter_idx, started: broadcast.started(), ended: broadcast.ended() }
    }

    fn holds(&self, at: i64) -> bool {
        self.started <= at && self.ended.is_none_or(|ended| at <= ended)
    }

    /// The first time after the broadcast.
    fn beyond(&self) -> DateTime {
        self.ended.map_or(DateTime::MAX, |ended| DateTime::from_millis(ended.saturating_add(1)))
    }

    fn span(&self) -> Span {
        Span { from: Some(DateTime::from_millis(self.started)), to: Some(self.beyond()) }
    }

    /// The next messages from the place on: at most `first`, up to the limit.
    pub(crate) async fn part(
        &self,
        database: &Database,
        place: ReplayPlace,
        first: usize,
        limit: Limit,
    ) -> Result<Part, Failure> {
        let begun = Instant::now();
        let mut part = Part { messages: Vec::new(), place, rest: Rest::Nothing };
        let Some(last) = self.last(database).await? else { return Ok(part) };
        // The first read starts at the place itself, later ones after the previous read.
        let (mut lower, mut latest) = match place {
            ReplayPlace::At(at) => {
                let at = DateTime::from_millis(at.max(self.started));
                let found = times::first_between(database, self.presenter_idx, at, self.beyond()).await?;
                let Some(found) = found else { return Ok(part) };
                (doc! { "$gte": found }, i64::MIN)
            }
            ReplayPlace::After(position, latest) => (doc! { "$gt": position }, latest),
        };
        let mut step = first + 1;
        loop {
            let read = self.read(database, &lower, last, step).await?;
            let Some(end) = read.last().map(|message| message.position) else { return Ok(part) };
            for message in read {
                let (at, position) = (message.sent_at.timestamp_millis(), message.position);
                if self.holds(at) {
                    let so_far = latest.max(at);
                    if limit.excludes(position, so_far) {
                        part.rest = Rest::Later(so_far);
                        return Ok(part);
                    }
                    if message.deleted.is_none() {
                        if part.messages.len() == first {
                            part.rest = Rest::More;
                            return Ok(part);
                        }
                        part.messages.push((so_far, message));
                    }
                    latest = so_far;
                }
                part.place = ReplayPlace::After(position, latest);
            }
            if begun.elapsed() > BUDGET {
                part.rest = Rest::More;
                return Ok(part);
            }
            lower = doc! { "$gt": end };
            step = STEP;
        }
    }

    /// The position of the last message, which bounds the reads. The inner None: no bound. The outer None: no messages.
    async fn last(&self, database: &Database) -> Result<Option<Option<PositionDocument>>, Failure> {
        match self.ended {
            None => Ok(Some(None)),
            Some(_) => Ok(times::last_before(database, self.presenter_idx, self.beyond()).await?.map(Some)),
        }
    }

    async fn read(
        &self,
        database: &Database,
        lower: &Document,
        last: Option<PositionDocument>,
        limit: usize,
    ) -> Result<Vec<MessageDocument>, Failure> {
        let sequence = Sequence::Room { presenter_idx: self.presenter_idx, only: Only::All };
        let upper = last.map(|last| doc! { "position": { "$lte": last } }).unwrap_or_default();
        let filter = doc! { "$and": [sequence.filter(), { "position": lower }, upper] };
        let mut options = sequence.options(Order::Asc);
        options.limit = i64::try_from(limit).ok();
        database.select(&database.messages(), filter, options).await
    }

    /// The number of messages that are not deleted.
    pub(crate) async fn count(&self, database: &Database) -> Result<u64, Failure> {
        let sent = doc! { "presenterIdx": self.presenter_idx, "sentAt": self.span().filter() };
        let all = count(database, sent, ROOM_TIMES).await?;
        Ok(all.saturating_sub(self.count_deleted(database).await?))
    }

    /// The number of deleted messages.
    pub(crate) async fn count_deleted(&self, database: &Database) -> Result<u64, Failure> {
        let Some(bounds) = times::bounds(database, self.presenter_idx, self.span()).await? else { return Ok(0) };
        let sequence = Sequence::Room { presenter_idx: self.presenter_idx, only: Only::Deleted };
        let range = sequence.range(&bounds, Order::Asc, None, None);
        let matching = doc! { "$and": [sequence.filter(), range, { "sentAt": self.span().filter() }] };
        count(database, matching, ROOM_DELETED).await
    }

    /// The number of people who wrote the messages that are not deleted.
    pub(crate) async fn count_chatters(&self, database: &Database) -> Result<u64, Failure> {
        let from = DateTime::from_millis(self.started);
        // A running broadcast ends with its last message: a stretch is read in parts of equal length.
        let before = times::later(from, -1);
        let Some(last) = times::last_said_between(database, self.presenter_idx, before, self.beyond()).await? else {
            return Ok(0);
        };
        let stretch = Stretch { presenter_idx: self.presenter_idx, from, to: times::later(last, 1) };
        chatters::count(database, stretch).await
    }

    /// The presenter's nickname, from the presenter's last message up to the end.
    pub(crate) async fn nickname(&self, database: &Database) -> Result<Option<String>, Failure> {
        let sequence = Sequence::User { user_idx: self.presenter_idx, presenter_idx: Some(self.presenter_idx) };
        let filter = doc! { "$and": [sequence.filter(), { "sentAt": { "$lt": self.beyond() } }] };
        let mut options: FindOptions = sequence.options(Order::Desc);
        options.limit = Some(1);
        let found: Vec<MessageDocument> = database.select(&database.messages(), filter, options).await?;
        Ok(found.into_iter().next().map(|message| message.nickname))
    }
}

/// The number of messages that match.
async fn count(database: &Database, matching: Document, index: &str) -> Result<u64, Failure> {
    #[derive(serde::Deserialize)]
    struct Counted {
        count: i64,
    }
    let stages = vec![doc! { "$match": matching }, doc! { "$count": "count" }];
    let found: Vec<Counted> = database.aggregate(&database.messages(), stages, Some(index)).await?;
    Ok(found.into_iter().next().and_then(|counted| counted.count.try_into().ok()).unwrap_or(0))
}
