//! What each part of the system needs of its process: a clock that also counts while the machine is suspended, and
//! background tasks that are named, supervised and awaited. It knows nothing of chat, of HTTP or of the log.

mod clock;
mod tasks;

pub use clock::Moment;
pub use tasks::{Panicked, Tasks};
