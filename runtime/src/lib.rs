//! A clock that counts while the machine is suspended, background tasks that are named, supervised and awaited, timers
//! that are used again, and a bounded map. The crate does not know chat, HTTP or the log.

mod clock;
mod sharded_lru;
mod tasks;
mod timers;

pub use clock::Moment;
pub use sharded_lru::{One, ShardedLru, Weigh};
pub use tasks::{Panicked, Tasks};
pub use timers::{Timer, Timers};
