//! Moderation over HTTP: delete a message, clear a room, ban and unban, and the room's settings. `docs/reference/moderation.md`
//! describes it for those who call it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chat::{Body, Event, EventId, Position, PresenterIdx, User, UserBanned, UserIdx, now};
use futures_util::{StreamExt as _, stream};
use nats::{AppendError, Subject};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::call::{AFTER, Call, FIRST, ReasonQuery, reason};
use super::{answer, with_quota};
use crate::Ingest;
use crate::http::body;
use crate::http::body::Shape;
use crate::http::openapi::parameters::{Key, MessagePath, RoomPath, UserPath};
use crate::http::openapi::schemas;
use crate::http::refusal::Refusal;
use crate::moderation::decide::{Decided, Decision, Order, Term};
use crate::moderation::rules::Standing;
use crate::moderation::settings::Settings;

/// Bans of one answer, where the query does not say.
const PAGE: usize = 100;

/// 1,000: an answer of some 200 KB, where reasons are short.
const LARGEST_PAGE: usize = 1_000;

/// 256 KB: a page ends with the ban that goes beyond it, whatever was asked for. A reason may have some 8 KB.
const LARGEST_ANSWER_BYTES: usize = 256 * 1024;

/// What a ban takes in an answer beside its reason and the name of who decided, with room to spare.
const BAN_BYTES: usize = 200;

/// So many bans of a page are read from the bucket at once.
const READ_AT_ONCE: usize = 32;

/// Lists that are read at once on a node, and of one user. 16 lists read at most 512 decisions of 8 KB at once: 4 MB. NATS
/// disconnects a client for which 64 MB wait (`max_pending`), and that connection is also the one that posts take.
pub(crate) const BAN_LISTS: usize = 16;
pub(crate) const BAN_LISTS_OF_USER: usize = 2;

pub(super) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new()
        .routes(routes!(delete_message))
        .routes(routes!(list_bans))
        .routes(routes!(get_ban, put_ban, delete_ban))
        .routes(routes!(get_settings, patch_settings))
}

/// The decision is in the log.
#[derive(Serialize, ToSchema)]
pub(super) struct DecidedBody {
    #[schema(value_type = schemas::EventId)]
    pub(super) id: EventId,
    #[schema(value_type = schemas::Position)]
    pub(super) position: Position,
}

/// A ban to be. Members that are not listed are ignored.
#[derive(Deserialize, ToSchema)]
#[schema(examples(json!({ "seconds": 600, "reason": "spam" })))]
pub(super) struct NewBan {
    /// Absent: for good.
    #[schema(value_type = Option<schemas::Seconds>)]
    seconds: Option<Value>,
    #[schema(value_type = Option<schemas::Text>)]
    reason: Option<String>,
}

impl Shape for NewBan {
    const PAGE: &'static str = "reference/moderation.md#ban-time-out-unban";
}

/// A ban that holds.
#[derive(Serialize, ToSchema)]
pub(super) struct BanBody {
    #[schema(value_type = schemas::UserIdx)]
    user: UserIdx,
    #[schema(value_type = schemas::Time)]
    at: String,
    /// Absent: for good.
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
pub(super) struct BansBody {
    bans: Vec<BanBody>,
    /// What `after` has to be for the next page; absent on the last. A page with long reasons may be short and have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[1-9][0-9]{0,18}$")]
    next: Option<String>,
}

/// A page of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// How many at most.
    #[param(minimum = 1, maximum = 1000, default = 100, nullable = false)]
    first: Option<usize>,
    /// What `next` was on the page before.
    #[param(inline, value_type = Option<schemas::UserIdx>, nullable = false)]
    after: Option<String>,
}

/// A change of settings; those that it does not name stay. Members that are not listed are ignored.
#[derive(Deserialize, ToSchema)]
#[schema(examples(json!({ "settings": { "slowModeSeconds": 10 }, "seconds": 600 })))]
struct SettingsPatch {
    #[schema(value_type = schemas::SettingsChange)]
    settings: Map<String, Value>,
    /// Absent: they do not end by themselves.
    #[schema(value_type = Option<schemas::Seconds>)]
    seconds: Option<Value>,
    #[schema(value_type = Option<schemas::Text>)]
    reason: Option<String>,
}

impl Shape for SettingsPatch {
    const PAGE: &'static str = "reference/moderation.md#settings";
}

