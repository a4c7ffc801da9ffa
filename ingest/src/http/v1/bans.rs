//! The endpoints of bans, from one room or, at paths without a room, from every room. `docs/reference/moderation.md`
//! describes them for their clients.

use std::sync::Arc;

use axum::Json as JsonBody;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chat::{Body, Event, PresenterIdx, User, UserBanned, UserIdx, now};
use nats::Subject;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::decisions::{DecidedBody, decide, purge, term};
use super::pages::{Item, Page, PageQuery, page, words};
use crate::http::body::Shape;
use crate::http::extract::{Json, Key, Moderator, NoBody, Query, ReasonQuery, RoomPath, UserPath, reason};
use crate::http::openapi::schemas;
use crate::moderation::decide::Decision;
use crate::moderation::rules::ActiveBan;
use crate::refusal::Refusal;
use crate::state::Ingest;

pub(super) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new()
        .routes(routes!(list_bans))
        .routes(routes!(get_ban, put_ban, delete_ban))
        .routes(routes!(list_bans_everywhere))
        .routes(routes!(get_ban_everywhere, put_ban_everywhere, delete_ban_everywhere))
}

/// A ban to make. Unlisted members are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(examples(json!({ "seconds": 600, "reason": "spam" })))]
struct NewBan {
    /// Null or absent: permanent.
    #[schema(value_type = Option<schemas::Seconds>)]
    seconds: Option<Value>,
    /// Null or absent: the ban deletes no message. Only for a ban from one room.
    #[schema(value_type = Option<schemas::PurgeSeconds>)]
    purge_seconds: Option<Value>,
    #[schema(value_type = Option<schemas::Text>)]
    reason: Option<String>,
}

/// A ban from every room to make. Unlisted members are ignored, but `purgeSeconds` is refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(examples(json!({ "seconds": 600, "reason": "spam" })))]
struct NewBanEverywhere {
    /// Null or absent: permanent.
    #[schema(value_type = Option<schemas::Seconds>)]
    seconds: Option<Value>,
    #[schema(ignore)]
    purge_seconds: Option<Value>,
    #[schema(value_type = Option<schemas::Text>)]
    reason: Option<String>,
}

impl From<NewBanEverywhere> for NewBan {
    fn from(NewBanEverywhere { seconds, purge_seconds, reason }: NewBanEverywhere) -> NewBan {
        NewBan { seconds, purge_seconds, reason }
    }
}

impl Shape for NewBan {
    const PAGE: &'static str = "reference/moderation.md#ban-time-out-unban";
}

impl Shape for NewBanEverywhere {
    const PAGE: &'static str = NewBan::PAGE;
}

/// A ban in force.
#[derive(Serialize, ToSchema)]
struct BanBody {
    #[schema(value_type = schemas::UserIdx)]
    user: UserIdx,
    #[schema(value_type = schemas::Time)]
    at: String,
    /// Absent: permanent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    until: Option<String>,
    #[schema(value_type = schemas::User)]
    by: User,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
}

/// A page of bans.
#[derive(Serialize, ToSchema)]
struct BansBody {
    bans: Vec<BanBody>,
    /// The value of `after` for the next page. Absent on the last page. A page with long reasons may be short without
    /// being the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[1-9][0-9]{0,18}$")]
    next: Option<String>,
}

/// Ban a user
///
/// It replaces the user's existing ban from the room.
#[utoipa::path(
    put,
    path = "/v1/rooms/{presenterIdx}/bans/{userIdx}",
    tag = "bans",
    params(RoomPath, UserPath, Key),
    request_body = NewBan,
    responses((
        status = 202,
        description = "The ban is in the log.",
        body = DecidedBody,
        links(
            ("get" = (operation_id = "get_ban", parameters(
                ("presenterIdx" = "$request.path.presenterIdx"),
                ("userIdx" = "$request.path.userIdx"),
            ))),
            ("delete" = (operation_id = "delete_ban", parameters(
                ("presenterIdx" = "$request.path.presenterIdx"),
                ("userIdx" = "$request.path.userIdx"),
            ))),
        ),
    )),
)]
async fn put_ban(
    state: State<Arc<Ingest>>,
    moderator: Moderator,
    user: UserPath,
    key: Key,
    request: Json<NewBan>,
) -> Result<Response, Refusal> {
    ban(&state, moderator, user, key, request.body).await
}

/// Ban a user from every room
///
/// It replaces the user's existing ban from every room. Bans from single rooms stay.
#[utoipa::path(
    put,
    path = "/v1/bans/{userIdx}",
    tag = "bans",
    params(UserPath, Key),
    request_body = NewBanEverywhere,
    responses((
        status = 202,
        description = "The ban is in the log.",
        body = DecidedBody,
        links(
            ("get" = (operation_id = "get_ban_everywhere", parameters(("userIdx" = "$request.path.userIdx")))),
            ("delete" = (operation_id = "delete_ban_everywhere", parameters(("userIdx" = "$request.path.userIdx")))),
        ),
    )),
)]
async fn put_ban_everywhere(
    state: State<Arc<Ingest>>,
    moderator: Moderator,
    user: UserPath,
    key: Key,
    request: Json<NewBanEverywhere>,
) -> Result<Response, Refusal> {
    ban(&state, moderator, user, key, request.body.into()).await
}

