//! A clock that counts while the machine is suspended, background tasks that are named, supervised and awaited, timers
//! that are used again, a bounded map, and the request and the span that a task works for. The crate does not know chat,
//! HTTP or the log.

mod clock;
mod request_id;
mod sharded_lru;
mod tasks;
mod timers;
mod trace_context;

pub use clock::Moment;
pub use request_id::{ForSameRequest, RequestId, for_same_request};
pub use sharded_lru::{One, ShardedLru, Weigh};
pub use tasks::{Panicked, Tasks};
pub use timers::{Timer, Timers};
pub use trace_context::{TraceContext, TraceParent};
