//! stub
use crate::*;
/// Where a tail begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest event that the log still has.
    Oldest,
    /// At the first batch appended at or after that time.
    Since(jiff::Timestamp),
}
/// A reader of everything. Dropping it ends its tasks.
#[derive(Debug)]
pub struct Tail {}
/// How a tail is doing, for health checks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TailStatus {}
impl Tail {
    /// The next events: one batch of one partition, never empty. Within a room in the order of positions, each event
    /// id once. Waits for as long as there is nothing. Cancel safe. An error is final.
    pub async fn next(&mut self) -> Result<Vec<Entry>, Error> {
        todo!()
    }
    /// A handle on how this tail is doing.
    pub fn status(&self) -> TailStatus {
        todo!()
    }
}
impl TailStatus {
    /// Whether everything that was in the log when the tail began has been handed out.
    pub fn is_caught_up(&self) -> bool {
        todo!()
    }
    /// Waits until [`TailStatus::is_caught_up`].
    pub async fn caught_up(&self) {
        todo!()
    }
    /// Whether the log was heard of lately; if not, silence is no evidence of a quiet night.
    pub fn is_current(&self) -> bool {
        todo!()
    }
}