/// A room's settings.
#[derive(Serialize, ToSchema)]
struct SettingsBody<'a> {
    /// What holds now.
    settings: &'a Settings,
    /// What of it the room has set itself.
    #[schema(value_type = schemas::OwnSettings)]
    own: Map<String, Value>,
    /// Of those that end by themselves, when.
    #[schema(value_type = schemas::Ends)]
    until: Map<String, Value>,
}

/// Delete a message
#[utoipa::path(
    delete,
    path = "/v1/rooms/{presenterIdx}/messages/{messageId}",
    tag = "messages",
    params(RoomPath, MessagePath, ReasonQuery, Key),
    responses((status = 202, description = "The deletion is in the log, whether or not there is such a message.", body = DecidedBody)),
)]
async fn delete_message(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let call = Call::without_body(&ingest, request).await?;
        let decision = Decision::Delete(call.place.message()?);
        decide(&ingest, call, decision).await
    })
    .await
}

/// Clear a room
///
/// Every message that stands in it is deleted.
#[utoipa::path(
    delete,
    path = "/v1/rooms/{presenterIdx}/messages",
    tag = "messages",
    params(RoomPath, ReasonQuery, Key),
    responses((status = 202, description = "The decision is in the log.", body = DecidedBody)),
)]
pub(super) async fn clear(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let call = Call::without_body(&ingest, request).await?;
        decide(&ingest, call, Decision::Clear).await
    })
    .await
}

/// Ban a user
///
/// It takes the place of the room's ban that there is.
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
pub(super) async fn put_ban(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let Call { sender, key, place, body, .. } = Call::with_body::<NewBan>(&ingest, request).await?;
        let decision = Decision::Ban(place.user()?, term(body.seconds)?);
        let reason = reason(body.reason.as_deref())?;
        decided(ingest.decide(Order { sender, presenter: place.room(), decision, reason, key }).await?)
    })
    .await
}

/// Lift a user's ban
#[utoipa::path(
    delete,
    path = "/v1/rooms/{presenterIdx}/bans/{userIdx}",
    tag = "bans",
    params(RoomPath, UserPath, ReasonQuery, Key),
    responses((status = 202, description = "It is in the log that the user is not banned.", body = DecidedBody)),
)]
pub(super) async fn delete_ban(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let call = Call::without_body(&ingest, request).await?;
        let decision = Decision::Unban(call.place.user()?);
        decide(&ingest, call, decision).await
    })
    .await
}

/// A user's ban
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/bans/{userIdx}",
    tag = "bans",
    params(RoomPath, UserPath),
    responses((status = 200, description = "The ban.", body = BanBody)),
)]
pub(super) async fn get_ban(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let call = Call::without_body(&ingest, request).await?;
        call.sender.may_moderate(call.place.room())?;
        ingest.check_knows_what_holds()?;
        let (room, user) = (call.place.room(), call.place.user()?);
        let ban = ingest.fold.rules.standing(room, user, now()).ok_or(Refusal::NotBanned)?;
        let ban = ban_body(&ingest, room, ban).await?.ok_or(Refusal::NotBanned)?;
        Ok(Json(ban).into_response())
    })
    .await
}

/// List the bans
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/bans",
    tag = "bans",
    params(RoomPath, PageQuery),
    responses((status = 200, description = "The bans, by the users' numbers.", body = BansBody)),
)]
pub(super) async fn list_bans(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let call = Call::without_body(&ingest, request).await?;
        call.sender.may_moderate(call.place.room())?;
        ingest.check_knows_what_holds()?;
        let PageQuery { first, after } = call.query()?;
        let first = first.unwrap_or(PAGE);
        if !(1..=LARGEST_PAGE).contains(&first) {
            return Err(Refusal::QueryInvalid(FIRST.to_owned()));
        }
        let after: Result<Option<UserIdx>, _> = after.map(|after| after.parse()).transpose();
        let after = after.map_err(|_| Refusal::QueryInvalid(AFTER.to_owned()))?;
        let _share = ingest.ban_lists.take(call.sender.idx.get()).ok_or(Refusal::Overloaded)?;
        let room = call.place.room();
        // One more than asked for tells whether there are more.
        let standing = ingest.fold.rules.bans(room, after, first + 1, now());
        let ingest = &*ingest;
        let reading = standing.clone().into_iter().take(first);
        let reading = reading.map(|ban| async move { (ban.user, ban_body(ingest, room, ban).await) });
        let mut reading = stream::iter(reading).buffered(READ_AT_ONCE);
        let (mut bans, mut bytes, mut last) = (Vec::new(), 0, None);
        while bytes < LARGEST_ANSWER_BYTES
            && let Some((user, ban)) = reading.next().await
        {
            last = Some(user);
            // One that ended meanwhile is left out.
            if let Some(ban) = ban? {
                bytes += ban.bytes();
                bans.push(ban);
            }
        }
        drop(reading);
        let is_last = standing.last().map(|ban| ban.user) == last;
        let next = last.filter(|_| !is_last).map(|user| user.to_string());
        Ok(Json(BansBody { bans, next }).into_response())
    })
    .await
}

