//! What all moderation endpoints share: the response to a decision, and its times.

use axum::Json as JsonBody;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chat::{EventId, Position};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::http::body;
use crate::http::extract::{Key, Moderator};
use crate::http::openapi::schemas;
use crate::http::quota::with_quota;
use crate::moderation::decide::{Decided, Decision, DecisionRequest};
use crate::moderation::term::{Purge, Term};
use crate::posting::text::Text;
use crate::refusal::Refusal;
use crate::state::Ingest;

/// The decision is in the log.
#[derive(Serialize, ToSchema)]
pub(super) struct DecidedBody {
    #[schema(value_type = schemas::EventId)]
    pub(super) id: EventId,
    #[schema(value_type = schemas::Position)]
    pub(super) position: Position,
}

/// Appends the decision and responds.
pub(super) async fn decide(
    ingest: &Ingest,
    Moderator { sender, room }: Moderator,
    Key { idempotency_key: key }: Key,
    decision: Decision,
    reason: Option<Text>,
) -> Result<Response, Refusal> {
    let Decided { id, position, quota, .. } =
        ingest.decide(DecisionRequest { sender, presenter: room, decision, reason, key }).await?;
    Ok(with_quota((StatusCode::ACCEPTED, JsonBody(DecidedBody { id, position })).into_response(), quota))
}

/// Parses the member `seconds`. None: no end.
pub(super) fn term(seconds: Option<Value>) -> Result<Option<Term>, Refusal> {
    span(seconds, Term::of_seconds, Refusal::SecondsInvalid)
}

/// Parses the member `purgeSeconds`. None: the ban deletes nothing.
pub(super) fn purge(seconds: Option<Value>) -> Result<Option<Purge>, Refusal> {
    span(seconds, Purge::of_seconds, Refusal::PurgeSecondsInvalid)
}

fn span<T>(seconds: Option<Value>, of: impl Fn(u64) -> Option<T>, refusal: Refusal) -> Result<Option<T>, Refusal> {
    match seconds {
        None | Some(Value::Null) => Ok(None),
        Some(seconds) => body::whole(seconds).as_u64().and_then(of).ok_or(refusal).map(Some),
    }
}
