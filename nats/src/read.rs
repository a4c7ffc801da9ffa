//! Reading the log: from a position on, or as one consumer of a shared reader.

pub(crate) mod clock;
pub(crate) mod consume;
pub(crate) mod end;
pub(crate) mod entry;
pub(crate) mod event_tail;
pub(crate) mod item;
pub(crate) mod lookup;
mod pull;
pub(crate) mod reader;
pub(crate) mod recent;
pub(crate) mod scan;
pub(crate) mod tail;
