//! What a session asks of the dialect that its client speaks: to read what the client says, and to put into frames what
//! the client is to know. There are two, the original system's and `chat.v1`. A dialect knows frames alone; what they
//! lead to is the session's business, and the same in both.

pub(crate) mod legacy;
pub(crate) mod v1;

use std::time::Duration;

use chat::{Position, SessionId};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use web::auth::TokenError;

use crate::visibility::Sight;
use crate::window::Kept;

/// A way of speaking with presenters. What one of the two does not have is `None`.
pub(crate) trait Dialect: Send + Sync {
    /// What the text of a client means. Every text means something.
    fn hear(&self, text: &str) -> Said;

    /// What a client is told whose token opens nothing, before its socket is closed.
    fn token_refused(&self, error: TokenError) -> Utf8Bytes;

    /// As many of the events as make one frame, from the first on, with what who listens may see of them. There is at
    /// least one event.
    fn frame(&self, events: &[Kept], sight: Sight) -> Framed;

    /// Whether a session begins with the start frame even where the handshake brought a token.
    fn waits_for_start(&self) -> bool;

    /// Whether the client says how far it has come. Otherwise what was written counts as dealt with.
    fn acknowledges(&self) -> bool;

    /// What answers a frame that came at the wrong time, or too often.
    fn complaint(&self, about: Complaint) -> Option<Utf8Bytes>;

    /// The first frame of a session.
    fn welcome(&self, welcome: &Welcome) -> Option<Utf8Bytes>;

    /// What a client hears when there is nothing to say: that it has everything of its room up to that position.
    fn keepalive(&self, position: Position) -> Option<Utf8Bytes>;

    /// How long a session may go on after its token has ended.
    fn outlives_token(&self) -> Duration;

    /// What a client hears whose session got another token: for how long that is good, or why it was not taken.
    fn renewed(&self, renewed: Result<Duration, TokenError>) -> Option<Utf8Bytes>;

    /// What a client hears before its node stops.
    fn reconnect(&self, within: Duration) -> Option<Utf8Bytes>;
}

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// Its session is to begin.
    Start { token: Option<String>, position: Option<String> },
    /// It has dealt with everything up to that position.
    Ack { position: String },
    /// Its session goes on with that token.
    Token { token: String },
    /// It is there.
    Keepalive,
    /// What leads to nothing but this answer.
    Answered(Utf8Bytes),
}

/// What is wrong with a frame that can be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// It came before the start.
    NotStarted,
    /// It is a second start.
    AlreadyStarted,
    /// It acknowledges what the client cannot have seen.
    BadPosition,
    /// It is a start, of a room that started so many sessions that this one has to wait.
    StartedTooOften { wait: Duration },
}

/// One frame of events.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Framed {
    /// Nothing where none of the events is shown.
    pub(crate) frame: Option<Utf8Bytes>,
    /// How many events it is of, 1 or more.
    pub(crate) events: usize,
}

/// How a session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Welcome {
    pub(crate) session: SessionId,
    /// What follows comes after it.
    pub(crate) position: Position,
    /// Whether nothing is missing between the client's position and what follows.
    pub(crate) recovered: bool,
    /// How long the token is good for.
    pub(crate) expires_in: Duration,
}
