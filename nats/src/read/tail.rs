//! The tail: every event of every partition, in order, each once unless copies are asked for. Delivery nodes fill their
//! window from it, ingest nodes fold from it what holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::epoch::timeline::{Place, Timeline, Timelines};
use crate::error::Error;
use crate::log::Inner;
use crate::read::entry::{Entry, entries};
use crate::read::reader;
use crate::read::reader::{From, Item, Record, Status};
use crate::read::recent::Recent;
use crate::setup::DUPLICATE_WINDOW;
use chat::Position;

/// How many batches may wait for [`Tail::next`]; then reading pauses.
const BATCHES: usize = 64;

/// Two copies of an event are rarely further apart: a client sends again within seconds, and ingest knows what it has read.
const COPIES_WITHIN: Duration = DUPLICATE_WINDOW;

/// Where a tail begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At the oldest event that the log still has.
    Oldest,
    /// At the first batch stored at or after that time, by the log's clock ([`crate::Log::now`]); of an event whose first
    /// copy stands before it, no later copy is handed out.
    Since(Timestamp),
    /// In each partition after the batch of that position, or where the log parted from what that position was in; in a
    /// partition for which there is none, at the oldest.
    After(Vec<Position>),
}

/// What becomes of an event that came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copies {
    Dropped,
    HandedOut,
}

/// A reader of everything. Dropping it ends its tasks.
#[derive(Debug)]
pub struct Tail {
    log: Arc<Inner>,
    batches: mpsc::Receiver<(u32, Result<Item, Error>)>,
    status: TailStatus,
    /// For each partition, as an event of every room has a copy in each; empty: copies are handed out.
    recent: Vec<Recent>,
    /// What was stored before is only remembered, so that a later copy of it is known.
    since: Option<Timestamp>,
    /// For each partition the last sequence that came.
    last: HashMap<u32, u64>,
    /// What came last, of which partition: whoever asks for more has taken it in.
    taken: Option<(u32, u64)>,
    /// For each partition the sequence after which none was missed.
    whole_after: HashMap<u32, u64>,
    _stop: DropGuard,
}

/// How a tail is doing, for health checks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TailStatus {
    partitions: Arc<[Status]>,
    timelines: Timelines,
    /// Of each partition the sequence up to which everything was handed out, and [`Tail::next`] was called once more.
    reached: Arc<watch::Sender<Vec<u64>>>,
}

impl Tail {
    pub(crate) fn start(log: &Arc<Inner>, start: Start, copies: Copies) -> Tail {
        let (sink, batches) = mpsc::channel(BATCHES);
        let stop = log.stop.child_token();
        let since = match start {
            Start::Since(time) if copies == Copies::Dropped => Some(time),
            _ => None,
        };
        let follow = |(partition, timeline): (u32, &Timeline)| {
            let from = match &start {
                Start::Oldest => From::Oldest,
                Start::Since(time) if since.is_some() => {
                    From::Since(time.saturating_sub(COPIES_WITHIN).unwrap_or(*time))
                }
                Start::Since(time) => From::Since(*time),
                Start::After(positions) => {
                    let places = positions.iter().map(|position| timeline.place(*position));
                    let known = places.filter_map(|place| match place {
                        Place::Here(position) | Place::Lost(position) => Some(position.sequence + 1),
                        Place::Elsewhere => None,
                    });
                    known.max().map_or(From::Oldest, From::Sequence)
                }
            };
            let map = move |item| (partition, item);
            reader::read_partition(log, partition, from, stop.clone(), sink.clone(), map)
        };
        let partitions = (0..).zip(log.timelines.iter()).map(follow).collect();
        Tail {
            log: log.clone(),
            batches,
            status: TailStatus {
                partitions,
                timelines: log.timelines.clone(),
                reached: Arc::new(watch::Sender::new(vec![0; log.memories.len()])),
            },
            recent: match copies {
                Copies::Dropped => log.timelines.iter().map(|_| Recent::default()).collect(),
                Copies::HandedOut => Vec::new(),
            },
            since,
            last: HashMap::new(),
            taken: None,
            whole_after: HashMap::new(),
            _stop: CancellationToken::drop_guard(stop),
        }
    }

