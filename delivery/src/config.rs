//! What delivery has to be told. The values are in `src/defaults.toml`; here is what they mean and what is refused.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::Error;

/// The section `[delivery]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the binary listens for presenters.
    pub listen: SocketAddr,
    /// The listener for operators.
    pub admin: web::AdminConfig,
    /// Timeouts and bounds of the listener. Its grace period is also that of the sessions.
    pub http: web::ServeConfig,
    /// The zone of `time` in the original's frames, an IANA name.
    pub time_zone: Zone,
    /// Seconds for which an event is kept for presenters who are away or slow.
    pub window_seconds: u64,
    /// Bytes of all rooms' events together after which the oldest go before their time.
    pub window_bytes: usize,
    /// Milliseconds from the connection to a valid token.
    pub authenticate_timeout_ms: u64,
    /// Milliseconds for a presenter to take what is written.
    pub write_timeout_ms: u64,
    /// Milliseconds for the peer to answer a close frame.
    pub close_timeout_ms: u64,
    /// Milliseconds between the server's pings.
    pub ping_interval_ms: u64,
    /// Seconds of silence after which a client of `chat.v1` gets a keepalive, which its page can see.
    pub keepalive_seconds: u64,
    /// Milliseconds without a pong or any other frame after which the connection counts as lost.
    pub silence_timeout_ms: u64,
    /// Milliseconds between two saves of the cursors that moved.
    pub save_interval_ms: u64,
    /// Milliseconds that a session waits for the one it replaces on another node to save its cursor.
    pub handover_timeout_ms: u64,
    /// Milliseconds after its lease has lapsed for which a node waits for the log to come back, before it sends its
    /// presenters elsewhere.
    pub cut_off_grace_ms: u64,
    /// Milliseconds over which a stopping node spreads the closes of its sockets, and within which it asks clients of
    /// `chat.v1` to go by themselves; those that do not are closed in the half of it that follows.
    pub drain_spread_ms: u64,
    /// Seconds for which a socket of `/chatting` goes on after its token has expired.
    pub original_grace_seconds: u64,
    /// Sessions at once on this node.
    pub max_sessions: usize,
    /// Sockets at once that have no session yet; more push out the oldest of the address, or presenter, that has most.
    pub max_unauthenticated: usize,
    /// Bytes of frames that are not whole, of all of them together; more push out in the same way.
    pub max_unauthenticated_bytes: usize,
    /// Bytes of a frame, and of a message, from a client.
    pub max_frame_bytes: usize,
    /// Frames that a client may send within one second: control frames and parts of messages count, too.
    pub max_frames_per_second: u32,
}

/// A time zone, known by its IANA name.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Zone(pub(crate) TimeZone);

impl TryFrom<String> for Zone {
    type Error = jiff::Error;

    fn try_from(name: String) -> Result<Zone, jiff::Error> {
        TimeZone::get(&name).map(Zone)
    }
}

impl Config {
    /// All that cannot work, naming the keys.
    pub fn complaints(&self) -> Vec<String> {
        self.wrong().iter().map(Error::to_string).collect()
    }

    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.wrong().into_iter().next().map_or(Ok(()), Err)
    }

    fn wrong(&self) -> Vec<Error> {
        let at_least_one = [
            ("window_seconds", self.window_seconds),
            ("window_bytes", self.window_bytes as u64),
            ("authenticate_timeout_ms", self.authenticate_timeout_ms),
            ("write_timeout_ms", self.write_timeout_ms),
            ("close_timeout_ms", self.close_timeout_ms),
            ("ping_interval_ms", self.ping_interval_ms),
            ("keepalive_seconds", self.keepalive_seconds),
            ("save_interval_ms", self.save_interval_ms),
            ("max_sessions", self.max_sessions as u64),
            ("max_unauthenticated", self.max_unauthenticated as u64),
            ("max_unauthenticated_bytes", self.max_unauthenticated_bytes as u64),
            ("max_frame_bytes", self.max_frame_bytes as u64),
            ("max_frames_per_second", self.max_frames_per_second.into()),
        ];
        let zero = at_least_one.into_iter().filter(|(_, value)| *value == 0);
        let mut wrong: Vec<Error> = zero.map(|(key, _)| Error::Config { key, reason: "must be at least 1" }).collect();
        if self.silence_timeout_ms <= self.ping_interval_ms {
            let reason = "must exceed delivery.ping_interval_ms";
            wrong.push(Error::Config { key: "silence_timeout_ms", reason });
        }
        if self.drain_spread_ms > self.http.grace_ms / 3 {
            // The spread and its half, and as much again for handshakes and cursors.
            let reason = "must be at most a third of delivery.http.grace_ms";
            wrong.push(Error::Config { key: "drain_spread_ms", reason });
        }
        wrong
    }

    pub(crate) fn window(&self) -> Duration {
        Duration::from_secs(self.window_seconds)
    }

    pub(crate) fn authenticate_timeout(&self) -> Duration {
        Duration::from_millis(self.authenticate_timeout_ms)
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout_ms)
    }

    pub(crate) fn close_timeout(&self) -> Duration {
        Duration::from_millis(self.close_timeout_ms)
    }

    pub(crate) fn ping_interval(&self) -> Duration {
        Duration::from_millis(self.ping_interval_ms)
    }

    pub(crate) fn keepalive(&self) -> Duration {
        Duration::from_secs(self.keepalive_seconds)
    }

    pub(crate) fn silence_timeout(&self) -> Duration {
        Duration::from_millis(self.silence_timeout_ms)
    }

    pub(crate) fn save_interval(&self) -> Duration {
        Duration::from_millis(self.save_interval_ms)
    }

    pub(crate) fn handover_timeout(&self) -> Duration {
        Duration::from_millis(self.handover_timeout_ms)
    }

    pub(crate) fn cut_off_grace(&self) -> Duration {
        Duration::from_millis(self.cut_off_grace_ms)
    }

    pub(crate) fn drain_spread(&self) -> Duration {
        Duration::from_millis(self.drain_spread_ms)
    }

    pub(crate) fn original_grace(&self) -> Duration {
        Duration::from_secs(self.original_grace_seconds)
    }

    pub(crate) fn grace(&self) -> Duration {
        Duration::from_millis(self.http.grace_ms)
    }
}
