//! The tail: every event of every partition in order, each once unless copies are requested. Delivery nodes fill their
//! window from it, and ingest nodes replay bans, settings and limits from it.

use std::sync::Arc;
use std::time::Duration;

use chat::Position;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::context::Context;
use crate::epoch::evidence::epoch_of_writer;
use crate::epoch::timeline::{Standing, Timeline, Timelines};
use crate::error::Error;
use crate::own_batches::OwnBatches;
use crate::read::entry::{Entry, entries};
use crate::read::item::{Item, ReadFrom, Record, Status};
use crate::read::reader;
use crate::read::recent::Recent;
use crate::streams::DUPLICATE_WINDOW;

/// How many batches may wait for [`Tail::next`] before reading pauses.
const BATCHES: usize = 64;

/// Two copies of an event are rarely further apart: a client retries within seconds, and ingest remembers what it has
/// read.
const COPIES_WITHIN: Duration = DUPLICATE_WINDOW;

/// Where a tail starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At the oldest event in the log.
    Oldest,
    /// At the first batch stored at or after that time, by the log's clock ([`crate::Log::now`]). If an event's first
    /// copy is older, no later copy is handed out.
    Since(Timestamp),
    /// In each partition after the batch of that position. If that position was lost, after the last batch that was not
    /// lost; without a position, at the oldest batch.
    After(Vec<Position>),
}

/// What happens to a later copy of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copies {
    Dropped,
    HandedOut,
}

/// A tail of all partitions. Dropping it ends its tasks.
#[derive(Debug)]
pub struct Tail {
    context: Arc<Context>,
    batches: mpsc::Receiver<(u32, Result<Item, Error>)>,
    status: TailStatus,
    /// The recent ids of each partition, as an event of all rooms has a copy in each. Empty: copies are handed out.
    recent: Vec<Recent>,
    /// Batches stored earlier only fill `recent`, so that later copies of their events are recognised.
    since: Option<Timestamp>,
    /// For each partition the last sequence received. `None`: nothing was heard of it.
    last: Vec<Option<u64>>,
    /// The partition and sequence handed out last. The next call of [`Tail::next`] confirms that the caller has
    /// processed it.
    taken: Option<(u32, u64)>,
    /// For each partition the epoch in which the last batch received was written. `None`: it is not known.
    written_in: Vec<Option<u64>>,
    /// For each partition the sequence after which no batch was missed. `None`: nothing was heard of it.
    whole_after: Vec<Option<u64>>,
    _stop: DropGuard,
}

/// The state of a tail, for health checks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TailStatus {
    partitions: Arc<[Status]>,
    timelines: Timelines,
    /// For each partition the sequence up to which the caller has processed everything.
    reached: Arc<watch::Sender<Vec<u64>>>,
}

impl Tail {
    pub(crate) fn start(context: &Arc<Context>, start: Start, copies: Copies) -> Tail {
        let (sink, batches) = mpsc::channel(BATCHES);
        let stop = context.tasks.stop().child_token();
        let since = match start {
            Start::Since(time) if copies == Copies::Dropped => Some(time),
            _ => None,
        };
        let follow = |(partition, timeline): (u32, &Timeline)| {
            let from = match &start {
                Start::Oldest => ReadFrom::Oldest,
                Start::Since(time) if since.is_some() => {
                    ReadFrom::Since(time.saturating_sub(COPIES_WITHIN).unwrap_or(*time))
                }
                Start::Since(time) => ReadFrom::Since(*time),
                Start::After(positions) => {
                    let standings = positions.iter().map(|position| timeline.standing(*position));
                    let known = standings.filter_map(|standing| match standing {
                        Standing::Here(position) | Standing::Lost(position) => Some(position.sequence + 1),
                        Standing::Elsewhere => None,
                    });
                    known.max().map_or(ReadFrom::Oldest, ReadFrom::Sequence)
                }
            };
            let map = move |item| (partition, item);
            reader::read_partition(context, partition, from, stop.clone(), sink.clone(), map)
        };
        let partitions = (0..).zip(context.timelines.iter()).map(follow).collect();
        Tail {
            context: context.clone(),
            batches,
            status: TailStatus {
                partitions,
                timelines: context.timelines.clone(),
                reached: Arc::new(watch::Sender::new(vec![0; context.memories.len()])),
            },
            recent: match copies {
                Copies::Dropped => context.timelines.iter().map(|_| Recent::default()).collect(),
                Copies::HandedOut => Vec::new(),
            },
            since,
            last: vec![None; context.memories.len()],
            taken: None,
            written_in: vec![None; context.memories.len()],
            whole_after: vec![None; context.memories.len()],
            _stop: CancellationToken::drop_guard(stop),
        }
    }

