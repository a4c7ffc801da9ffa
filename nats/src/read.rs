//! Reading the log: from a place onwards, or as one of several consumers.

pub(crate) mod clock;
pub(crate) mod consume;
pub(crate) mod entry;
pub(crate) mod reader;
pub(crate) mod recent;
pub(crate) mod tail;
