//! The log: events, partitions, append, tail, consume, and the small state that nodes share through it.

mod address;
mod append;
mod claim;
mod clock;
mod config;
mod connect;
mod consume;
mod continuity;
mod cursors;
mod decisions;
mod entry;
mod error;
mod event;
mod ids;
mod lease;
mod memory;
mod moment;
mod partition;
mod position;
mod presence;
mod reader;
mod recent;
mod request;
mod room;
mod setup;
mod store;
mod tail;
mod timeline;

pub use address::ServerUrl;
pub use append::AppendError;
pub use config::Config;
pub use connect::{Extent, Log};
pub use consume::{Backlog, Consumer, Delivery};
pub use continuity::Mark;
pub use cursors::Cursors;
pub use decisions::{Decisions, Kept, Subject};
pub use entry::{Entry, MOST_AHEAD, MOST_BEHIND, Malformed};
pub use error::Error;
pub use event::{
    Body, ErasureMode, Event, MalformedEvent, MessageDeleted, MessagePosted, PresenterConnected, PresenterDisconnected,
    Request, Role, RoomCleared, RoomUpdated, User, UserBanned, UserErased, UserUnbanned, now,
};
pub use ids::{
    EventId, InvalidDigest, InvalidIdx, InvalidStoredIdx, KeyId, LARGEST_IDX, NodeId, PresenterIdx, RequestDigest,
    SessionId, UserIdx,
};
pub use lease::Lease;
pub use moment::Moment;
pub use position::{InvalidPosition, Position};
pub use presence::{Presence, Session};
pub use room::{Fill, Shortage};
pub use setup::{Change, Difference, plan, set_up};
pub use tail::{Start, Tail, TailStatus};
pub use timeline::{Place, Timelines};
