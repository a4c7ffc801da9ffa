//! A clock that counts while the machine is suspended, and background tasks that are named, supervised and awaited. The
//! crate does not know chat, HTTP or the log.

mod clock;
mod tasks;

pub use clock::Moment;
pub use tasks::{Panicked, Tasks};
