//! The domain: names for people, rooms and sessions, the events that happen in a room, and their positions in the log.
//! This crate does no I/O: it parses and writes events, and says what they change. Other crates send, store and show
//! them.
//!
//! An event is one line of JSON, and a retry with the same id is the same event:
//!
//! ```
//! use chat::{Body, Event, EventKind, MessagePosted, PresenterIdx, Role, User, UserIdx};
//!
//! let room: PresenterIdx = "42".parse()?;
//! let user = User { idx: UserIdx::try_from(7)?, nickname: "mina".to_owned(), role: Role::Viewer };
//! let posted = MessagePosted { user, text: "hello".to_owned(), flags: Vec::new() };
//! let event = Event::now(room, Body::MessagePosted(posted));
//!
//! let line = event.to_line();
//! assert_eq!(Event::from_line(&line)?, event);
//!
//! // An event of a later version keeps its members, and passes through unchanged.
//! let line = r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000000b","type":"poll.opened",
//!     "presenterIdx":42,"at":"2026-11-22T12:35:00.000Z","question":"which?"}"#;
//! let event = Event::from_line(line.as_bytes())?;
//! assert_eq!(event.body.kind(), EventKind::Unknown("poll.opened".to_owned()));
//! assert!(event.to_line().ends_with(br#""question":"which?"}"#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bans;
mod body;
mod event;
mod head;
mod holds;
mod ids;
mod kind;
mod malformed;
mod moderators;
mod position;
mod posted;
mod readers;
pub mod settings;
mod time;
mod written;

pub use bans::{Ban, LatestBan};
pub use body::{
    Body, ErasureMode, MessageDeleted, MessagePosted, MessageRestored, ModeratorAdded, ModeratorRemoved,
    PresenterConnected, PresenterDisconnected, Role, RoomCleared, RoomUpdated, User, UserBanned, UserErased,
    UserUnbanned,
};
pub use event::{Event, Request};
pub use head::Head;
pub use holds::{Hold, MessageDenied, MessageHeld, MessageReleased};
pub use ids::{
    EventId, InvalidDigest, InvalidIdx, InvalidStoredIdx, KeyId, LARGEST_IDX, NodeId, PresenterIdx, RequestDigest,
    SessionId, UserIdx,
};
pub use kind::EventKind;
pub use malformed::MalformedEvent;
pub use moderators::Moderators;
pub use position::{InvalidPosition, Position};
pub use posted::PostedLine;
pub use readers::Readers;
pub use time::now;
