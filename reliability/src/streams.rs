//! The streams of the log at the end of a run, and the progress of the archive's consumer, from the servers' monitoring
//! endpoints. Independent of this project's code.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream::{self, Context};
use jiff::Timestamp;
use judge::history::{Observation, Reading, Recorder, StreamState};
use nats::ServerUrl;
use serde::Deserialize;

use crate::system::System;

/// A running server answers at once.
const TIMEOUT: Duration = Duration::from_secs(10);

/// This metadata member of a stream lists its epochs after a loss, in hexadecimal, each with its first sequence:
/// `1879f0c3a1b2c3d4@0,1879f0c3a1b2ffff@31`.
const TIMELINE: &str = "chatting-server.timeline";

/// The prefix of the log's streams.
const PREFIX: &str = "CHAT_";

#[derive(Debug, Deserialize)]
struct Monitoring {
    #[serde(default)]
    account_details: Vec<Account>,
}

#[derive(Debug, Deserialize)]
struct Account {
    #[serde(default)]
    stream_detail: Vec<Stream>,
}

#[derive(Debug, Deserialize)]
struct Stream {
    name: String,
    created: Timestamp,
    #[serde(default)]
    config: StreamConfig,
    state: State,
    #[serde(default)]
    consumer_detail: Vec<Consumer>,
}

#[derive(Debug, Default, Deserialize)]
struct StreamConfig {
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct State {
    first_seq: u64,
    last_seq: u64,
}

#[derive(Debug, Deserialize)]
struct Consumer {
    /// Only durable consumers have one.
    config: Option<ConsumerConfig>,
    ack_floor: Floor,
}

#[derive(Debug, Deserialize)]
struct ConsumerConfig {
    durable_name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Floor {
    stream_seq: u64,
}

/// The state of a stream.
#[derive(Debug, Default)]
struct Known {
    epochs: BTreeSet<u64>,
    first: u64,
    last: u64,
    acknowledged: Option<u64>,
}

/// The sequences that a stream does not have between its first and its last, as the leader lists them.
async fn holes(jetstream: &Context, name: &str) -> anyhow::Result<Vec<(u64, u64)>> {
    let stream = jetstream.get_stream_no_info(name).await?;
    let info = stream.info_builder().with_deleted(true).fetch().await.context("the stream does not answer")?;
    let mut holes: Vec<(u64, u64)> = Vec::new();
    for sequence in info.info.state.deleted.unwrap_or_default() {
        match holes.last_mut() {
            Some((_, last)) if *last + 1 == sequence => *last = sequence,
            _ => holes.push((sequence, sequence)),
        }
    }
    Ok(holes)
}

fn epochs(timeline: &str) -> impl Iterator<Item = u64> {
    timeline.split(',').filter_map(|segment| u64::from_str_radix(segment.split_once('@')?.0, 16).ok())
}

/// Records every stream. Of the members of a cluster the most advanced counts, because others may lag.
pub(crate) async fn read(system: &System, recorder: &Recorder) -> anyhow::Result<()> {
    let client = testkit::client().timeout(TIMEOUT).build()?;
    let mut streams: BTreeMap<String, Known> = BTreeMap::new();
    for server in &system.monitoring {
        let url = format!("{server}/jsz?accounts=1&streams=1&consumers=1&config=1");
        let said: Monitoring =
            client.get(url).send().await?.json().await.context("cannot read nats-server's answer")?;
        let details = said.account_details.into_iter().flat_map(|account| account.stream_detail);
        for Stream { name, created, config, state, consumer_detail } in
            details.filter(|stream| stream.name.starts_with(PREFIX))
        {
            let durable =
                |consumer: &&Consumer| consumer.config.as_ref().is_some_and(|config| config.durable_name.is_some());
            let acknowledged =
                consumer_detail.iter().filter(durable).map(|consumer| consumer.ack_floor.stream_seq).max();
            let created = u64::try_from(created.as_nanosecond()).context("a stream was made before 1970")?;
            let known = streams.entry(name).or_default();
            known.epochs.insert(created);
            known.epochs.extend(config.metadata.get(TIMELINE).into_iter().flat_map(|timeline| epochs(timeline)));
            known.first = known.first.max(state.first_seq);
            known.last = known.last.max(state.last_seq);
            known.acknowledged = known.acknowledged.max(acknowledged);
        }
    }
    anyhow::ensure!(!streams.is_empty(), "nats-server has no stream of the log");
    let servers: Vec<String> = system.config.nats.urls.iter().map(ServerUrl::shown).collect();
    let jetstream = jetstream::new(async_nats::connect(servers).await.context("cannot connect to NATS")?);
    for (name, Known { epochs, first, last, acknowledged }) in streams {
        let (epochs, holes) = (epochs.into_iter().collect(), holes(&jetstream, &name).await?);
        recorder.note(Observation::Stream(StreamState { epochs, first, last, acknowledged, holes }));
    }
    recorder.note(Observation::Read { reading: Reading::Streams });
    Ok(())
}
