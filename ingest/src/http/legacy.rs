//! The surface of the original system: its paths, its body, its Korean messages, its error body. Clients of the
//! original work with it unchanged. Unlike the original, it loses no messages and does not trust its callers' claims.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chat::PresenterIdx;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::answer::answer;
use crate::http::body::Shape;
use crate::http::extract::{self, Key};
use crate::http::openapi::schemas;
use crate::http::post::{self, Message};
use crate::http::quota::with_quota;
use crate::http::refused::{self, ErrorBody};
use crate::http::trace;
use crate::posting::accept::Accepted;
use crate::refusal::Refusal;
use crate::sender::Sender;
use crate::state::Ingest;

const MESSAGE_ID: HeaderName = HeaderName::from_static("message-id");
const MESSAGE_POSITION: HeaderName = HeaderName::from_static("message-position");

/// The message of the 202 that tells a presenter to reconnect. The presenter's message is stored all the same.
const RECONNECT: &str = "세션이 존재하지 않습니다. 재연결을 해주세요.";

pub(crate) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(root)).routes(routes!(token)).routes(routes!(send_message))
}

/// A message. Unlisted members are ignored.
// Members are parsed as any value, so that each is refused with its own message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(examples(json!({ "presenterIdx": 42, "userType": "viewer", "textMessage": "안녕하세요" })))]
pub(super) struct SendMessage {
    /// The room: its presenter's number. Null or absent: the sender's own room, if `userType` is `presenter`.
    #[serde(default)]
    #[schema(value_type = Option<schemas::PresenterIdx>)]
    presenter_idx: Value,
    /// The role that the sender claims. The claim gives no rights.
    #[serde(default)]
    #[schema(value_type = schemas::UserType, required)]
    user_type: Value,
    #[serde(default)]
    #[schema(value_type = schemas::Text, required)]
    text_message: Value,
}

impl Shape for SendMessage {
    const PAGE: &'static str = "reference/ingest-api.md#post-sendmessage";
}

impl Message for SendMessage {
    const TEXT: &'static str = "textMessage";

    fn into_text(self) -> Value {
        self.text_message
    }

    /// The room that the body names, or the sender's own if the sender claims to be its presenter.
    fn room(&self, _path: Option<PresenterIdx>, sender: &Sender) -> Result<PresenterIdx, Refusal> {
        let is_presenter = match self.user_type.as_str() {
            Some("presenter") => true,
            Some("viewer") => false,
            _ => return Err(Refusal::UserTypeInvalid),
        };
        match &self.presenter_idx {
            Value::Null if is_presenter => Ok(sender.idx.as_presenter()),
            Value::Null => Err(Refusal::PresenterIdxMissing),
            idx => {
                let idx = web::idx(idx).and_then(|idx| PresenterIdx::try_from(idx).ok());
                idx.ok_or(Refusal::PresenterIdxInvalid)
            }
        }
    }
}

/// Check that the server runs
#[utoipa::path(
    get,
    path = "/",
    tag = "original",
    security(()),
    responses((status = 200, description = "The server runs.", body = String, example = "Chatting Server is Running")),
)]
async fn root() -> &'static str {
    "Chatting Server is Running"
}

/// Get the token's user
#[utoipa::path(
    get,
    path = "/token",
    tag = "original",
    responses((status = 200, description = "The user's number, as plain text.", body = String, example = "7")),
)]
async fn token(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    let (parts, _body) = request.into_parts();
    let owner = async {
        let owner = ingest.senders.owner(ingest.verifier.token_of(&parts.headers)?).await?.idx;
        ingest.replay.limits.read(owner).map_err(Refusal::TooManyReads)?;
        Ok(owner)
    };
    match owner.await {
        Ok(owner) => owner.to_string().into_response(),
        Err(refusal) => refused::original(&ingest.time_zone, parts.uri.path(), &refusal),
    }
}

/// Post a message
///
/// Behind a gateway that ingest trusts, the headers `x-forward-userIdx`, `x-forward-email` and `x-forward-nickname`
/// identify the sender.
#[utoipa::path(
    post,
    path = "/send/message",
    tag = "original",
    params(Key),
    request_body = SendMessage,
    responses(
        (
            status = 200,
            description = "The message is in the log, fsynced, and will reach the presenter and the archive. No body.",
            headers(
                ("message-id" = inline(schemas::EventId), description = "The message's id."),
                ("message-position" = inline(schemas::Position), description = "The message's position."),
                ("RateLimit" = inline(schemas::RateLimit)),
                ("RateLimit-Policy" = inline(schemas::RateLimitPolicy)),
            ),
        ),
        (
            status = 202,
            description = "As 200, but the sender is the room's presenter and has no session, and should reconnect.",
            body = ErrorBody,
            headers(
                ("message-id" = inline(schemas::EventId), description = "The message's id."),
                ("message-position" = inline(schemas::Position), description = "The message's position."),
                ("RateLimit" = inline(schemas::RateLimit)),
                ("RateLimit-Policy" = inline(schemas::RateLimitPolicy)),
            ),
        ),
    ),
)]
async fn send_message(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let peer = extract::peer(&parts);
    trace::answer(&ingest, &parts.headers, trace::ORIGINAL, post(&ingest, &parts, body, peer)).await
}

/// The answer to a post. It carries no warning: clients of the original have no place for one, and would not show it.
pub(super) async fn post(ingest: &Ingest, parts: &Parts, body: Body, peer: Option<SocketAddr>) -> Response {
    let path = parts.uri.path();
    match post::post::<SendMessage>(ingest, parts, body, peer, Ok(None)).await.outcome {
        Ok(accepted) => {
            let (headers, quota) = (headers(&accepted), accepted.quota);
            if accepted.is_by_presenter && !accepted.is_presenter_connected {
                let body = ErrorBody::now(&ingest.time_zone, path, StatusCode::BAD_REQUEST, RECONNECT);
                return with_quota((StatusCode::ACCEPTED, headers, Json(body)).into_response(), quota);
            }
            let mut response = answer(StatusCode::OK, Body::empty());
            response.headers_mut().extend(headers);
            with_quota(response, quota)
        }
        Err(refusal) => refused::original(&ingest.time_zone, path, &refusal),
    }
}

/// The id and position as headers, because the original's success response has no body.
fn headers(accepted: &Accepted) -> [(HeaderName, HeaderValue); 2] {
    let value = |text: String| {
        HeaderValue::from_maybe_shared(Bytes::from(text)).expect("ids and positions are hexadecimal digits and hyphens")
    };
    [(MESSAGE_ID, value(accepted.id.to_string())), (MESSAGE_POSITION, value(accepted.position.to_string()))]
}
