//! The streams and buckets: made where they are missing, brought up to date where they differ, by whichever node comes
//! first. What would tear the log apart is refused instead.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::time::Duration;

use async_nats::jetstream::context::{GetStreamErrorKind, PublishError, PublishErrorKind};
use async_nats::jetstream::stream::{self, DiscardPolicy, StorageType};
use async_nats::jetstream::{self, ErrorCode, kv};
use tokio::time::{Instant, sleep, timeout_at};

use crate::clock::Clock;
use crate::config::Config;
use crate::error::Error;
use crate::partition;
use crate::timeline::{Timeline, Timelines};

/// The stream of saved cursors, and its subject.
pub(crate) const CURSORS: &str = "CURSORS";
pub(crate) const CURSORS_SUBJECT: &str = "cursors";

/// The bucket that says which session holds a room.
pub(crate) const SESSIONS: &str = "sessions";

/// The bucket of the decisions that stand, which outlive the log's age.
pub(crate) const DECISIONS: &str = "decisions";

/// The bucket of the delivery nodes' leases.
pub(crate) const NODES: &str = "nodes";

/// The member of a stream's metadata that records how the log is split.
const PARTITIONS: &str = "chatting-server.partitions";

/// The member of a stream's metadata that records its timeline, once the log has lost its end.
const TIMELINE: &str = "chatting-server.timeline";

/// A batch is stored once although it is sent again. A copy that was held up on its way for longer is stored again, but
/// by then the batch has expired: appends have a minute at most, and readers skip what comes later.
pub(crate) const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Every batch fits: 256 KiB of lines, and the header.
pub(crate) const MAX_MESSAGE_BYTES: i32 = 512 * 1024;

/// Cursors older than the log lead nowhere. 256 MiB are some six million cursors; the oldest go first.
const MAX_CURSOR_BYTES: i64 = 256 * 1024 * 1024;

/// An election takes seconds; it costs the server little to be asked meanwhile.
const NOBODY_PAUSE: Duration = Duration::from_millis(100);

/// A request to JetStream that takes longer has failed.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// What a node needs to know of the log's streams.
pub(crate) struct Setup {
    pub(crate) timelines: Timelines,
    /// Of each partition the clock of its leader.
    pub(crate) clocks: Vec<Clock>,
    pub(crate) sessions: kv::Store,
    pub(crate) nodes: kv::Store,
    pub(crate) decisions: kv::Store,
}

pub(crate) async fn set_up(context: &jetstream::Context, config: &Config) -> Result<Setup, Error> {
    config.check()?;
    let mut timelines = Vec::new();
    for partition in 0..config.partitions {
        timelines.push(timeline(&partition_stream(context, config, partition).await?));
    }
    let cursors = stream::Config {
        name: CURSORS.to_owned(),
        description: Some("how far each presenter has come, newest last".to_owned()),
        subjects: vec![CURSORS_SUBJECT.to_owned()],
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_age: config.max_age(),
        max_bytes: MAX_CURSOR_BYTES,
        num_replicas: config.replicas,
        ..stream::Config::default()
    };
    request("creating the stream CURSORS", context.create_or_update_stream(cursors)).await?;
    let sessions = bucket(context, config, SESSIONS, "which session holds a room", Duration::ZERO).await?;
    let nodes = bucket(context, config, NODES, "the delivery nodes that live", config.lease()).await?;
    let decisions = bucket(context, config, DECISIONS, "the last decision about each subject", Duration::ZERO).await?;
    let clocks: Vec<Clock> = (0..config.partitions).map(Clock::new).collect();
    // The first is what time it is for whoever asks the log; the others are read when they are needed.
    clocks[0].read(context).await?;
    Ok(Setup { timelines: Timelines::new(timelines), clocks, sessions, nodes, decisions })
}

async fn partition_stream(
    context: &jetstream::Context,
    config: &Config,
    partition: u32,
) -> Result<stream::Info, Error> {
    let mut wanted = stream::Config {
        name: partition::stream(partition),
        description: Some("the chat log: each message is a batch of events, one a line".to_owned()),
        subjects: vec![partition::subject(partition)],
        storage: StorageType::File,
        // A full log refuses; it never eats what is not archived yet.
        discard: DiscardPolicy::New,
        max_age: config.max_age(),
        max_bytes: config.max_bytes,
        max_message_size: MAX_MESSAGE_BYTES,
        num_replicas: config.replicas,
        duplicate_window: DUPLICATE_WINDOW,
        deny_delete: true,
        // What is archived may leave before its age where room is needed. A stream that forbade it once always will.
        deny_purge: false,
        allow_direct: true,
        metadata: HashMap::from([(PARTITIONS.to_owned(), config.partitions.to_string())]),
        ..stream::Config::default()
    };
    let Some(present) = find(context, &wanted.name).await? else {
        match request("creating a stream of the log", context.create_stream(wanted.clone())).await {
            Ok(created) => return Ok(created.cached_info().clone()),
            // Another node made it in the meantime, perhaps with another configuration.
            Err(_) if find(context, &wanted.name).await?.is_some() => {
                return Box::pin(partition_stream(context, config, partition)).await;
            }
            Err(error) => return Err(error),
        }
    };
    let created = present.config.metadata.get(PARTITIONS).and_then(|count| count.parse().ok()).unwrap_or(0);
    if created != config.partitions {
        return Err(Error::Partitions { created, configured: config.partitions });
    }
    if up_to_date(&present.config, &wanted) {
        return Ok(present);
    }
    if let Some(recorded) = present.config.metadata.get(TIMELINE) {
        wanted.metadata.insert(TIMELINE.to_owned(), recorded.clone());
    }
    let wanted = stream::Config { deny_purge: present.config.deny_purge, ..wanted };
    tracing::info!(stream = wanted.name, "bringing a stream of the log up to date with the configuration");
    request("updating a stream of the log", context.update_stream(wanted)).await
}

