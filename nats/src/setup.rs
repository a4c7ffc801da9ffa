//! The streams and buckets: made where they are missing and brought up to date where they differ by [`set_up`], which only
//! an operator needs the right to; looked at by every node at its start. What would tear the log apart is refused.

use std::collections::HashMap;
use std::fmt::{self, Debug, Display, Formatter};
use std::time::Duration;

use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{self, DiscardPolicy, StorageType};
use async_nats::jetstream::{self, ErrorCode, kv};
use tokio::time::{Instant, sleep};

use crate::config::Config;
use crate::epoch::timeline::{Timeline, Timelines};
use crate::error::Error;
use crate::jetstream::{REQUEST_TIMEOUT, causes, request};
use crate::log;
use crate::partition;
use crate::read::clock::Clock;

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

/// A cluster that has just started finds no members for a stream, or no leader, for some seconds.
const STARTED_WITHIN: Duration = Duration::from_secs(30);

/// Before it is asked again.
const START_PAUSE: Duration = Duration::from_millis(250);

/// What a stream or bucket of the log needs, to be as the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is missing.
    Create {
        /// The stream; of a bucket the one that holds it.
        stream: String,
    },
    /// It is there, and differs.
    Update {
        /// The stream.
        stream: String,
        /// In what.
        differences: Vec<Difference>,
    },
}

/// A setting of a stream that is not as the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// As NATS calls it.
    pub member: &'static str,
    /// What it is.
    pub present: String,
    /// What it would be.
    pub wanted: String,
}

impl Display for Change {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Change::Create { stream } => write!(f, "{stream}: is missing"),
            Change::Update { stream, differences } => {
                write!(f, "{stream}: ")?;
                for (index, Difference { member, present, wanted }) in differences.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{member} is {present}, the configuration says {wanted}")?;
                }
                Ok(())
            }
        }
    }
}

/// What [`set_up`] would change, connected as `name`.
pub async fn plan(config: &Config, name: &str) -> Result<Vec<Change>, Error> {
    let context = log::for_once(config, name).await?;
    let mut changes = Vec::new();
    for wanted in wanted(config) {
        changes.extend(wanted.change(find(&context, &wanted.stream()).await?.as_ref(), config)?);
    }
    Ok(changes)
}

