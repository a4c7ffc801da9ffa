//! The surface of the system that this one replaces: its paths, its body, its Korean messages, its error body. Clients
//! of the original work with it unchanged; where the original lost messages or believed its callers, we do not.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chat::{PresenterIdx, Role};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Ingest;
use crate::http::body;
use crate::http::body::{Malformed, Shape};
use crate::http::openapi::parameters::Key;
use crate::http::openapi::schemas;
use crate::http::refusal::Refusal;
use crate::http::v1::{accepts_plain, with_quota};
use crate::posting::accept::{Accepted, Post, Sender};
use crate::posting::text::Text;

/// 202 and this: how a presenter of the original learns that it must reconnect. Its message is stored all the same.
const RECONNECT: &str = "세션이 존재하지 않습니다. 재연결을 해주세요.";

pub(crate) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(root)).routes(routes!(token)).routes(routes!(send_message))
}

/// A message. Members that are not listed are ignored.
// Members are values, so that each can be refused by its own message.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(examples(json!({ "presenterIdx": 42, "userType": "viewer", "textMessage": "안녕하세요" })))]
struct SendMessage {
    /// The room, by its presenter's number. Null or absent: the sender's own, if `userType` is `presenter`.
    #[serde(default)]
    #[schema(value_type = Option<schemas::PresenterIdx>)]
    presenter_idx: Value,
    /// What the sender calls itself. It is not believed.
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

/// An error, as the original says it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody<'a> {
    /// Local to the server's time zone.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$", example = "2026-01-02 12:34:56")]
    timestamp: String,
    status: u16,
    message: &'a str,
    path: &'a str,
}

/// That the server runs
#[utoipa::path(
    get,
    path = "/",
    tag = "original",
    security(()),
    responses((status = 200, description = "It does.", body = String, example = "Chatting Server is Running")),
)]
async fn root() -> &'static str {
    "Chatting Server is Running"
}

/// Whose token it is
#[utoipa::path(
    get,
    path = "/token",
    tag = "original",
    responses((status = 200, description = "The bare number of the token's user.", body = String, example = "7")),
)]
async fn token(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    match ingest.verifier.verify_headers(request.headers()).await {
        Ok(identity) => identity.user_idx.to_string().into_response(),
        Err(error) => refused(&ingest.time_zone, request.uri().path(), &error.into()),
    }
}

/// Post a message
///
/// Behind a gateway that ingest trusts, the headers `x-forward-userIdx`, `x-forward-email` and `x-forward-nickname` say
/// who sends.
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
            description = "The same, and the sender is the room's presenter and has no session: it should reconnect.",
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
    let path = parts.uri.path().to_owned();
    match send(&ingest, parts, body).await {
        Ok(accepted) => {
            let (headers, quota) = (headers(&accepted), accepted.quota);
            if accepted.role == Role::Presenter && !accepted.is_presenter_connected {
                let body = ErrorBody::now(&ingest.time_zone, &path, StatusCode::BAD_REQUEST, RECONNECT);
                return with_quota((StatusCode::ACCEPTED, headers, Json(body)).into_response(), quota);
            }
            with_quota(headers.into_response(), quota)
        }
        Err(refusal) => {
            refusal.log();
            refused(&ingest.time_zone, &path, &refusal)
        }
    }
}

async fn send(ingest: &Ingest, parts: Parts, body: Body) -> Result<Accepted, Refusal> {
    ingest.door.check()?;
    let head = match ingest.head(&parts).await {
        Ok(head) => head,
        Err(refusal) => {
            body::discard(&parts, body).await;
            return Err(refusal);
        }
    };
    let message: SendMessage = ingest.body(&head.sender, body::json(&parts, body, ingest.body_deadline)).await?;
    let _permit = ingest.permit()?;
    let presenter = presenter(&message, &head.sender)?;
    let text = match &message.text_message {
        Value::Null => return Err(Refusal::TextMissing("textMessage")),
        Value::String(text) => Text::parse(text)?,
        _ => return Err(Refusal::BodyMalformed(Malformed::member::<SendMessage>("textMessage"))),
    };
    ingest.accept(Post { sender: head.sender, presenter, text, key: head.key }).await
}

/// The room: the one that is named, or the own one of whoever calls itself a presenter. Being one is not believed.
fn presenter(message: &SendMessage, sender: &Sender) -> Result<PresenterIdx, Refusal> {
    let is_presenter = match message.user_type.as_str() {
        Some("presenter") => true,
        Some("viewer") => false,
        _ => return Err(Refusal::UserTypeInvalid),
    };
    match &message.presenter_idx {
        Value::Null if is_presenter => Ok(sender.idx.as_presenter()),
        Value::Null => Err(Refusal::PresenterIdxMissing),
        idx => {
            let idx = web::idx(idx).and_then(|idx| PresenterIdx::try_from(idx).ok());
            idx.ok_or(Refusal::PresenterIdxInvalid)
        }
    }
}

/// The original answers with an empty body; what `/v1` says in its body is said in headers.
fn headers(accepted: &Accepted) -> [(HeaderName, HeaderValue); 2] {
    let value =
        |text: String| HeaderValue::from_str(&text).expect("ids and positions are hexadecimal digits and hyphens");
    [
        (HeaderName::from_static("message-id"), value(accepted.id.to_string())),
        (HeaderName::from_static("message-position"), value(accepted.position.to_string())),
    ]
}

/// The error answer of this surface.
pub(crate) fn refused(time_zone: &TimeZone, path: &str, refusal: &Refusal) -> Response {
    let wire = refusal.wire();
    let body = ErrorBody::now(time_zone, path, wire.original_status, wire.original_message);
    let mut response = (wire.original_status, Json(body)).into_response();
    // The original has one sentence for a dozen reasons.
    response.headers_mut().insert("message-code", HeaderValue::from_static(wire.code));
    if let Some(delay) = refusal.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(delay.as_secs()));
    }
    if refusal.is_outage() {
        response.headers_mut().insert("message-outcome", HeaderValue::from_static(refusal.outcome()));
    }
    let response = if *refusal == Refusal::UnsupportedEncoding { accepts_plain(response) } else { response };
    with_quota(response, refusal.quota())
}

impl<'a> ErrorBody<'a> {
    fn now(time_zone: &TimeZone, path: &'a str, status: StatusCode, message: &'a str) -> ErrorBody<'a> {
        let timestamp = Timestamp::now().to_zoned(time_zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        ErrorBody { timestamp, status: status.as_u16(), message, path }
    }
}
