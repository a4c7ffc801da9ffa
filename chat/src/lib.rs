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
//! let posted = MessagePosted::new(user, "hello");
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

mod attributes;
mod bans;
mod body;
mod emotes;
mod event;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod head;
mod holds;
mod ids;
mod kind;
mod malformed;
mod moderators;
mod notes;
mod pins;
mod position;
mod posted;
mod readers;
mod reports;
pub mod settings;
mod similarity;
mod sweep_preview;
mod sweeps;
mod text_folding;
mod time;
mod warnings;

pub use attributes::{
    Attributes, InvalidAttributes, LARGEST_ATTRIBUTES_BYTES, LONGEST_ATTRIBUTE_NAME, MOST_ATTRIBUTES, is_attribute_name,
};
pub use bans::{Ban, LatestBan};
pub use body::{
    Body, ErasureMode, MessageDeleted, MessagePosted, MessageRestored, NoticePosted, PresenterConnected,
    PresenterDisconnected, Role, RoomCleared, RoomUpdated, User, UserBanned, UserErased, UserUnbanned,
};
pub use emotes::{
    AllowedEmotes, Edit, Emote, Emotes, InvalidEmotes, LONGEST_EMOTE_ID, MOST_EMOTES, fragments, is_emote_id,
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
pub use moderators::{ModeratorAdded, ModeratorRemoved, Moderators};
pub use notes::{NoteAdded, NoteDeleted, Notes};
pub use pins::{MessagePinned, MessageUnpinned, Pins};
pub use position::{InvalidPosition, Position};
pub use posted::PostedLine;
pub use readers::Readers;
pub use reports::{MessageReported, ReportCategory, ReportClosed};
pub use similarity::{InvalidSimilarity, Similarity, TextMatcher};
pub use sweep_preview::{PreviewedMessage, SweepPreview};
pub use sweeps::{Forward, ForwardAction, LONGEST_FORWARD, RoomSwept, SweepMatcher, SweepRule, SweepUndone};
pub use text_folding::folded;
pub use time::now;
pub use warnings::{UserWarned, WARNED_FOR, Warning, WarningSent, WarningWithdrawn, Warnings};
