//! Moderation over HTTP: delete a message, clear a room, ban and unban, and the room's settings. `docs/moderation.md`
//! describes it for those who call it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use nats::{EventId, Position, User, UserIdx, now};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answer;
use super::call::{Call, reason};
use crate::Ingest;
use crate::decide::{Decided, Decision, Order, Term};
use crate::refusal::Refusal;
use crate::rules::Ban;
use crate::settings::Settings;

/// Bans of one answer, where the query does not say.
const PAGE: usize = 100;

/// 1,000: an answer of some 200 KB.
const LARGEST_PAGE: usize = 1_000;

pub(super) fn routes() -> Router<Arc<Ingest>> {
    let ban = || get(get_ban).put(put_ban).delete(delete_ban);
    Router::new()
        .route("/v1/rooms/{presenterIdx}/messages/{messageId}", delete(delete_message))
        .route("/v1/rooms/{presenterIdx}/bans", get(list_bans))
        .route("/v1/rooms/{presenterIdx}/bans/{userIdx}", ban())
        .route("/v1/rooms/{presenterIdx}/settings", get(get_settings).patch(patch_settings))
        .route("/v1/bans", get(list_bans))
        .route("/v1/bans/{userIdx}", ban())
}

/// 202: the decision is in the log.
#[derive(Serialize)]
struct DecidedBody {
    id: EventId,
    position: Position,
}

/// `PUT …/bans/{userIdx}`
#[derive(Deserialize)]
struct NewBan {
    /// Absent: for good.
    seconds: Option<Value>,
    reason: Option<String>,
}

#[derive(Serialize)]
struct BanBody {
    user: UserIdx,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    by: User,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct BansBody {
    bans: Vec<BanBody>,
    /// What `after` has to be for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct PageQuery {
    first: Option<usize>,
    after: Option<String>,
}

/// `PATCH …/settings`
#[derive(Deserialize)]
struct SettingsPatch {
    /// By name; null gives one back to the deployment.
    settings: Map<String, Value>,
    /// After so many seconds those that are named end by themselves. Absent: never.
    seconds: Option<Value>,
    reason: Option<String>,
}

#[derive(Serialize)]
struct SettingsBody<'a> {
    /// What holds now.
    settings: &'a Settings,
    /// What of it the room has set itself.
    own: Map<String, Value>,
    /// Of those that end by themselves, when.
    until: Map<String, Value>,
}

/// `DELETE /v1/rooms/{presenterIdx}/messages/{messageId}`
async fn delete_message(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let call = Call::without_body(&ingest, request).await?;
        let decision = Decision::Delete(call.place.message()?);
        decide(&ingest, call, decision).await
    })
    .await
}

/// `DELETE /v1/rooms/{presenterIdx}/messages`
pub(super) async fn clear(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let call = Call::without_body(&ingest, request).await?;
        decide(&ingest, call, Decision::Clear).await
    })
    .await
}

/// `PUT /v1/rooms/{presenterIdx}/bans/{userIdx}`, `PUT /v1/bans/{userIdx}`
async fn put_ban(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let Call { sender, key, place, body, .. } = Call::with_body::<NewBan>(&ingest, request).await?;
        let decision = Decision::Ban(place.user()?, term(body.seconds.as_ref())?);
        let reason = reason(body.reason.as_deref())?;
        decided(ingest.decide(Order { sender, presenter: place.room(), decision, reason, key }).await?)
    })
    .await
}

/// `DELETE /v1/rooms/{presenterIdx}/bans/{userIdx}`, `DELETE /v1/bans/{userIdx}`
async fn delete_ban(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let call = Call::without_body(&ingest, request).await?;
        let decision = Decision::Unban(call.place.user()?);
        decide(&ingest, call, decision).await
    })
    .await
}

/// `GET /v1/rooms/{presenterIdx}/bans/{userIdx}`, `GET /v1/bans/{userIdx}`
async fn get_ban(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let call = Call::without_body(&ingest, request).await?;
        call.sender.may_moderate(call.place.room())?;
        ingest.check_knows_what_holds()?;
        let ban = ingest.fold.rules.ban_of(call.place.room(), call.place.user()?, now()).ok_or(Refusal::NotBanned)?;
        Ok(Json(BanBody::from(ban)).into_response())
    })
    .await
}

/// `GET /v1/rooms/{presenterIdx}/bans`, `GET /v1/bans`
async fn list_bans(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let call = Call::without_body(&ingest, request).await?;
        call.sender.may_moderate(call.place.room())?;
        ingest.check_knows_what_holds()?;
        let PageQuery { first, after } = call.query()?;
        let first = first.unwrap_or(PAGE);
        if !(1..=LARGEST_PAGE).contains(&first) {
            return Err(Refusal::QueryInvalid);
        }
        let after: Option<UserIdx> = after.map(|after| after.parse()).transpose().map_err(|_| Refusal::QueryInvalid)?;
        // One more than asked for tells whether there are more.
        let mut bans = ingest.fold.rules.bans(call.place.room(), after, first + 1, now());
        let is_last = bans.len() <= first;
        bans.truncate(first);
        let next = bans.last().filter(|_| !is_last).map(|ban| ban.user.to_string());
        Ok(Json(BansBody { bans: bans.into_iter().map(BanBody::from).collect(), next }).into_response())
    })
    .await
}

/// `GET /v1/rooms/{presenterIdx}/settings`
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

/// `PATCH /v1/rooms/{presenterIdx}/settings`
async fn patch_settings(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let Call { sender, key, place, body, .. } = Call::with_body::<SettingsPatch>(&ingest, request).await?;
        let presenter = place.presenter()?;
        if body.settings.is_empty() {
            return Err(Refusal::SettingMissing);
        }
        let decision = Decision::Set(presenter, body.settings, term(body.seconds.as_ref())?);
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

fn decided(Decided { id, position }: Decided) -> Result<Response, Refusal> {
    Ok((StatusCode::ACCEPTED, Json(DecidedBody { id, position })).into_response())
}

fn term(seconds: Option<&Value>) -> Result<Option<Term>, Refusal> {
    match seconds {
        None | Some(Value::Null) => Ok(None),
        Some(seconds) => seconds.as_u64().and_then(Term::of_seconds).ok_or(Refusal::SecondsInvalid).map(Some),
    }
}

impl From<Ban> for BanBody {
    fn from(ban: Ban) -> BanBody {
        let Ban { user, at, until, by, reason } = ban;
        BanBody { user, at: format!("{at:.3}"), until: until.map(|until| format!("{until:.3}")), by, reason }
    }
}