/// Makes the streams and buckets of the log that are missing and brings the others up to date, connected as `name`. Says
/// what it has changed. It waits for a cluster that has just started.
pub async fn set_up(config: &Config, name: &str) -> Result<Vec<Change>, Error> {
    let context = log::for_once(config, name).await?;
    let mut changes = Vec::new();
    for wanted in wanted(config) {
        let until = Instant::now() + STARTED_WITHIN;
        loop {
            match set_up_one(&context, config, &wanted).await {
                Ok(change) => break changes.extend(change),
                Err(error) if is_starting(&error) && Instant::now() < until => sleep(START_PAUSE).await,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(changes)
}

async fn set_up_one(context: &jetstream::Context, config: &Config, wanted: &Wanted) -> Result<Option<Change>, Error> {
    let present = find(context, &wanted.stream()).await?;
    let change = wanted.change(present.as_ref(), config)?;
    match (&change, present) {
        (Some(Change::Create { stream }), _) => match wanted.create(context).await {
            Ok(()) => {}
            // Another one made it in the meantime, perhaps with another configuration.
            Err(_) if find(context, stream).await?.is_some() => {
                return Box::pin(set_up_one(context, config, wanted)).await;
            }
            Err(error) => return Err(error),
        },
        (Some(Change::Update { .. }), Some(present)) => wanted.update(context, &present.config).await?,
        (Some(Change::Update { .. }) | None, _) => {}
    }
    Ok(change)
}

/// Whether a cluster is not complete yet.
fn is_starting(error: &Error) -> bool {
    causes(error).any(|cause| {
        cause.downcast_ref::<jetstream::Error>().is_some_and(|error| {
            [ErrorCode::CLUSTER_NO_PEERS, ErrorCode::CLUSTER_NOT_AVAILABLE].contains(&error.error_code())
        })
    })
}

/// What a node needs to know of the log's streams.
pub(crate) struct Found {
    pub(crate) timelines: Timelines,
    /// Of each partition the clock of its leader.
    pub(crate) clocks: Vec<Clock>,
    pub(crate) sessions: kv::Store,
    pub(crate) nodes: kv::Store,
    pub(crate) decisions: kv::Store,
    /// After how long NATS forgets a node that does not renew its lease.
    pub(crate) lease: Duration,
}

/// Looks at the streams and buckets, and changes nothing. What differs from the configuration stands in the logs.
pub(crate) async fn look(context: &jetstream::Context, config: &Config) -> Result<Found, Error> {
    let (mut timelines, mut lease) = (Vec::new(), config.lease());
    for wanted in wanted(config) {
        let stream = wanted.stream();
        let Some(present) = find(context, &stream).await? else { return Err(Error::Missing { stream }) };
        if let Some(change) = wanted.change(Some(&present), config)? {
            tracing::warn!(stream, "{change}; `chatting-server setup` changes it");
        }
        match wanted {
            Wanted::Partition(_) => timelines.push(timeline(&present)),
            Wanted::Bucket(bucket) if bucket.bucket == NODES => lease = present.config.max_age,
            Wanted::Stream(_) | Wanted::Bucket(_) => {}
        }
    }
    let bucket = async |name: &str| request("opening a bucket", context.get_key_value(name)).await;
    let (sessions, nodes, decisions) = (bucket(SESSIONS).await?, bucket(NODES).await?, bucket(DECISIONS).await?);
    let clocks: Vec<Clock> = (0..config.partitions).map(Clock::new).collect();
    // The first is what time it is for whoever asks the log; the others are read when they are needed.
    clocks[0].read(context).await?;
    Ok(Found { timelines: Timelines::new(timelines), clocks, sessions, nodes, decisions, lease })
}

/// A stream or bucket as the configuration says.
enum Wanted {
    Partition(stream::Config),
    Stream(stream::Config),
    Bucket(kv::Config),
}

fn wanted(config: &Config) -> Vec<Wanted> {
    let partitions = (0..config.partitions).map(|partition| {
        Wanted::Partition(stream::Config {
            name: partition::stream(partition),
            description: Some("the chat log: each message is a batch of events, one a line".to_owned()),
            subjects: vec![partition::subject(partition)],
            storage: StorageType::File,
            // A full log refuses; it never eats what is not archived yet.
            discard: DiscardPolicy::New,
            max_age: config.max_age(),
            max_bytes: config.max_bytes(),
            max_message_size: MAX_MESSAGE_BYTES,
            num_replicas: config.replicas,
            duplicate_window: DUPLICATE_WINDOW,
            deny_delete: true,
            // What is archived may leave before its age where room is needed. A stream that forbade it once always will.
            deny_purge: false,
            allow_direct: true,
            metadata: HashMap::from([(PARTITIONS.to_owned(), config.partitions.to_string())]),
            ..stream::Config::default()
        })
    });
    let cursors = Wanted::Stream(stream::Config {
        name: CURSORS.to_owned(),
        description: Some("how far each presenter has come, newest last".to_owned()),
        subjects: vec![CURSORS_SUBJECT.to_owned()],
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_age: config.max_age(),
        max_bytes: MAX_CURSOR_BYTES,
        num_replicas: config.replicas,
        ..stream::Config::default()
    });
    let bucket = |name: &str, description: &str, max_age: Duration| {
        Wanted::Bucket(kv::Config {
            bucket: name.to_owned(),
            description: description.to_owned(),
            history: 1,
            max_age,
            storage: StorageType::File,
            num_replicas: config.replicas,
            ..kv::Config::default()
        })
    };
    let others = [
        cursors,
        bucket(SESSIONS, "which session holds a room", Duration::ZERO),
        bucket(NODES, "the delivery nodes that live", config.lease()),
        bucket(DECISIONS, "the last decision about each subject", Duration::ZERO),
    ];
    partitions.chain(others).collect()
}

impl Wanted {
    fn stream(&self) -> String {
        match self {
            Wanted::Partition(config) | Wanted::Stream(config) => config.name.clone(),
            Wanted::Bucket(config) => format!("KV_{}", config.bucket),
        }
    }

    /// None: it is as it should be.
    fn change(&self, present: Option<&stream::Info>, config: &Config) -> Result<Option<Change>, Error> {
        let stream = self.stream();
        let Some(present) = present.map(|info| &info.config) else { return Ok(Some(Change::Create { stream })) };
        if let Wanted::Partition(_) = self {
            let created = present.metadata.get(PARTITIONS).and_then(|count| count.parse().ok()).unwrap_or(0);
            if created != config.partitions {
                return Err(Error::Partitions { created, configured: config.partitions });
            }
        }
        let differences = self.differences(present);
        Ok((!differences.is_empty()).then_some(Change::Update { stream, differences }))
    }

    /// In what the configuration decides; the server fills in other members with its own defaults.
    fn differences(&self, present: &stream::Config) -> Vec<Difference> {
        let differences = match self {
            Wanted::Partition(wanted) => vec![
                difference("max_age", present.max_age, wanted.max_age),
                difference("max_bytes", present.max_bytes, wanted.max_bytes),
                difference("max_msg_size", present.max_message_size, wanted.max_message_size),
                difference("num_replicas", present.num_replicas, wanted.num_replicas),
                difference("duplicate_window", present.duplicate_window, wanted.duplicate_window),
                difference("discard", present.discard, wanted.discard),
            ],
            Wanted::Stream(wanted) => vec![
                difference("max_age", present.max_age, wanted.max_age),
                difference("max_bytes", present.max_bytes, wanted.max_bytes),
                difference("num_replicas", present.num_replicas, wanted.num_replicas),
                difference("discard", present.discard, wanted.discard),
            ],
            Wanted::Bucket(wanted) => vec![
                difference("max_age", present.max_age, wanted.max_age),
                // Without a bound.
                difference("max_bytes", present.max_bytes, -1),
                difference("max_msgs_per_subject", present.max_messages_per_subject, wanted.history),
                difference("num_replicas", present.num_replicas, wanted.num_replicas),
            ],
        };
        differences.into_iter().flatten().collect()
    }

    async fn create(&self, context: &jetstream::Context) -> Result<(), Error> {
        match self {
            Wanted::Partition(config) | Wanted::Stream(config) => {
                request("creating a stream of the log", context.create_stream(config.clone())).await.map(drop)
            }
            Wanted::Bucket(config) => {
                request("creating a bucket", context.create_key_value(config.clone())).await.map(drop)
            }
        }
    }

    async fn update(&self, context: &jetstream::Context, present: &stream::Config) -> Result<(), Error> {
        match self {
            Wanted::Partition(config) | Wanted::Stream(config) => {
                let mut config = stream::Config { deny_purge: present.deny_purge, ..config.clone() };
                if let Some(recorded) = present.metadata.get(TIMELINE) {
                    config.metadata.insert(TIMELINE.to_owned(), recorded.clone());
                }
                request("updating a stream of the log", context.update_stream(config)).await.map(drop)
            }
            Wanted::Bucket(config) => {
                request("updating a bucket", context.update_key_value(config.clone())).await.map(drop)
            }
        }
    }
}

fn difference<T: PartialEq + Debug>(member: &'static str, present: T, wanted: T) -> Option<Difference> {
    let shown = |value: &T| format!("{value:?}");
    (present != wanted).then(|| Difference { member, present: shown(&present), wanted: shown(&wanted) })
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
