//! The HTTP surfaces: `/v1`, and that of the system which ingest replaces. They read requests, call what serves them,
//! and turn results and refusals into answers.

pub(crate) mod body;
pub(crate) mod content_digest;
pub(crate) mod gateway;
pub(crate) mod head;
pub(crate) mod legacy;
pub(crate) mod openapi;
pub(crate) mod refusal;
pub(crate) mod v1;
