//! The endpoints of a room's moderators. `docs/reference/moderation.md` describes them for their clients.

use std::sync::Arc;

use axum::Json as JsonBody;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chat::{Body, Event, ModeratorAdded, Position, PresenterIdx, User, UserIdx};
use nats::Subject;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::decisions::{DecidedBody, decide};
use super::pages::{Item, Page, PageQuery, page, words};
use crate::http::body::Shape;
use crate::http::extract::{Appointer, Json, Key, Moderator, NoBody, Query, ReasonQuery, RoomPath, UserPath, reason};
use crate::http::openapi::schemas;
use crate::moderation::decide::Decision;
use crate::refusal::Refusal;
use crate::state::Ingest;

pub(super) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(list_moderators)).routes(routes!(
        get_moderator,
        put_moderator,
        delete_moderator
    ))
}

/// A moderator to appoint. Unlisted members are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({ "reason": "helps on Fridays" })))]
struct NewModerator {
    #[schema(value_type = Option<schemas::Text>)]
    reason: Option<String>,
}

impl Shape for NewModerator {
    const PAGE: &'static str = "reference/moderation.md#moderators-of-a-room";
}

/// A moderator of the room.
#[derive(Serialize, ToSchema)]
struct ModeratorBody {
    #[schema(value_type = schemas::UserIdx)]
    user: UserIdx,
    #[schema(value_type = schemas::Time)]
    at: String,
    #[schema(value_type = schemas::User)]
    by: User,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
}

/// A page of moderators.
#[derive(Serialize, ToSchema)]
struct ModeratorsBody {
    moderators: Vec<ModeratorBody>,
    /// The value of `after` for the next page. Absent on the last page. A page with long reasons may be short without
    /// being the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[1-9][0-9]{0,18}$")]
    next: Option<String>,
}

/// Appoint a moderator
///
/// The room's presenter, and tokens with the scope `chat:moderate`, may appoint. Repeating it changes nothing.
#[utoipa::path(
    put,
    path = "/v1/rooms/{presenterIdx}/moderators/{userIdx}",
    tag = "moderators",
    params(RoomPath, UserPath, Key),
    request_body = NewModerator,
    responses((
        status = 202,
        description = "The appointment is in the log.",
        body = DecidedBody,
        links(
            ("get" = (operation_id = "get_moderator", parameters(
                ("presenterIdx" = "$request.path.presenterIdx"),
                ("userIdx" = "$request.path.userIdx"),
            ))),
            ("delete" = (operation_id = "delete_moderator", parameters(
                ("presenterIdx" = "$request.path.presenterIdx"),
                ("userIdx" = "$request.path.userIdx"),
            ))),
        ),
    )),
)]
async fn put_moderator(
    State(ingest): State<Arc<Ingest>>,
    Appointer(appointer): Appointer,
    RoomPath { presenter_idx }: RoomPath,
    UserPath { user_idx }: UserPath,
    key: Key,
    Json { body: NewModerator { reason: why }, .. }: Json<NewModerator>,
) -> Result<Response, Refusal> {
    let decision = Decision::Appoint(presenter_idx, user_idx);
    decide(&ingest, appointer, key, decision, reason(why.as_deref())?).await
}

/// Remove a moderator
///
/// The room's presenter, and tokens with the scope `chat:moderate`, may remove moderators.
#[utoipa::path(
    delete,
    path = "/v1/rooms/{presenterIdx}/moderators/{userIdx}",
    tag = "moderators",
    params(RoomPath, UserPath, ReasonQuery, Key),
    responses((status = 202, description = "The decision is in the log.", body = DecidedBody)),
)]
async fn delete_moderator(
    State(ingest): State<Arc<Ingest>>,
    Appointer(appointer): Appointer,
    RoomPath { presenter_idx }: RoomPath,
    UserPath { user_idx }: UserPath,
    Query(query): Query<ReasonQuery>,
    key: Key,
    _body: NoBody,
) -> Result<Response, Refusal> {
    decide(&ingest, appointer, key, Decision::Dismiss(presenter_idx, user_idx), query.reason()?).await
}

/// Get a moderator
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/moderators/{userIdx}",
    tag = "moderators",
    params(RoomPath, UserPath),
    responses((status = 200, description = "The moderator.", body = ModeratorBody)),
)]
async fn get_moderator(
    State(ingest): State<Arc<Ingest>>,
    _moderator: Moderator,
    RoomPath { presenter_idx: room }: RoomPath,
    UserPath { user_idx: user }: UserPath,
    _body: NoBody,
) -> Result<Response, Refusal> {
    ingest.check_caught_up()?;
    let appointment = ingest.replay.rules.appointment(room, user).ok_or(Refusal::NotModerator)?;
    let moderator = moderator_body(&ingest, room, user, appointment).await?.ok_or(Refusal::NotModerator)?;
    Ok(JsonBody(moderator).into_response())
}

/// List a room's moderators
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/moderators",
    tag = "moderators",
    params(RoomPath, PageQuery),
    responses((status = 200, description = "The moderators, ordered by user number.", body = ModeratorsBody)),
)]
async fn list_moderators(
    State(ingest): State<Arc<Ingest>>,
    Moderator { sender, .. }: Moderator,
    RoomPath { presenter_idx: room }: RoomPath,
    Query(query): Query<PageQuery>,
    _body: NoBody,
) -> Result<Response, Refusal> {
    let ingest: &Ingest = &ingest;
    ingest.check_caught_up()?;
    let standing = |after, first| ingest.replay.rules.moderators(room, after, first);
    let read = |(user, appointment)| async move { (user, moderator_body(ingest, room, user, appointment).await) };
    let Page { items: moderators, next } = page(ingest, &sender, query, standing, read).await?;
    Ok(JsonBody(ModeratorsBody { moderators, next }).into_response())
}

/// The moderator, with the author and the reason of the appointment. None: the role has ended.
async fn moderator_body(
    ingest: &Ingest,
    room: PresenterIdx,
    user: UserIdx,
    appointment: Position,
) -> Result<Option<ModeratorBody>, Refusal> {
    Ok(match words(ingest, Subject::Moderator(room, user), appointment).await? {
        Some(Event { at, body: Body::ModeratorAdded(ModeratorAdded { by, reason, .. }), .. }) => {
            Some(ModeratorBody { user, at: format!("{at:.3}"), by, reason })
        }
        _ => None,
    })
}

impl Item for ModeratorBody {
    fn words(&self) -> (&User, Option<&str>) {
        (&self.by, self.reason.as_deref())
    }
}
