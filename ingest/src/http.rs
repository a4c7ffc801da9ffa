//! The HTTP surfaces: `/v1`, and that of the system which ingest replaces. They read requests, call what serves them,
//! and turn results and refusals into answers. Posting is one straight function for both; everything else is a handler
//! with typed extractors.

mod body;
mod content_digest;
mod extract;
pub(crate) mod gateway;
mod legacy;
pub(crate) mod openapi;
mod post;
mod quota;
mod refused;
pub(crate) mod router;
mod unread;
mod v1;
