//! What every part of this crate works with: the connection, the epochs, the clocks, what was seen of each partition,
//! its capacity, the background tasks, and the failure that ends them. It knows none of the parts that use it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::{self, kv};
use jiff::Timestamp;
use runtime::Tasks;
use tokio::sync::{OnceCell, watch};

use crate::capacity::Capacity;
use crate::config::Config;
use crate::epoch::memory::Memory;
use crate::epoch::timeline::{TIMELINE_CHANGED, Timelines};
use crate::error::Error;
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::own_batches::OwnBatches;
use crate::partition;
use crate::read::clock::{Clock, Reading};

/// One connection to the log, with what this process knows of it.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) jetstream: jetstream::Context,
    pub(crate) config: Config,
    /// Changes with each new connection.
    pub(crate) connections: watch::Receiver<()>,
    /// The epochs of each partition.
    pub(crate) timelines: Timelines,
    /// What this process has seen of each partition.
    pub(crate) memories: Vec<Arc<Memory>>,
    /// What this process has sent to each partition and has not read back.
    pub(crate) own_batches: Vec<OwnBatches>,
    /// The clock of each partition's leader.
    pub(crate) clocks: Vec<Clock>,
    pub(crate) capacity: Capacity,
    pub(crate) metrics: Metrics,
    pub(crate) sessions: kv::Store,
    pub(crate) nodes: kv::Store,
    pub(crate) decisions: kv::Store,
    pub(crate) tickets: kv::Store,
    pub(crate) one_use_tickets: kv::Store,
    /// How long NATS keeps a lease that is not renewed.
    pub(crate) lease: Duration,
    /// Every background task of this log. [`crate::Log::close`] awaits them.
    pub(crate) tasks: Tasks,
    /// Set once what this process remembers is compared with a loss that another one recorded.
    pub(crate) amended: OnceCell<()>,
    failure: Failure,
}

/// The streams and buckets of a log, as they were found.
pub(crate) struct Found {
    pub(crate) timelines: Timelines,
    pub(crate) clocks: Vec<Clock>,
    pub(crate) sessions: kv::Store,
    pub(crate) nodes: kv::Store,
    pub(crate) decisions: kv::Store,
    pub(crate) tickets: kv::Store,
    pub(crate) one_use_tickets: kv::Store,
    /// How long NATS keeps a lease that is not renewed.
    pub(crate) lease: Duration,
}

impl Context {
    pub(crate) fn new(
        jetstream: jetstream::Context,
        config: Config,
        connections: watch::Receiver<()>,
        found: Found,
    ) -> Context {
        let Found { timelines, clocks, sessions, nodes, decisions, tickets, one_use_tickets, lease } = found;
        Context {
            jetstream,
            connections,
            timelines,
            memories: (0..config.partitions).map(|_| Arc::default()).collect(),
            own_batches: (0..config.partitions).map(|_| OwnBatches::default()).collect(),
            clocks,
            capacity: Capacity::new(config.partitions),
            metrics: Metrics::new(),
            sessions,
            nodes,
            decisions,
            tickets,
            one_use_tickets,
            lease,
            tasks: Tasks::new(),
            amended: OnceCell::new(),
            failure: Failure::default(),
            config,
        }
    }

    /// Whether the client is connected to a server.
    pub(crate) fn is_connected(&self) -> bool {
        self.jetstream.client().connection_state() == State::Connected
    }

    /// The time by the clock of the log's servers.
    pub(crate) fn now(&self) -> Timestamp {
        self.clocks[0].now()
    }

    /// Reports a failure that nothing in this process can repair.
    pub(crate) fn fail(&self, error: Error) {
        self.failure.report(error);
    }

    /// Whether the partition has a later epoch than those that this process knows. Then the log has failed.
    pub(crate) fn is_superseded(&self, partition: u32, reading: &Reading) -> bool {
        let is_superseded = reading.epoch > self.timelines.get(partition).epoch();
        if is_superseded && self.failure.get().is_none() {
            self.fail(Error::Replaced { stream: partition::stream(partition), reason: TIMELINE_CHANGED.to_owned() });
        }
        is_superseded
    }

    /// Whether the log has failed because it is not the one that this process knew.
    pub(crate) fn is_replaced(&self) -> bool {
        matches!(self.failure.get(), Some(Error::Replaced { .. }))
    }

    /// The failure, if there is one. After it, positions may be those of a lost part.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.failure.get() {
            None => Ok(()),
            Some(Error::Replaced { stream, reason }) => {
                Err(Error::Replaced { stream: stream.clone(), reason: reason.clone() })
            }
            Some(_) => Err(Error::Closed),
        }
    }

    /// Waits for a failure, including a panic of a background task.
    pub(crate) async fn failed(&self) -> &Error {
        self.failure.wait(&self.tasks).await
    }
}
