//! The log: events, partitions, append, tail, the shared reader, and the small state that nodes share beside it.
//!
//! A role connects to a log that `chatting-server setup` has created, appends events, and tails them:
//!
//! ```no_run
//! use chat::{Body, Event, MessagePosted, PresenterIdx, Role, User, UserIdx};
//! use nats::{Config, Log, Start};
//!
//! # async fn example(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
//! let log = Log::connect(config, "example").await?;
//! let mut tail = log.tail(Start::Oldest);
//!
//! let room: PresenterIdx = "42".parse()?;
//! let user = User { idx: UserIdx::try_from(7)?, nickname: "mina".to_owned(), role: Role::Viewer };
//! let posted = MessagePosted::new(user, "hello");
//!
//! // `Ok` comes after the fsync. After `AppendError::Unknown`, append the same event again: its id makes that safe.
//! let position = log.append(&Event::now(room, Body::MessagePosted(posted))).await?;
//!
//! // The tail hands out each event once, within a room in the order of positions.
//! for entry in tail.next().await? {
//!     println!("{} {} {}", entry.position, entry.kind, entry.position == position);
//! }
//! log.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! A failure that this process cannot repair, such as a log that lost its end or a panic in a background task, resolves
//! [`Log::failed`]: the process should end, and the next one starts from the log as it is.

mod address;
mod capacity;
mod config;
mod connection;
mod context;
mod epoch;
mod error;
mod failure;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod inspect;
mod jetstream;
mod log;
mod login;
mod metrics;
mod nkey;
mod node_name;
mod own_batches;
mod partition;
mod read;
mod setup;
mod state;
mod streams;
mod tls_config;
mod traces;
mod trim;
mod watch;
mod write;

pub use address::ServerUrl;
pub use capacity::{Fill, Shortage};
pub use config::Config;
pub use epoch::continuity::Mark;
pub use epoch::timeline::{Standing, Timelines};
pub use error::{AppendError, Error};
pub use inspect::{
    ClockReading, LogState, ReaderState, ServerFacts, ServerState, Storage, StreamState, inspect, servers,
};
pub use log::{Extent, Log};
pub use login::LoginSource;
pub use node_name::NodeName;
pub use read::consume::{Backlog, Consumer, Delivery};
pub use read::entry::{Entry, MOST_AHEAD, MOST_BEHIND, Malformed, believed};
pub use read::event_tail::{EventTail, StoredEvent};
pub use read::lookup::{LookedUp, Lookup};
pub use read::scan::ScanEnd;
pub use read::tail::{Start, Tail, TailStatus};
pub use setup::wanted::{Change, Difference};
pub use setup::{plan, set_up};
pub use state::claim::Claim;
pub use state::cursors::{Cursor, Cursors, SavedCursor};
pub use state::decisions::{DecisionSnapshot, Decisions, Subject};
pub use state::lease::Lease;
pub use state::presence::Presence;
pub use state::tickets::{ONE_USE_TICKET_LIFE, StoredTickets, TicketChanges, Tickets};
pub use tls_config::TlsConfig;
