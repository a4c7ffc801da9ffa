//! Setting up a log: [`set_up`] creates missing streams and buckets and updates those that differ, which only an
//! operator needs permission for. Every node reads them at its start with [`look`], and changes nothing. A change that
//! would tear rooms apart is refused.

pub(crate) mod wanted;

use std::time::Duration;

use async_nats::jetstream::{self, ErrorCode};
use tokio::time::{Instant, sleep};

use crate::config::Config;
use crate::connection;
use crate::context::Found;
use crate::epoch::timeline::{Timeline, Timelines};
use crate::error::Error;
use crate::jetstream::{causes, find_stream, request};
use crate::read::clock::Clock;
use crate::setup::wanted::{Change, Wanted, wanted};
use crate::streams::{DECISIONS, NODES, ONE_USE_TICKETS, SESSIONS, TICKETS};

/// For some seconds a cluster that has just started finds no members, or no leader, for a stream.
const STARTED_WITHIN: Duration = Duration::from_secs(30);

/// The pause before the next attempt.
const START_PAUSE: Duration = Duration::from_millis(250);

/// Connects as `name`, and returns what [`set_up`] would change.
pub async fn plan(config: &Config, name: &str) -> Result<Vec<Change>, Error> {
    let jetstream = connection::once(config, name).await?;
    let mut changes = Vec::new();
    for wanted in wanted(config) {
        changes.extend(wanted.change(find_stream(&jetstream, &wanted.stream()).await?.as_ref(), config)?);
    }
    Ok(changes)
}

/// Connects as `name`, creates the missing streams and buckets of the log, updates those that differ, and returns the
/// changes. It waits for a cluster that has just started.
pub async fn set_up(config: &Config, name: &str) -> Result<Vec<Change>, Error> {
    let jetstream = connection::once(config, name).await?;
    let mut changes = Vec::new();
    for wanted in wanted(config) {
        let until = Instant::now() + STARTED_WITHIN;
        loop {
            match set_up_one(&jetstream, config, &wanted).await {
                Ok(change) => break changes.extend(change),
                Err(error) if is_starting(&error) && Instant::now() < until => sleep(START_PAUSE).await,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(changes)
}

async fn set_up_one(jetstream: &jetstream::Context, config: &Config, wanted: &Wanted) -> Result<Option<Change>, Error> {
    let present = find_stream(jetstream, &wanted.stream()).await?;
    let change = wanted.change(present.as_ref(), config)?;
    match (&change, present) {
        (Some(Change::Create { stream }), _) => match wanted.create(jetstream).await {
            Ok(()) => {}
            // Another process created it in the meantime, perhaps with another configuration.
            Err(_) if find_stream(jetstream, stream).await?.is_some() => {
                return Box::pin(set_up_one(jetstream, config, wanted)).await;
            }
            Err(error) => return Err(error),
        },
        (Some(Change::Update { .. }), Some(present)) => wanted.update(jetstream, &present.config).await?,
        (Some(Change::Update { .. }) | None, _) => {}
    }
    Ok(change)
}

/// Whether the error is that of a cluster which is not complete yet.
fn is_starting(error: &Error) -> bool {
    causes(error).any(|cause| {
        cause.downcast_ref::<jetstream::Error>().is_some_and(|error| {
            [ErrorCode::CLUSTER_NO_PEERS, ErrorCode::CLUSTER_NOT_AVAILABLE].contains(&error.error_code())
        })
    })
}

/// Reads the streams and buckets, and changes nothing. It logs what differs from the configuration.
pub(crate) async fn look(jetstream: &jetstream::Context, config: &Config) -> Result<Found, Error> {
    let (mut timelines, mut lease) = (Vec::new(), config.lease());
    for wanted in wanted(config) {
        let stream = wanted.stream();
        let Some(present) = find_stream(jetstream, &stream).await? else { return Err(Error::Missing { stream }) };
        if let Some(change) = wanted.change(Some(&present), config)? {
            tracing::warn!(stream, "{change}; `chatting-server setup` changes it");
        }
        match wanted {
            Wanted::Partition(_) => timelines.push(Timeline::of(&present)),
            Wanted::Bucket(bucket) if bucket.bucket == NODES => lease = present.config.max_age,
            Wanted::Stream(_) | Wanted::Bucket(_) => {}
        }
    }
    let bucket = async |name: &str| request("opening a bucket", jetstream.get_key_value(name)).await;
    let (sessions, nodes, decisions) = (bucket(SESSIONS).await?, bucket(NODES).await?, bucket(DECISIONS).await?);
    let (tickets, one_use_tickets) = (bucket(TICKETS).await?, bucket(ONE_USE_TICKETS).await?);
    let clocks: Vec<Clock> = (0..config.partitions).map(Clock::new).collect();
    // The first clock is the log's time, needed at once. The others are read on demand.
    clocks[0].read(jetstream).await?;
    let timelines = Timelines::new(timelines);
    Ok(Found { timelines, clocks, sessions, nodes, decisions, tickets, one_use_tickets, lease })
}
