//! What the log's servers say of its streams when all is over: what is still there, and how far the archive's consumer
//! has come. It is asked of the servers' monitoring, past everything of ours.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use reqwest::Client;
use serde::Deserialize;

use crate::history::{Reading, Recorder, What};
use crate::system::System;

/// A server that is there answers at once.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The name of a stream of the log begins so.
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
    state: State,
    #[serde(default)]
    consumer_detail: Vec<Consumer>,
}

#[derive(Debug, Deserialize)]
struct State {
    first_seq: u64,
    last_seq: u64,
}

#[derive(Debug, Deserialize)]
struct Consumer {
    /// Only what outlives its reader has one.
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

/// Notes every stream. Of what the members of a cluster say the furthest counts: some may lag.
pub(crate) async fn read(system: &System, recorder: &Recorder) -> anyhow::Result<()> {
    let client = Client::builder().no_proxy().timeout(TIMEOUT).build()?;
    let mut streams: BTreeMap<u64, (u64, u64, Option<u64>)> = BTreeMap::new();
    for server in &system.monitoring {
        let url = format!("{server}/jsz?accounts=1&streams=1&consumers=1&config=1");
        let said: Monitoring = client.get(url).send().await?.json().await.context("nats-server's answer is odd")?;
        let details = said.account_details.into_iter().flat_map(|account| account.stream_detail);
        for Stream { created, state, consumer_detail, .. } in details.filter(|stream| stream.name.starts_with(PREFIX)) {
            let durable =
                |consumer: &&Consumer| consumer.config.as_ref().is_some_and(|config| config.durable_name.is_some());
            let acknowledged =
                consumer_detail.iter().filter(durable).map(|consumer| consumer.ack_floor.stream_seq).max();
            let epoch = u64::try_from(created.as_nanosecond()).context("a stream was made before 1970")?;
            let known = streams.entry(epoch).or_default();
            *known = (known.0.max(state.first_seq), known.1.max(state.last_seq), known.2.max(acknowledged));
        }
    }
    anyhow::ensure!(!streams.is_empty(), "nats-server knows no stream of the log");
    for (epoch, (first, last, acknowledged)) in streams {
        recorder.note(What::Stream { epoch, first, last, acknowledged });
    }
    recorder.note(What::Read { reading: Reading::Streams });
    Ok(())
}