async fn ban(
    ingest: &Ingest,
    moderator: Moderator,
    UserPath { user_idx }: UserPath,
    key: Key,
    NewBan { seconds, purge_seconds, reason: why }: NewBan,
) -> Result<Response, Refusal> {
    let (term, purge) = (term(seconds)?, purge(purge_seconds)?);
    if purge.is_some() && moderator.room.is_none() {
        return Err(Refusal::PurgeEverywhere);
    }
    let decision = Decision::Ban(user_idx, term, purge);
    decide(ingest, moderator, key, decision, reason(why.as_deref())?).await
}

/// Lift a user's ban
#[utoipa::path(
    delete,
    path = "/v1/rooms/{presenterIdx}/bans/{userIdx}",
    tag = "bans",
    params(RoomPath, UserPath, ReasonQuery, Key),
    responses((status = 202, description = "The decision is in the log.", body = DecidedBody)),
)]
async fn delete_ban(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    UserPath { user_idx }: UserPath,
    Query(query): Query<ReasonQuery>,
    key: Key,
    _body: NoBody,
) -> Result<Response, Refusal> {
    decide(&ingest, moderator, key, Decision::Unban(user_idx), query.reason()?).await
}

/// Lift a user's ban from every room
///
/// Bans from single rooms stay.
#[utoipa::path(
    delete,
    path = "/v1/bans/{userIdx}",
    tag = "bans",
    params(UserPath, ReasonQuery, Key),
    responses((status = 202, description = "The decision is in the log.", body = DecidedBody)),
)]
async fn delete_ban_everywhere(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    UserPath { user_idx }: UserPath,
    Query(query): Query<ReasonQuery>,
    key: Key,
    _body: NoBody,
) -> Result<Response, Refusal> {
    decide(&ingest, moderator, key, Decision::Unban(user_idx), query.reason()?).await
}

/// Get a user's ban
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/bans/{userIdx}",
    tag = "bans",
    params(RoomPath, UserPath),
    responses((status = 200, description = "The ban.", body = BanBody)),
)]
async fn get_ban(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    user: UserPath,
    _body: NoBody,
) -> Result<Response, Refusal> {
    show(&ingest, moderator, user).await
}

/// Get a user's ban from every room
#[utoipa::path(
    get,
    path = "/v1/bans/{userIdx}",
    tag = "bans",
    params(UserPath),
    responses((status = 200, description = "The ban.", body = BanBody)),
)]
async fn get_ban_everywhere(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    user: UserPath,
    _body: NoBody,
) -> Result<Response, Refusal> {
    show(&ingest, moderator, user).await
}

async fn show(
    ingest: &Ingest,
    Moderator { room, .. }: Moderator,
    UserPath { user_idx }: UserPath,
) -> Result<Response, Refusal> {
    ingest.check_caught_up()?;
    let ban = ingest.replay.rules.standing(room, user_idx, now()).ok_or(Refusal::NotBanned)?;
    let ban = ban_body(ingest, room, ban).await?.ok_or(Refusal::NotBanned)?;
    Ok(JsonBody(ban).into_response())
}

/// List a room's bans
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/bans",
    tag = "bans",
    params(RoomPath, PageQuery),
    responses((status = 200, description = "The bans, ordered by user number.", body = BansBody)),
)]
async fn list_bans(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    query: Query<PageQuery>,
    _body: NoBody,
) -> Result<Response, Refusal> {
    list(&ingest, moderator, query).await
}

/// List the bans from every room
#[utoipa::path(
    get,
    path = "/v1/bans",
    tag = "bans",
    params(PageQuery),
    responses((status = 200, description = "The bans, ordered by user number.", body = BansBody)),
)]
async fn list_bans_everywhere(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    query: Query<PageQuery>,
    _body: NoBody,
) -> Result<Response, Refusal> {
    list(&ingest, moderator, query).await
}

async fn list(
    ingest: &Ingest,
    Moderator { sender, room }: Moderator,
    Query(query): Query<PageQuery>,
) -> Result<Response, Refusal> {
    ingest.check_caught_up()?;
    let standing = |after, first| ingest.replay.rules.bans(room, after, first, now());
    let read = |ban: ActiveBan| async move { (ban.user, ban_body(ingest, room, ban).await) };
    let Page { items: bans, next } = page(ingest, &sender, query, standing, read).await?;
    Ok(JsonBody(BansBody { bans, next }).into_response())
}

/// The ban with author and reason, which are not in the node's memory. None: the ban is no longer in force.
async fn ban_body(ingest: &Ingest, room: Option<PresenterIdx>, ban: ActiveBan) -> Result<Option<BanBody>, Refusal> {
    let ActiveBan { user, position } = ban;
    let decision = words(ingest, Subject::Ban(room, user), position).await?;
    let Some(Event { at, body: Body::UserBanned(UserBanned { until, by, reason, .. }), .. }) = decision else {
        return Ok(None);
    };
    Ok(Some(BanBody { user, at: format!("{at:.3}"), until: until.map(|until| format!("{until:.3}")), by, reason }))
}

impl Item for BanBody {
    fn words(&self) -> (&User, Option<&str>) {
        (&self.by, self.reason.as_deref())
    }
}
