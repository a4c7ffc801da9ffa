//! A dialect parses what a client sends, and writes the frames that a client receives. There are two: the original
//! system's and `chat.v1`. A dialect knows frames alone. The session acts on them, the same in both.

#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
pub(crate) mod legacy;
pub(crate) mod v1;

use std::time::Duration;

use chat::{EventId, Position, PresenterIdx, SessionId};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use web::auth::TokenError;

use crate::visibility::Visibility;
use crate::window::Kept;

/// A way of speaking with presenters. A method returns `None` for a frame that the dialect does not have.
pub(crate) trait Dialect: Send + Sync {
    /// Parses a text frame of a client. Every text means something.
    fn parse(&self, text: &str) -> ClientFrame;

    /// What a client with a refused token receives, before its socket closes.
    fn token_refused(&self, error: TokenError) -> Utf8Bytes;

    /// As many of the events as fit one frame, from the first on, with the visibility of the client. There is at least
    /// one event.
    fn frame(&self, events: &[Kept], visibility: Visibility) -> Framed;

    /// Whether a session begins with the start frame even if the handshake had a token.
    fn waits_for_start(&self) -> bool;

    /// Whether the client acknowledges. Otherwise, written events count as acknowledged.
    fn acknowledges(&self) -> bool;

    /// The reply to a frame that came at the wrong time, or too often.
    fn complaint(&self, about: Complaint) -> Option<Utf8Bytes>;

    /// The first frame of a session.
    fn welcome(&self, welcome: &Welcome) -> Option<Utf8Bytes>;

    /// Whether a silence is broken by [`Dialect::keepalive`].
    fn keeps_alive(&self) -> bool;

    /// The frame that breaks a silence: the client has every event of its room up to the position.
    fn keepalive(&self, position: Position) -> Option<Utf8Bytes>;

    /// How long a session may outlive its token.
    fn token_grace(&self) -> Duration;

    /// The reply to another token for the session: how long it is valid, or why it was refused.
    fn renewed(&self, renewed: Result<Duration, TokenError>) -> Option<Utf8Bytes>;

    /// The warning before the node stops.
    fn reconnect(&self, within: Duration) -> Option<Utf8Bytes>;
}

/// A frame of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClientFrame {
    /// Begin the session. With a room: read it, without claiming it.
    Start { token: Option<String>, position: Option<String>, room: Option<PresenterIdx> },
    /// Everything up to the position is handled.
    Ack { position: String },
    /// Continue the session with this token.
    Token { token: String },
    /// The client is alive.
    Keepalive,
    /// The frame has no effect but this reply.
    Answered(Utf8Bytes),
}

/// What is wrong with a frame that parses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// It precedes the start.
    NotStarted,
    /// It is a second start.
    AlreadyStarted,
    /// It acknowledges a position that the client cannot have seen.
    BadPosition,
    /// It is a start, of a room that started so many sessions that this one has to wait.
    StartedTooOften { wait: Duration },
}

/// One frame of events.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Framed {
    /// None if the client sees none of the events.
    pub(crate) frame: Option<Utf8Bytes>,
    /// How many events it covers, 1 or more.
    pub(crate) events: usize,
}

/// How a session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Welcome {
    pub(crate) session: SessionId,
    /// The events after this position follow.
    pub(crate) position: Position,
    /// Whether every event after the requested position follows.
    pub(crate) recovered: bool,
    /// How long the token is valid.
    pub(crate) expires_in: Duration,
    /// The room's pinned message, whatever the events that follow say of earlier ones.
    pub(crate) pinned: Option<EventId>,
}
