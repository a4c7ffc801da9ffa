//! The surface `/v1`: 202 with id and position, errors as problems (RFC 9457). `docs/reference/ingest-api.md` describes
//! it for its clients.

mod bans;
mod decisions;
mod holds;
mod lookup;
mod messages;
mod moderators;
mod notes;
mod pages;
mod pin;
mod reports;
mod settings;
mod sweeps;
mod warnings;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

#[cfg(any(test, feature = "fuzz"))]
pub(super) use self::messages::NewMessage;
pub(super) use self::messages::{AuthorWarning, post, posting};
use crate::state::Ingest;

/// Everything but posting.
pub(super) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new()
        .merge(messages::routes())
        .merge(holds::routes())
        .merge(bans::routes())
        .merge(moderators::routes())
        .merge(warnings::routes())
        .merge(notes::routes())
        .merge(pin::routes())
        .merge(reports::routes())
        .merge(settings::routes())
        .merge(sweeps::routes())
        .merge(lookup::routes())
}