    /// The next events: one batch of one partition, never empty. Within a room events come in the order of positions,
    /// each id once unless copies are requested. Waits until there is something. Cancel safe. An error is final, and
    /// after [`Error::Replaced`] the log has failed.
    ///
    /// Two copies of an event are recognised if fewer than 262,144 events stand between them.
    pub async fn next(&mut self) -> Result<Vec<Entry>, Error> {
        loop {
            let (partition, record) = self.record().await?;
            let events = self.events(partition, record);
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }

    /// The next batch, with its partition. Cancel safe.
    pub(crate) async fn record(&mut self) -> Result<(u32, Record), Error> {
        loop {
            if let Some((partition, sequence)) = self.taken.take() {
                self.status.reached.send_modify(|reached| reached[partition as usize] = sequence);
            }
            let (partition, item) = self.batches.recv().await.ok_or(Error::Closed)?;
            if let Err(Error::Replaced { stream, reason }) = &item {
                // State derived from this tail is about another log, and nothing more will come.
                self.context.fail(Error::Replaced { stream: stream.clone(), reason: reason.clone() });
            }
            match item? {
                Item::Record(record) => {
                    self.context.check()?;
                    return Ok((partition, record));
                }
                Item::CaughtUp(sequence) => {
                    let index = partition as usize;
                    let last = *self.last[index].get_or_insert(sequence);
                    self.whole_after[index].get_or_insert(sequence);
                    self.taken = Some((partition, last.max(sequence)));
                    self.status.partitions[index].set_caught_up();
                }
                Item::Resumed => {}
            }
        }
    }

    /// For each partition heard from: every event after that position was handed out, or will be. The position advances
    /// when batches leave the log before they are read.
    pub fn whole_after(&self) -> impl Iterator<Item = (u32, Position)> {
        let position = |partition, sequence| self.context.timelines.get(partition).position(sequence, u32::MAX);
        let known = (0..).zip(&self.whole_after);
        known.filter_map(move |(partition, sequence)| {
            sequence.map(|sequence| (partition, position(partition, sequence)))
        })
    }

    /// A handle on this tail's state.
    pub fn status(&self) -> TailStatus {
        self.status.clone()
    }

    /// What this process has sent to the partition.
    pub(crate) fn own_batches(&self, partition: u32) -> &OwnBatches {
        &self.context.own_batches[partition as usize]
    }

    /// Notes that the batch was received, and returns its epoch.
    pub(crate) fn receive(&mut self, partition: u32, record: &Record) -> u64 {
        let sequence = record.sequence;
        let index = partition as usize;
        self.taken = Some((partition, sequence));
        let timeline = self.context.timelines.get(partition);
        let epoch = timeline.position(sequence, 0).epoch;
        let written_in = std::mem::replace(&mut self.written_in[index], epoch_of_writer(record.headers.as_ref()));
        // The new epoch may begin before the lost part: nobody knew what was the last batch that is left.
        let is_from_before = written_in.is_some_and(|written_in| written_in < epoch);
        match self.last[index].replace(sequence) {
            // A server may count a lost end as deleted, and go on behind it. Holders of positions before the new epoch
            // are told of the loss, and what the log still has is whole.
            Some(last) if is_from_before || timeline.begins_at(last + 1) || timeline.begins_at(sequence) => {}
            Some(last) if sequence > last + 1 => {
                let missed = sequence - last - 1;
                tracing::error!(partition, after = last, missed, "batches left the log before they were read");
                self.whole_after[index] = Some(sequence - 1);
            }
            _ => {}
        }
        if self.is_early(record) {
            self.whole_after[index] = Some(sequence);
        }
        self.whole_after[index].get_or_insert(sequence - 1);
        self.context.clocks[index].observe(record.stored);
        epoch
    }

    fn is_early(&self, record: &Record) -> bool {
        self.since.is_some_and(|since| record.stored < since)
    }

    fn events(&mut self, partition: u32, record: Record) -> Vec<Entry> {
        let (epoch, is_early, sequence) = (self.receive(partition, &record), self.is_early(&record), record.sequence);
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
    /// Whether everything that was in the log when the tail started was handed out, and processed: [`Tail::next`] was
    /// called once more.
    pub fn is_caught_up(&self) -> bool {
        self.partitions.iter().all(Status::is_caught_up)
    }

    /// Waits until [`TailStatus::is_caught_up`].
    pub async fn caught_up(&self) {
        for partition in self.partitions.iter() {
            partition.caught_up().await;
        }
    }

    /// Waits until everything up to that position was handed out and processed: [`Tail::next`] was called once more.
    pub async fn reached(&self, position: Position) {
        let Some(partition) = self.timelines.partition(position) else { return };
        let mut reached = self.reached.subscribe();
        let is_there = reached.wait_for(|reached| reached[partition as usize] >= position.sequence);
        is_there.await.expect("self keeps the sender");
    }

    /// Whether every partition was heard from recently. If not, silence does not mean that the log is quiet.
    pub fn is_current(&self) -> bool {
        self.partitions.iter().all(Status::is_current)
    }
}
