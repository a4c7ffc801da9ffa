//! A row of the table of refusals: the answer on both surfaces.

use std::time::Duration;

use super::Part;

/// A row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// On `/v1`.
    pub(crate) status: u16,
    /// On `/v1`. It never changes its meaning.
    pub(crate) code: &'static str,
    /// A sentence for people: what is wrong, then what to do.
    pub(crate) detail: String,
    /// On the original's surface.
    pub(crate) original_status: u16,
    /// On the original's surface: from its catalogue, or Spring's reason phrase where the catalogue has none.
    pub(crate) original_message: &'static str,
    /// The page under `docs/` that says what is valid.
    pub(crate) page: Option<&'static str>,
    /// When a retry may succeed. None: only a changed request can succeed.
    pub(crate) retry_after: Option<Duration>,
    /// The part of the request that causes the refusal.
    pub(crate) part: Part,
}

impl Row {
    /// Whether the cause is on the server's side.
    pub(crate) fn is_outage(&self) -> bool {
        self.status == 503
    }
}
