//! The endpoints of a room's warnings. `docs/reference/moderation.md` describes them for their clients.

use std::sync::Arc;

use axum::Json as JsonBody;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chat::{Body, Event, EventId, PresenterIdx, User, UserIdx, UserWarned, Warning, now};
use nats::Subject;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::decisions::{DecidedBody, decide};
use super::pages::{Item, Page, PageQuery, page, words};
use crate::http::body::Shape;
use crate::http::extract::{Json, Key, Moderator, NoBody, Query, ReasonQuery, RoomPath, UserPath, reason};
use crate::http::openapi::schemas;
use crate::moderation::decide::Decision;
use crate::refusal::Refusal;
use crate::state::Ingest;

pub(super) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(list_warnings)).routes(routes!(get_warning, put_warning, delete_warning))
}

/// A warning to make. Unlisted members are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({ "reason": "no links please" })))]
struct NewWarning {
    /// What the user is told.
    #[schema(value_type = schemas::Text, required)]
    reason: Option<String>,
}

impl Shape for NewWarning {
    const PAGE: &'static str = "reference/moderation.md#warnings";
}

/// A warning in force.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WarningBody {
    /// The decision's id, which the user's answer has too.
    #[schema(value_type = schemas::EventId)]
    id: EventId,
    #[schema(value_type = schemas::UserIdx)]
    user: UserIdx,
    #[schema(value_type = schemas::Time)]
    at: String,
    /// When an answer to the user carried it. Absent: none has yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    sent_at: Option<String>,
    #[schema(value_type = schemas::User)]
    by: User,
    reason: String,
}

/// A page of warnings.
#[derive(Serialize, ToSchema)]
struct WarningsBody {
    warnings: Vec<WarningBody>,
    /// The value of `after` for the next page. Absent on the last page. A page with long reasons may be short without
    /// being the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[1-9][0-9]{0,18}$")]
    next: Option<String>,
}

/// Warn a user
///
/// An answer to one of the user's next posts to the room carries the reason. It replaces an earlier warning of the user
/// in the room.
#[utoipa::path(
    put,
    path = "/v1/rooms/{presenterIdx}/warnings/{userIdx}",
    tag = "warnings",
    params(RoomPath, UserPath, Key),
    request_body = NewWarning,
    responses((
        status = 202,
        description = "The warning is in the log.",
        body = DecidedBody,
        links(
            ("get" = (operation_id = "get_warning", parameters(
                ("presenterIdx" = "$request.path.presenterIdx"),
                ("userIdx" = "$request.path.userIdx"),
            ))),
            ("delete" = (operation_id = "delete_warning", parameters(
                ("presenterIdx" = "$request.path.presenterIdx"),
                ("userIdx" = "$request.path.userIdx"),
            ))),
        ),
    )),
)]
async fn put_warning(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    RoomPath { presenter_idx }: RoomPath,
    UserPath { user_idx }: UserPath,
    key: Key,
    Json { body: NewWarning { reason: why }, .. }: Json<NewWarning>,
) -> Result<Response, Refusal> {
    let why = reason(why.as_deref())?.ok_or(Refusal::ReasonMissing)?;
    decide(&ingest, moderator, key, Decision::Warn(presenter_idx, user_idx), Some(why)).await
}

/// Withdraw a warning
///
/// An answer that carries it already may still be on its way.
#[utoipa::path(
    delete,
    path = "/v1/rooms/{presenterIdx}/warnings/{userIdx}",
    tag = "warnings",
    params(RoomPath, UserPath, ReasonQuery, Key),
    responses((status = 202, description = "The decision is in the log.", body = DecidedBody)),
)]
async fn delete_warning(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    RoomPath { presenter_idx }: RoomPath,
    UserPath { user_idx }: UserPath,
    Query(query): Query<ReasonQuery>,
    key: Key,
    _body: NoBody,
) -> Result<Response, Refusal> {
    decide(&ingest, moderator, key, Decision::WithdrawWarning(presenter_idx, user_idx), query.reason()?).await
}

/// Get a user's warning
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/warnings/{userIdx}",
    tag = "warnings",
    params(RoomPath, UserPath),
    responses((status = 200, description = "The warning, sent or not.", body = WarningBody)),
)]
async fn get_warning(
    State(ingest): State<Arc<Ingest>>,
    _moderator: Moderator,
    RoomPath { presenter_idx: room }: RoomPath,
    UserPath { user_idx: user }: UserPath,
    _body: NoBody,
) -> Result<Response, Refusal> {
    ingest.check_caught_up()?;
    let warning = ingest.replay.rules.warning(room, user, now()).ok_or(Refusal::NotWarned)?;
    let warning = warning_body(&ingest, room, user, warning).await?.ok_or(Refusal::NotWarned)?;
    Ok(JsonBody(warning).into_response())
}

/// List a room's warnings
///
/// Those of the last 14 days that nobody withdrew or replaced, sent or not.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/warnings",
    tag = "warnings",
    params(RoomPath, PageQuery),
    responses((status = 200, description = "The warnings, ordered by user number.", body = WarningsBody)),
)]
async fn list_warnings(
    State(ingest): State<Arc<Ingest>>,
    Moderator { sender, .. }: Moderator,
    RoomPath { presenter_idx: room }: RoomPath,
    Query(query): Query<PageQuery>,
    _body: NoBody,
) -> Result<Response, Refusal> {
    let ingest: &Ingest = &ingest;
    ingest.check_caught_up()?;
    let standing = |after, first| ingest.replay.rules.warnings(room, after, first, now());
    let read = |(user, warning)| async move { (user, warning_body(ingest, room, user, warning).await) };
    let Page { items: warnings, next } = page(ingest, &sender, query, standing, read).await?;
    Ok(JsonBody(WarningsBody { warnings, next }).into_response())
}

/// The warning, with its author and what it says. None: it has ended.
async fn warning_body(
    ingest: &Ingest,
    room: PresenterIdx,
    user: UserIdx,
    Warning { position, sent_at, .. }: Warning,
) -> Result<Option<WarningBody>, Refusal> {
    Ok(match words(ingest, Subject::Warning(room, user), position).await? {
        Some(Event { id, at, body: Body::UserWarned(UserWarned { by, reason: Some(reason), .. }), .. }) => {
            let sent_at = sent_at.map(|at| format!("{at:.3}"));
            Some(WarningBody { id, user, at: format!("{at:.3}"), sent_at, by, reason })
        }
        _ => None,
    })
}

impl Item for WarningBody {
    fn words(&self) -> (&User, Option<&str>) {
        (&self.by, Some(&self.reason))
    }
}
