//! The HTTP surfaces: `/v1`, and the interface of the original system. They read requests, call the core, and turn
//! results and refusals into responses. Posting is one straight function for both surfaces. Every other endpoint is a
//! handler with typed extractors.

mod answer;
mod body;
mod content_digest;
mod extract;
pub(crate) mod fast_path;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
pub(crate) mod gateway;
mod legacy;
pub(crate) mod openapi;
mod post;
mod quota;
mod refused;
pub(crate) mod router;
mod trace;
mod unread;
mod v1;
