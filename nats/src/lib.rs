//! The log: events, partitions, append, tail, consume, and the small state that nodes share through it.

mod address;
mod capacity;
mod config;
mod epoch;
mod error;
mod jetstream;
mod log;
mod partition;
mod read;
mod setup;
mod state;
mod write;

pub use address::ServerUrl;
pub use capacity::{Fill, Shortage};
pub use config::Config;
pub use epoch::continuity::Mark;
pub use epoch::timeline::{Place, Timelines};
pub use error::Error;
pub use log::{Extent, Log};
pub use read::consume::{Backlog, Consumer, Delivery};
pub use read::entry::{Entry, MOST_AHEAD, MOST_BEHIND, Malformed};
pub use read::tail::{Start, Tail, TailStatus};
pub use setup::{Change, Difference, plan, set_up};
pub use state::cursors::Cursors;
pub use state::decisions::{Decisions, Kept, Subject};
pub use state::lease::Lease;
pub use state::presence::{Presence, Session};
pub use write::append::AppendError;
