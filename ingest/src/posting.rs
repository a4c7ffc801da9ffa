//! The checks between a request and the log: event id, text and extras, limits, word filter, review hook.

pub(crate) mod accept;
pub(crate) mod admission;
mod append_span;
pub(crate) mod event_id;
pub(crate) mod extras;
pub(crate) mod limits;
pub(crate) mod review;
pub(crate) mod text;
pub(crate) mod word_filter;
