//! Every question that reading asks of the archive. What asks over HTTP, and in which words, is unknown here.

pub(crate) mod broadcasts;
pub(crate) mod cursor;
pub(crate) mod decisions;
pub(crate) mod everything;
pub(crate) mod gaps;
pub(crate) mod messages;
pub(crate) mod pages;
pub(crate) mod probe;
pub(crate) mod replay;
pub(crate) mod reports;
pub(crate) mod sequence;
pub(crate) mod sessions;
pub(crate) mod statistics;
mod text_index;
pub(crate) mod timeline;
pub(crate) mod times;
pub(crate) mod trace;