/// Whether nothing that the configuration decides differs. The server fills in other members with its own defaults.
fn up_to_date(present: &stream::Config, wanted: &stream::Config) -> bool {
    present.max_age == wanted.max_age
        && present.max_bytes == wanted.max_bytes
        && present.max_message_size == wanted.max_message_size
        && present.num_replicas == wanted.num_replicas
        && present.duplicate_window == wanted.duplicate_window
        && present.discard == wanted.discard
}

async fn bucket(
    context: &jetstream::Context,
    config: &Config,
    name: &str,
    description: &str,
    max_age: Duration,
) -> Result<kv::Store, Error> {
    let bucket = kv::Config {
        bucket: name.to_owned(),
        description: description.to_owned(),
        history: 1,
        max_age,
        storage: StorageType::File,
        num_replicas: config.replicas,
        ..kv::Config::default()
    };
    request("creating a bucket", context.create_or_update_key_value(bucket)).await
}

/// The stream of that name, if there is one.
pub(crate) async fn find(context: &jetstream::Context, name: &str) -> Result<Option<stream::Info>, Error> {
    let found = tokio::time::timeout(REQUEST_TIMEOUT, context.get_stream(name)).await;
    match found {
        Ok(Ok(stream)) => Ok(Some(stream.cached_info().clone())),
        Ok(Err(error)) => match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            _ => Err(Error::JetStream { doing: "asking for a stream of the log", source: error.into() }),
        },
        Err(elapsed) => Err(Error::JetStream { doing: "asking for a stream of the log", source: elapsed.into() }),
    }
}

/// When the stream was created, in nanoseconds since 1970.
pub(crate) fn epoch(info: &stream::Info) -> u64 {
    u64::try_from(info.created.unix_timestamp_nanos()).unwrap_or(0)
}

/// The timeline of a partition's stream.
pub(crate) fn timeline(info: &stream::Info) -> Timeline {
    Timeline::recorded(epoch(info), info.config.metadata.get(TIMELINE))
}

/// Records that a partition has another epoch from that sequence on. `known` is the timeline that does not fit any more:
/// where another one is recorded already, somebody else has noticed, and that one stands.
pub(crate) async fn fork(
    context: &jetstream::Context,
    partition: u32,
    known: &Timeline,
    first: u64,
    epoch: u64,
) -> Result<Timeline, Error> {
    let stream = request("asking for a stream of the log", context.get_stream(partition::stream(partition))).await?;
    let info = stream.cached_info();
    if timeline(info) != *known {
        return Ok(timeline(info));
    }
    let forked = known.forked(epoch, first);
    let mut config = info.config.clone();
    config.metadata.insert(TIMELINE.to_owned(), forked.to_string());
    request("recording a new epoch of the log", context.update_stream(config)).await?;
    tracing::error!(
        stream = info.config.name,
        timeline = %forked,
        "the log lost its end: from sequence {first} on positions have the epoch {:x}",
        forked.epoch()
    );
    Ok(forked)
}

/// Whether a write was refused because another came first. A cluster says so by another code where both come at once,
/// which the client does not know.
pub(crate) fn is_conflict(error: &kv::UpdateError) -> bool {
    let refusal = || -> Option<ErrorCode> {
        let publish = std::error::Error::source(error)?;
        Some(publish.source()?.downcast_ref::<jetstream::Error>()?.error_code())
    };
    error.kind() == kv::UpdateErrorKind::WrongLastRevision
        || refusal() == Some(ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT)
}

/// Whether a write came to nobody, so that nothing is stored: for a moment a stream of a cluster has no leader, or a member
/// does not know it.
fn nobody_took(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .find_map(|cause| cause.downcast_ref::<PublishError>())
        .is_some_and(|error| error.kind() == PublishErrorKind::StreamNotFound)
}

/// Writes, again for as long as nobody takes it, but not for ever.
pub(crate) async fn write<T, E, F>(doing: &'static str, write: impl Fn() -> F) -> Result<Result<T, E>, Error>
where
    E: std::error::Error + Send + Sync + 'static,
    F: Future<Output = Result<T, E>>,
{
    write_until(Instant::now() + REQUEST_TIMEOUT, doing, write).await
}

/// The same, until then.
pub(crate) async fn write_until<T, E, F>(
    until: Instant,
    doing: &'static str,
    write: impl Fn() -> F,
) -> Result<Result<T, E>, Error>
where
    E: std::error::Error + Send + Sync + 'static,
    F: Future<Output = Result<T, E>>,
{
    loop {
        match timeout_at(until, write()).await {
            Ok(Err(error)) if nobody_took(&error) && Instant::now() + NOBODY_PAUSE < until => sleep(NOBODY_PAUSE).await,
            Ok(answer) => return Ok(answer),
            Err(elapsed) => return Err(Error::JetStream { doing, source: elapsed.into() }),
        }
    }
}

/// Awaits a request to JetStream, but not for ever.
pub(crate) async fn request<T, E>(
    doing: &'static str,
    request: impl IntoFuture<Output = Result<T, E>>,
) -> Result<T, Error>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    request_within(REQUEST_TIMEOUT, doing, request).await
}

/// The same, and no longer than that.
pub(crate) async fn request_within<T, E>(
    limit: Duration,
    doing: &'static str,
    request: impl IntoFuture<Output = Result<T, E>>,
) -> Result<T, Error>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match tokio::time::timeout(limit, request.into_future()).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Error::JetStream { doing, source: error.into() }),
        Err(elapsed) => Err(Error::JetStream { doing, source: elapsed.into() }),
    }
}
