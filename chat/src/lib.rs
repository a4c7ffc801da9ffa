//! The domain: who and what is named how, what happens in a room, and where that stands in the log. No I/O: events are
//! parsed and written here, and sent, stored and shown elsewhere.

mod event;
mod ids;
mod position;

pub use event::{
    Body, ErasureMode, Event, Head, MalformedEvent, MessageDeleted, MessagePosted, PresenterConnected,
    PresenterDisconnected, Request, Role, RoomCleared, RoomUpdated, User, UserBanned, UserErased, UserUnbanned, now,
};
pub use ids::{
    EventId, InvalidDigest, InvalidIdx, InvalidStoredIdx, KeyId, LARGEST_IDX, NodeId, PresenterIdx, RequestDigest,
    SessionId, UserIdx,
};
pub use position::{InvalidPosition, Position};
