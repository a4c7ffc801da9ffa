//! Why a line is not an event.

use serde::Deserialize;

/// A line that is not an event of this version, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an event: {0}")]
pub struct MalformedEvent(pub(crate) String);

/// Reads JSON from a line.
pub(crate) fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, MalformedEvent> {
    serde_json::from_slice(line).map_err(|error| MalformedEvent(error.to_string()))
}
