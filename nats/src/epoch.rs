//! Epochs: noticing that the log lost its end or was replaced, and keeping positions unambiguous.

pub(crate) mod continuity;
pub(crate) mod memory;
pub(crate) mod timeline;