    /// The next events: one batch of one partition, never empty. Within a room in the order of positions, each event
    /// id once unless copies are asked for. Waits for as long as there is nothing. Cancel safe. An error is final, and where the
    /// stream was replaced the log has failed.
    ///
    /// Two copies of an event are recognised when fewer than 262,144 events stand between them.
    pub async fn next(&mut self) -> Result<Vec<Entry>, Error> {
        loop {
            if let Some((partition, sequence)) = self.taken.take() {
                self.status.reached.send_modify(|reached| reached[partition as usize] = sequence);
            }
            let (partition, item) = self.batches.recv().await.ok_or(Error::Closed)?;
            if let Err(Error::Replaced { stream, reason }) = &item {
                // Whoever goes by what was read must not go on: it is about another log, and nothing more will come.
                self.log.fail(Error::Replaced { stream: stream.clone(), reason: reason.clone() });
            }
            match item? {
                Item::Record(record) => {
                    let events = self.events(partition, record);
                    if !events.is_empty() {
                        return Ok(events);
                    }
                }
                Item::CaughtUp(sequence) => {
                    self.last.entry(partition).or_insert(sequence);
                    self.whole_after.entry(partition).or_insert(sequence);
                    self.taken = Some((partition, self.last[&partition].max(sequence)));
                    self.status.partitions[partition as usize].set_caught_up();
                }
                Item::Resumed => {}
            }
        }
    }

    /// Of each partition that was heard of, with its number: every event after that position has been handed out, or will be. It moves
    /// where batches left the log before they were read.
    pub fn whole_after(&self) -> impl Iterator<Item = (u32, Position)> {
        let position = |partition, sequence| self.log.timelines.get(partition).position(sequence, u32::MAX);
        self.whole_after.iter().map(move |(partition, sequence)| (*partition, position(*partition, *sequence)))
    }

    /// A handle on how this tail is doing.
    pub fn status(&self) -> TailStatus {
        self.status.clone()
    }

    fn events(&mut self, partition: u32, record: Record) -> Vec<Entry> {
        let sequence = record.sequence;
        self.taken = Some((partition, sequence));
        match self.last.insert(partition, sequence) {
            Some(last) if sequence > last + 1 => {
                let missed = sequence - last - 1;
                tracing::error!(partition, after = last, missed, "batches left the log before they were read");
                self.whole_after.insert(partition, sequence - 1);
            }
            _ => {}
        }
        let is_early = self.since.is_some_and(|since| record.stored < since);
        if is_early {
            self.whole_after.insert(partition, sequence);
        }
        self.whole_after.entry(partition).or_insert(sequence - 1);
        self.log.clocks[partition as usize].observe(record.stored);
        let epoch = self.log.timelines.get(partition).position(sequence, 0).epoch;
        let headers = record.headers.as_ref();
        let mut events = Vec::new();
        for line in entries(epoch, sequence, record.stored, headers, &record.payload) {
            match line {
                Ok(entry) if self.is_wanted(partition, &entry) => events.extend((!is_early).then_some(entry)),
                Ok(entry) => tracing::debug!(id = %entry.id, position = %entry.position, "skipped a repeated event"),
                Err(malformed) => {
                    let (position, reason) = (malformed.position, malformed.reason);
                    tracing::warn!(%position, %reason, "skipped a line of the log that is not an event");
                }
            }
        }
        events
    }

    fn is_wanted(&mut self, partition: u32, entry: &Entry) -> bool {
        self.recent.get_mut(partition as usize).is_none_or(|recent| recent.insert(entry.id))
    }
}

impl TailStatus {
    /// Whether everything that was in the log when the tail began has been handed out, and [`Tail::next`] was called
    /// once more.
    pub fn is_caught_up(&self) -> bool {
        self.partitions.iter().all(Status::is_caught_up)
    }

    /// Waits until [`TailStatus::is_caught_up`].
    pub async fn caught_up(&self) {
        for partition in self.partitions.iter() {
            partition.caught_up().await;
        }
    }

    /// Waits until everything up to that position has been handed out, and [`Tail::next`] was called once more.
    pub async fn reached(&self, position: Position) {
        let Some(partition) = self.timelines.partition(position) else { return };
        let mut reached = self.reached.subscribe();
        let is_there = reached.wait_for(|reached| reached[partition as usize] >= position.sequence);
        is_there.await.expect("self keeps the sender");
    }

    /// Whether the log was heard of lately; if not, silence is no evidence of a quiet night.
    pub fn is_current(&self) -> bool {
        self.partitions.iter().all(Status::is_current)
    }
}
