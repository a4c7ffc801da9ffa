//! What happens to a message between the request and the log: its id, its text, limits, the word filter, the review.

pub(crate) mod accept;
pub(crate) mod admission;
pub(crate) mod event_id;
pub(crate) mod limits;
pub(crate) mod review;
pub(crate) mod text;
pub(crate) mod word_filter;
