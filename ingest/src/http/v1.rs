//! Our own surface, `/v1`: 202 with the message's id and position, errors as RFC 9457.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::ACCEPT_ENCODING;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chat::EventId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Ingest;
use crate::http::body::{Malformed, Shape};
use crate::http::openapi::parameters::{Key, RoomPath};
use crate::http::openapi::schemas;
use crate::http::refusal::Refusal;
use crate::posting::accept::{Accepted, Post};
use crate::posting::limits::Quota;
use crate::posting::text::Text;

mod call;
mod everywhere;
mod moderation;
mod requests;

pub(crate) use moderation::{BAN_LISTS, BAN_LISTS_OF_USER};

use call::Call;

pub(crate) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new()
        .routes(routes!(post_message, moderation::clear))
        .merge(moderation::routes())
        .merge(everywhere::routes())
        .merge(requests::routes())
}

/// A message. Members that are not listed are ignored.
#[derive(Deserialize, ToSchema)]
#[schema(examples(json!({ "text": "안녕하세요" })))]
struct NewMessage {
    #[serde(default)]
    #[schema(value_type = schemas::Text, required)]
    text: Value,
}

impl Shape for NewMessage {
    const PAGE: &'static str = "reference/ingest-api.md#post-v1roomspresenteridxmessages";
}

/// The message is in the log.
#[derive(Serialize, ToSchema)]
struct AcceptedBody {
    #[schema(value_type = schemas::EventId)]
    id: EventId,
    #[schema(value_type = schemas::Position)]
    position: chat::Position,
    /// `reconnecting`: the presenter has no session, has been asked to reconnect, and gets the message when it does.
    #[schema(value_type = schemas::PresenterState)]
    presenter: &'static str,
}

/// Post a message
///
/// Under an `Idempotency-Key`, posts of one user to one room are one message, through whichever node.
#[utoipa::path(
    post,
    path = "/v1/rooms/{presenterIdx}/messages",
    tag = "messages",
    params(RoomPath, Key),
    request_body = NewMessage,
    responses((
        status = 202,
        description = "The message is in the log, fsynced, and will reach the presenter and the archive.",
        body = AcceptedBody,
        headers(
            ("RateLimit" = inline(schemas::RateLimit)),
            ("RateLimit-Policy" = inline(schemas::RateLimitPolicy)),
        ),
        links(("delete" = (
            operation_id = "delete_message",
            parameters(
                ("presenterIdx" = "$request.path.presenterIdx"),
                ("messageId" = "$response.body#/id"),
            ),
        ))),
    )),
)]
async fn post_message(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let Call { sender, key, place, body, .. } = Call::with_body::<NewMessage>(&ingest, request).await?;
        let text = match &body.text {
            Value::Null => return Err(Refusal::TextMissing("text")),
            Value::String(text) => Text::parse(text)?,
            _ => return Err(Refusal::BodyMalformed(Malformed::member::<NewMessage>("text"))),
        };
        let Accepted { id, position, is_presenter_connected, quota, .. } =
            ingest.accept(Post { sender, presenter: place.presenter()?, text, key }).await?;
        let presenter = if is_presenter_connected { "connected" } else { "reconnecting" };
        let accepted = (StatusCode::ACCEPTED, Json(AcceptedBody { id, position, presenter }));
        Ok(with_quota(accepted.into_response(), quota))
    })
    .await
}

/// Says how much more may be written.
pub(crate) fn with_quota(mut response: Response, quota: Option<Quota>) -> Response {
    response.headers_mut().extend(quota.iter().flat_map(Quota::headers));
    response
}

/// Says in which encoding a body is taken, as RFC 7694 has it.
pub(crate) fn accepts_plain(mut response: Response) -> Response {
    response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    response
}

/// The answer, or the problem that it became.
async fn answer(work: impl Future<Output = Result<Response, Refusal>>) -> Response {
    work.await.unwrap_or_else(|refusal| {
        refusal.log();
        let problem = with_quota(refusal.problem().into_response(), refusal.quota());
        if refusal == Refusal::UnsupportedEncoding { accepts_plain(problem) } else { problem }
    })
}
