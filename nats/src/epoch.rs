//! Epochs: detecting that the log lost its end or was replaced, and keeping positions unambiguous.

pub(crate) mod continuity;
pub(crate) mod doubt;
pub(crate) mod evidence;
pub(crate) mod memory;
pub(crate) mod timeline;
