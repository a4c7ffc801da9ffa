//! The endpoints of reports: any user reports a message, and moderators close its reports. The archive has the queue.
//! `docs/reference/moderation.md` describes them for their clients.

use std::sync::Arc;

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chat::ReportCategory;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::decisions::{DecidedBody, decide};
use crate::http::body::Shape;
use crate::http::extract::{Caller, Json, Key, MessagePath, Moderator, RoomPath, reason};
use crate::http::openapi::schemas;
use crate::http::quota::with_quota;
use crate::moderation::decide::{Decided, Decision};
use crate::moderation::report::Report;
use crate::refusal::Refusal;
use crate::state::Ingest;

pub(super) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(report_message)).routes(routes!(close_reports))
}

/// A report to make. Unlisted members are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({ "category": "spam", "reason": "the same link again and again" })))]
struct NewReport {
    #[serde(default)]
    #[schema(value_type = schemas::ReportCategory, required)]
    category: Value,
    #[schema(value_type = Option<schemas::Text>)]
    reason: Option<String>,
}

impl Shape for NewReport {
    const PAGE: &'static str = "reference/moderation.md#report-a-message";
}

/// The end of a message's reports. Unlisted members are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({ "reason": "harmless" })))]
struct NewClosure {
    #[schema(value_type = Option<schemas::Text>)]
    reason: Option<String>,
}

impl Shape for NewClosure {
    const PAGE: &'static str = "reference/moderation.md#close-reports";
}

/// Report a message
///
/// To the moderators of the room. Any user may. All reports of a message by one user are one: a repeated one gets the
/// answer of the first. The message need not exist.
#[utoipa::path(
    post,
    path = "/v1/rooms/{presenterIdx}/messages/{messageId}/reports",
    tag = "reports",
    params(RoomPath, MessagePath),
    request_body = NewReport,
    responses((
        status = 202,
        description = "The report is in the log.",
        body = DecidedBody,
        headers(
            ("RateLimit" = inline(schemas::RateLimit)),
            ("RateLimit-Policy" = inline(schemas::RateLimitPolicy)),
        ),
    )),
)]
async fn report_message(
    State(ingest): State<Arc<Ingest>>,
    Caller(sender): Caller,
    RoomPath { presenter_idx: presenter }: RoomPath,
    MessagePath { message_id: target }: MessagePath,
    Json { body: NewReport { category, reason: why }, .. }: Json<NewReport>,
) -> Result<Response, Refusal> {
    let category = category.as_str().and_then(ReportCategory::named).ok_or(Refusal::CategoryInvalid)?;
    let reason = reason(why.as_deref())?;
    let report = Report { sender, presenter, target, category, reason };
    let Decided { id, position, quota, .. } = ingest.report(report).await?;
    Ok(with_quota((StatusCode::ACCEPTED, JsonBody(DecidedBody { id, position })).into_response(), quota))
}

/// Close the reports of a message
///
/// Those so far. A later report opens them again. A deletion of the message, and a ban of its author from the room,
/// close them as well.
#[utoipa::path(
    post,
    path = "/v1/rooms/{presenterIdx}/reports/{messageId}/close",
    tag = "reports",
    params(RoomPath, MessagePath, Key),
    request_body = NewClosure,
    responses((
        status = 202,
        description = "The decision is in the log, whether or not the message was reported.",
        body = DecidedBody,
    )),
)]
async fn close_reports(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    MessagePath { message_id }: MessagePath,
    key: Key,
    Json { body: NewClosure { reason: why }, .. }: Json<NewClosure>,
) -> Result<Response, Refusal> {
    decide(&ingest, moderator, key, Decision::CloseReports(message_id), reason(why.as_deref())?).await
}
