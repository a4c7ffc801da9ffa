//! The streams and buckets that the configuration asks for, and how those that exist differ from it.

use std::collections::HashMap;
use std::fmt::{self, Debug, Display, Formatter};
use std::time::Duration;

use async_nats::jetstream::stream::{self, DiscardPolicy, StorageType};
use async_nats::jetstream::{self, kv};

use crate::config::Config;
use crate::epoch::timeline::TIMELINE;
use crate::error::Error;
use crate::jetstream::request;
use crate::partition;
use crate::state::tickets::ONE_USE_TICKET_LIFE;
use crate::streams;
use crate::streams::{
    CURSORS, CURSORS_SUBJECT, DECISIONS, DUPLICATE_WINDOW, MAX_MESSAGE_BYTES, NODES, ONE_USE_TICKETS, SESSIONS, TICKETS,
};

/// The member of a stream's metadata that records the number of partitions.
const PARTITIONS: &str = "chatting-server.partitions";

/// Cursors older than the log lead nowhere. 256 MiB hold about six million cursors; the oldest are dropped first.
const MAX_CURSOR_BYTES: i64 = 256 * 1024 * 1024;

/// A change that makes a stream or bucket match the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The stream or bucket is missing.
    Create {
        /// The stream, or the stream behind the bucket.
        stream: String,
    },
    /// The stream or bucket differs from the configuration.
    Update {
        /// The stream.
        stream: String,
        /// The differing settings.
        differences: Vec<Difference>,
    },
}

/// A setting of a stream that differs from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The setting's name in NATS.
    pub member: &'static str,
    /// The present value.
    pub present: String,
    /// The configured value.
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

/// A stream or bucket as configured.
pub(crate) enum Wanted {
    Partition(stream::Config),
    Stream(stream::Config),
    Bucket(kv::Config),
}

pub(crate) fn wanted(config: &Config) -> Vec<Wanted> {
    let partitions = (0..config.partitions).map(|partition| {
        Wanted::Partition(stream::Config {
            name: partition::stream(partition),
            description: Some("the chat log: each message is a batch of events, one a line".to_owned()),
            subjects: vec![partition::subject(partition)],
            storage: StorageType::File,
            // A full log refuses appends. It never drops batches that are not archived yet.
            discard: DiscardPolicy::New,
            max_age: config.max_age(),
            max_bytes: config.max_bytes(),
            max_message_size: MAX_MESSAGE_BYTES,
            num_replicas: config.replicas,
            duplicate_window: DUPLICATE_WINDOW,
            deny_delete: true,
            // Archived batches may be removed before their age when space is needed. NATS cannot lift such a denial
            // later.
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
        bucket(TICKETS, "the long-lived tickets of each room", Duration::ZERO),
        bucket(ONE_USE_TICKETS, "one-use tickets of readers", ONE_USE_TICKET_LIFE),
    ];
    partitions.chain(others).collect()
}

impl Wanted {
    pub(crate) fn stream(&self) -> String {
        match self {
            Wanted::Partition(config) | Wanted::Stream(config) => config.name.clone(),
            Wanted::Bucket(config) => streams::of_bucket(&config.bucket),
        }
    }

    /// The size that the server reserves. Buckets have none.
    pub(crate) fn max_bytes(&self) -> i64 {
        match self {
            Wanted::Partition(config) | Wanted::Stream(config) => config.max_bytes,
            Wanted::Bucket(_) => 0,
        }
    }

    /// The change that is needed. `None`: the stream is as configured.
    pub(crate) fn change(&self, present: Option<&stream::Info>, config: &Config) -> Result<Option<Change>, Error> {
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

    /// The differences in settings that the configuration decides. The server fills in the other settings with its
    /// defaults.
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
                // Unbounded.
                difference("max_bytes", present.max_bytes, -1),
                difference("max_msgs_per_subject", present.max_messages_per_subject, wanted.history),
                difference("num_replicas", present.num_replicas, wanted.num_replicas),
            ],
        };
        differences.into_iter().flatten().collect()
    }

    pub(crate) async fn create(&self, jetstream: &jetstream::Context) -> Result<(), Error> {
        match self {
            Wanted::Partition(config) | Wanted::Stream(config) => {
                request("creating a stream of the log", jetstream.create_stream(config.clone())).await.map(drop)
            }
            Wanted::Bucket(config) => {
                request("creating a bucket", jetstream.create_key_value(config.clone())).await.map(drop)
            }
        }
    }

    pub(crate) async fn update(&self, jetstream: &jetstream::Context, present: &stream::Config) -> Result<(), Error> {
        match self {
            Wanted::Partition(config) | Wanted::Stream(config) => {
                let mut config = stream::Config { deny_purge: present.deny_purge, ..config.clone() };
                if let Some(recorded) = present.metadata.get(TIMELINE) {
                    config.metadata.insert(TIMELINE.to_owned(), recorded.clone());
                }
                request("updating a stream of the log", jetstream.update_stream(config)).await.map(drop)
            }
            Wanted::Bucket(config) => {
                request("updating a bucket", jetstream.update_key_value(config.clone())).await.map(drop)
            }
        }
    }
}

/// The difference of one setting, if there is one.
pub(crate) fn difference<T: PartialEq + Debug>(member: &'static str, present: T, wanted: T) -> Option<Difference> {
    let shown = |value: &T| format!("{value:?}");
    (present != wanted).then(|| Difference { member, present: shown(&present), wanted: shown(&wanted) })
}
