//! The clock of the log's servers, by which everything in the log was stored. A node's own may be an hour wrong.

use std::time::Instant;

use async_nats::jetstream;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Map;

use crate::error::Error;
use crate::partition;
use crate::setup::request;

/// As it was read once; it goes on by this process's monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    read: Timestamp,
    at: Instant,
}

/// Of what a server says about a stream, the time when it says so. The client passes over it.
#[derive(Debug, Deserialize)]
struct Said {
    ts: Timestamp,
}

impl Clock {
    pub(crate) async fn read(context: &jetstream::Context) -> Result<Clock, Error> {
        let subject = format!("STREAM.INFO.{}", partition::stream(0));
        let nothing = Map::new();
        let Said { ts } = request("asking for the time", context.request(subject, &nothing)).await?;
        Ok(Clock { read: ts, at: Instant::now() })
    }

    pub(crate) fn now(self) -> Timestamp {
        self.read.saturating_add(self.at.elapsed()).unwrap_or(Timestamp::MAX)
    }
}
