//! The names of the streams and buckets beside the partitions, and the bounds that readers and writers share.

use std::time::Duration;

/// The stream of saved cursors.
pub(crate) const CURSORS: &str = "CURSORS";

/// The subject of [`CURSORS`].
pub(crate) const CURSORS_SUBJECT: &str = "cursors";

/// The bucket of claims: which session holds each room.
pub(crate) const SESSIONS: &str = "sessions";

/// The bucket of decisions in force, which outlive the log's age.
pub(crate) const DECISIONS: &str = "decisions";

/// The bucket of rooms' long-lived tickets.
pub(crate) const TICKETS: &str = "tickets";

/// The bucket of one-use tickets.
pub(crate) const ONE_USE_TICKETS: &str = "one_use_tickets";

/// The bucket of the delivery nodes' leases.
pub(crate) const NODES: &str = "nodes";

/// Within this time the server stores a batch once, however often it is sent. A copy delayed for longer is stored
/// again, but has expired by then: an append has at most a minute, and readers skip expired batches.
pub(crate) const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Every batch fits: 256 KiB of lines, plus headers.
pub(crate) const MAX_MESSAGE_BYTES: i32 = 512 * 1024;

/// The stream behind a bucket.
pub(crate) fn of_bucket(bucket: &str) -> String {
    format!("KV_{bucket}")
}