/// A room's settings
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/settings",
    tag = "settings",
    params(RoomPath),
    responses((status = 200, description = "The settings.", body = SettingsBody)),
)]
async fn get_settings(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let call = Call::without_body(&ingest, request).await?;
        let presenter = call.place.presenter()?;
        call.sender.may_moderate(Some(presenter))?;
        ingest.check_knows_what_holds()?;
        let (own, until) = ingest.fold.rules.own(presenter, now()).to_event();
        let current = ingest.fold.rules.current(presenter, now());
        Ok(Json(SettingsBody { settings: &current.settings, own, until }).into_response())
    })
    .await
}

/// Change a room's settings
#[utoipa::path(
    patch,
    path = "/v1/rooms/{presenterIdx}/settings",
    tag = "settings",
    params(RoomPath, Key),
    request_body = SettingsPatch,
    responses((
        status = 202,
        description = "The change is in the log.",
        body = DecidedBody,
        links(("get" = (
            operation_id = "get_settings",
            parameters(("presenterIdx" = "$request.path.presenterIdx")),
        ))),
    )),
)]
async fn patch_settings(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let Call { sender, key, place, body, .. } = Call::with_body::<SettingsPatch>(&ingest, request).await?;
        let presenter = place.presenter()?;
        if body.settings.is_empty() {
            return Err(Refusal::SettingMissing);
        }
        let settings = body.settings.into_iter().map(|(name, value)| (name, body::whole(value))).collect();
        let decision = Decision::Set(presenter, settings, term(body.seconds)?);
        let reason = reason(body.reason.as_deref())?;
        decided(ingest.decide(Order { sender, presenter: Some(presenter), decision, reason, key }).await?)
    })
    .await
}

async fn decide(ingest: &Ingest, call: Call<'_, ()>, decision: Decision) -> Result<Response, Refusal> {
    let reason = call.reason()?;
    let Call { sender, key, place, .. } = call;
    decided(ingest.decide(Order { sender, presenter: place.room(), decision, reason, key }).await?)
}

fn decided(Decided { id, position, quota }: Decided) -> Result<Response, Refusal> {
    Ok(with_quota((StatusCode::ACCEPTED, Json(DecidedBody { id, position })).into_response(), quota))
}

fn term(seconds: Option<Value>) -> Result<Option<Term>, Refusal> {
    match seconds {
        None | Some(Value::Null) => Ok(None),
        Some(seconds) => {
            body::whole(seconds).as_u64().and_then(Term::of_seconds).ok_or(Refusal::SecondsInvalid).map(Some)
        }
    }
}

/// The ban in its own words, which the node does not have in mind; none: it does not hold any more.
async fn ban_body(ingest: &Ingest, room: Option<PresenterIdx>, ban: Standing) -> Result<Option<BanBody>, Refusal> {
    let Standing { user, position } = ban;
    let decision = ingest.fold.keeper.words(Subject::Ban(room, user), position).await.map_err(|error| {
        tracing::warn!(%error, "cannot read who decided a ban and why: {error}");
        Refusal::Append(AppendError::Unavailable)
    })?;
    let Some(Event { at, body: Body::UserBanned(UserBanned { until, by, reason, .. }), .. }) = decision else {
        return Ok(None);
    };
    Ok(Some(BanBody { user, at: format!("{at:.3}"), until: until.map(|until| format!("{until:.3}")), by, reason }))
}

impl BanBody {
    /// About how many bytes of an answer it takes.
    fn bytes(&self) -> usize {
        BAN_BYTES + self.by.nickname.len() + self.reason.as_ref().map_or(0, String::len)
    }
}
