//! The state of NATS for `chatting-server check`: each server, and the log compared with the configuration. It changes
//! nothing. It needs permission to ask for the account, the streams and their consumers.

use async_nats::jetstream::{self, stream};
use futures_util::future::join_all;
use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::capacity::Fill;
use crate::config::Config;
use crate::connection;
use crate::epoch::timeline::Timeline;
use crate::error::Error;
use crate::jetstream::{find_consumer, find_stream, request};
use crate::partition;
use crate::read::clock::Clock;
use crate::read::consume::{difference_of_reader, durable};
use crate::setup::wanted::{Change, Difference, Wanted, wanted};

/// Streams that are asked about at once.
const AT_ONCE: usize = 16;

/// One server of `nats.urls`, asked by itself.
#[derive(Debug)]
pub struct ServerState {
    /// Its address, without a login.
    pub url: String,
    /// What it says of itself.
    pub answer: Result<ServerFacts, Error>,
}

/// What a server says of itself to every client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Such as `2.15.1`.
    pub version: String,
    /// Whether JetStream is enabled for the login.
    pub has_jetstream: bool,
}

/// The log as it is.
#[derive(Debug)]
pub struct LogState {
    /// Each stream and bucket of the configuration.
    pub streams: Vec<StreamState>,
    /// The clock of each server that leads a partition.
    pub clocks: Vec<Result<ClockReading, Error>>,
    /// The account's use of JetStream.
    pub storage: Result<Storage, Error>,
    /// Bytes that `setup` would still reserve, on all servers together.
    pub unreserved: u64,
}

/// A stream, or the stream behind a bucket.
#[derive(Debug)]
pub struct StreamState {
    /// The stream.
    pub stream: String,
    /// What `setup` would change. `None`: it is as configured.
    pub change: Option<Change>,
    /// How full it is. `None`: it is missing.
    pub fill: Option<Fill>,
    /// Servers that should keep a copy and do not keep up.
    pub late_replicas: Vec<String>,
    /// The shared reader, for a partition that exists.
    pub reader: Option<ReaderState>,
}

/// The shared reader of a partition.
#[derive(Debug)]
pub enum ReaderState {
    /// No consumer has read the partition yet.
    Missing,
    /// It exists.
    Present {
        /// Batches that it has not handed out.
        waiting: u64,
        /// Batches that it has handed out and that are not acknowledged.
        unacknowledged: usize,
        /// Settings that differ from those that the archiver asks for.
        differences: Vec<Difference>,
    },
    /// It cannot be asked about.
    Unknown(Error),
}

/// The account's use of JetStream, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage {
    /// In use.
    pub used: u64,
    /// The limit of the account. `None`: only the servers' disks limit it.
    pub limit: Option<u64>,
}

/// A clock that was read between two moments of this machine's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockReading {
    /// The server.
    pub server: String,
    /// The time that its clock showed.
    pub time: Timestamp,
    /// This machine's time before the question.
    pub asked: Timestamp,
    /// This machine's time after the answer.
    pub answered: Timestamp,
}

/// Connects to each server of `nats.urls` by itself. Err: the configuration is invalid.
pub async fn servers(config: &Config, name: &str) -> Result<Vec<ServerState>, Error> {
    let (addresses, options) = connection::options(config, name, watch::Sender::new(())).await?;
    let options = options.ignore_discovered_servers();
    let asked = addresses.into_iter().zip(&config.urls).map(|(address, url)| {
        let options = options.clone();
        async move {
            let answer = options.connect(address).await.map(|client| {
                let info = client.server_info();
                ServerFacts { version: info.version, has_jetstream: info.jetstream }
            });
            let url = url.shown();
            let failed =
                |error: async_nats::ConnectError| Error::Connect { servers: url.clone(), source: error.into() };
            ServerState { answer: answer.map_err(failed), url }
        }
    });
    Ok(join_all(asked).await)
}

/// Connects, and compares the log with the configuration. `reader` is the shared reader that archives it.
pub async fn inspect(config: &Config, name: &str, reader: &str) -> Result<LogState, Error> {
    let jetstream = &connection::once(config, name).await?;
    let states = wanted(config).into_iter().map(|wanted| async move { look(jetstream, config, &wanted, reader).await });
    let found: Vec<_> = futures_util::stream::iter(states).buffered(AT_ONCE).try_collect().await?;
    let (mut streams, mut clocks, mut leaders) = (Vec::new(), Vec::new(), Vec::new());
    let reserved = |max_bytes: i64, replicas: usize| u64::try_from(max_bytes).unwrap_or(0) * replicas as u64;
    let mut unreserved = 0;
    for (partition, (wanted, (state, info))) in (0..).zip(wanted(config).iter().zip(found)) {
        let present = info.as_ref().map(|info| reserved(info.config.max_bytes, info.config.num_replicas));
        let needed = reserved(wanted.max_bytes(), config.replicas);
        unreserved += needed.saturating_sub(present.unwrap_or(0));
        let leader = info.as_ref().map(|info| info.cluster.as_ref().and_then(|cluster| cluster.leader.clone()));
        streams.push(state);
        // Partitions come first.
        if let Some(leader) = leader.filter(|leader| partition < config.partitions && !leaders.contains(leader)) {
            clocks.push(read_clock(jetstream, partition).await);
            leaders.push(leader);
        }
    }
    let account = request("asking for the account", jetstream.query_account()).await;
    let storage = account.map(|account| {
        let limit = account.limits.max_storage.and_then(|limit| u64::try_from(limit).ok());
        Storage { used: account.storage, limit }
    });
    Ok(LogState { streams, clocks, storage, unreserved })
}

async fn look(
    jetstream: &jetstream::Context,
    config: &Config,
    wanted: &Wanted,
    reader: &str,
) -> Result<(StreamState, Option<stream::Info>), Error> {
    let stream = wanted.stream();
    let info = find_stream(jetstream, &stream).await?;
    let mut state = StreamState {
        change: wanted.change(info.as_ref(), config)?,
        fill: info.as_ref().map(Fill::of),
        late_replicas: Vec::new(),
        reader: None,
        stream,
    };
    if let Some(cluster) = info.as_ref().and_then(|info| info.cluster.as_ref()) {
        let late = cluster.replicas.iter().filter(|peer| peer.offline || !peer.current);
        state.late_replicas = late.map(|peer| peer.name.clone()).collect();
    }
    if let (Wanted::Partition(_), Some(info)) = (wanted, &info) {
        state.reader = Some(look_at_reader(jetstream, &state.stream, &Timeline::of(info), reader).await);
    }
    Ok((state, info))
}

async fn look_at_reader(
    jetstream: &jetstream::Context,
    stream: &str,
    timeline: &Timeline,
    reader: &str,
) -> ReaderState {
    match find_consumer(jetstream, stream, &durable(timeline, reader)).await {
        Ok(Some(consumer)) => {
            let info = consumer.cached_info();
            ReaderState::Present {
                waiting: info.num_pending,
                unacknowledged: info.num_ack_pending,
                differences: difference_of_reader(&info.config),
            }
        }
        Ok(None) => ReaderState::Missing,
        Err(error) => ReaderState::Unknown(error),
    }
}

async fn read_clock(jetstream: &jetstream::Context, partition: u32) -> Result<ClockReading, Error> {
    let asked = Timestamp::now();
    let reading = Clock::new(partition).read(jetstream).await?;
    let server = format!("leader of {}", partition::stream(partition));
    Ok(ClockReading { server, time: reading.time, asked, answered: Timestamp::now() })
}
