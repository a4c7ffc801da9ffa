//! The section `[delivery]`: its settings and their bounds. The defaults are in `src/defaults.toml`, nowhere else.

use std::net::SocketAddr;
use std::time::Duration;

use conf::{Problem, Problems, Size, Span};
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
    /// The certificate of the main listener.
    pub tls: tls::ServerConfig,
    /// Timeouts and bounds of the listener. Its grace period is also that of the sessions.
    pub http: web::ServeConfig,
    /// The zone of `time` in the original's frames, an IANA name.
    pub time_zone: Zone,
    /// How long an event stays in memory for presenters who are away or slow.
    pub window: Span,
    /// The size of all rooms' events together above which the oldest leave before their time.
    pub window_size: Size,
    /// The time from the connection to a valid token.
    pub authenticate_timeout: Span,
    /// The time for a presenter to take a write.
    pub write_timeout: Span,
    /// The time for the peer to answer a close frame.
    pub close_timeout: Span,
    /// The time between the server's pings.
    pub ping_interval: Span,
    /// The silence after which a client of `chat.v1` gets a keepalive, which its page can see.
    pub keepalive: Span,
    /// The time without a pong or any other frame after which the connection counts as lost.
    pub silence_timeout: Span,
    /// The time between two saves of the cursors that moved.
    pub save_interval: Span,
    /// How long a session waits for the one that it replaces on another node to save its cursor.
    pub handover_timeout: Span,
    /// How long a node without a lease waits for the log to come back before it sends its presenters elsewhere.
    pub cut_off_grace: Span,
    /// The time over which a stopping node spreads the closes of its sockets, and within which it asks clients of
    /// `chat.v1` to leave by themselves. Those that stay are closed in the half of it that follows.
    pub drain_spread: Span,
    /// How long a socket of `/chatting` continues after its token has expired.
    pub original_grace: Span,
    /// Concurrent sessions on this node.
    pub max_sessions: usize,
    /// Concurrent readers on this node, `GET /v1/rooms/{presenterIdx}/events`.
    pub max_readers: usize,
    /// Those with tokens of one user.
    pub max_readers_of_user: usize,
    /// Those without a token from one address, or IPv6 /64.
    pub max_readers_of_address: usize,
    /// Tickets for readers that a user may ask this node for.
    pub ticket_rate: web::SourceRate,
    /// Concurrent sockets without a session. More push out the oldest of the address, or presenter, that has most.
    pub max_unauthenticated: usize,
    /// The size of the unfinished frames of all of them together. More push out in the same way.
    pub max_unauthenticated_size: Size,
    /// The size of a frame, and of a message, from a client.
    pub max_frame_size: Size,
    /// Frames that a client may send in one second. Control frames and parts of messages count, too.
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
    /// Every setting that cannot work.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::of("delivery");
        let spans = [
            ("window", self.window),
            ("authenticate_timeout", self.authenticate_timeout),
            ("write_timeout", self.write_timeout),
            ("close_timeout", self.close_timeout),
            ("ping_interval", self.ping_interval),
            ("keepalive", self.keepalive),
            ("save_interval", self.save_interval),
        ];
        for (key, span) in spans {
            problems.at_least(key, span, Span::from_millis(1));
        }
        let sizes = [
            ("window_size", self.window_size),
            ("max_unauthenticated_size", self.max_unauthenticated_size),
            ("max_frame_size", self.max_frame_size),
        ];
        for (key, size) in sizes {
            problems.at_least(key, size, Size::from_bytes(1));
        }
        problems.at_least("max_sessions", self.max_sessions, 1);
        problems.at_least("max_readers", self.max_readers, 1);
        problems.at_least("max_readers_of_user", self.max_readers_of_user, 1);
        problems.at_least("max_readers_of_address", self.max_readers_of_address, 1);
        problems.at_least("max_unauthenticated", self.max_unauthenticated, 1);
        problems.at_least("max_frames_per_second", self.max_frames_per_second, 1);
        let leave_room = self.max_readers <= self.http.max_connections / 2;
        problems.require(leave_room, "max_readers", "must be at most half of delivery.http.max_connections");
        // The first frame tells it to the client, in seconds.
        problems.require(self.keepalive.whole_seconds().is_some(), "keepalive", "must be whole seconds");
        let exceeds = self.silence_timeout > self.ping_interval;
        problems.require(exceeds, "silence_timeout", "must exceed delivery.ping_interval");
        // The spread and its half, and as much again for handshakes and cursors.
        let fits = self.drain_spread.get() <= self.http.grace.get() / 3;
        problems.require(fits, "drain_spread", "must be at most a third of delivery.http.grace");
        problems.found()
    }

    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.problems().into_iter().next().map_or(Ok(()), |problem| Err(problem.into()))
    }

    pub(crate) fn window(&self) -> Duration {
        self.window.get()
    }

    pub(crate) fn authenticate_timeout(&self) -> Duration {
        self.authenticate_timeout.get()
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        self.write_timeout.get()
    }

    pub(crate) fn close_timeout(&self) -> Duration {
        self.close_timeout.get()
    }

    pub(crate) fn ping_interval(&self) -> Duration {
        self.ping_interval.get()
    }

    pub(crate) fn keepalive(&self) -> Duration {
        self.keepalive.get()
    }

    pub(crate) fn silence_timeout(&self) -> Duration {
        self.silence_timeout.get()
    }

    pub(crate) fn save_interval(&self) -> Duration {
        self.save_interval.get()
    }

    pub(crate) fn handover_timeout(&self) -> Duration {
        self.handover_timeout.get()
    }

    pub(crate) fn cut_off_grace(&self) -> Duration {
        self.cut_off_grace.get()
    }

    pub(crate) fn drain_spread(&self) -> Duration {
        self.drain_spread.get()
    }

    pub(crate) fn original_grace(&self) -> Duration {
        self.original_grace.get()
    }

    pub(crate) fn grace(&self) -> Duration {
        self.http.grace.get()
    }
}
