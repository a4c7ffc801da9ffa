//! The extractors of `/v1`. Each reads one part of a request, refuses an invalid one, and documents itself. The first
//! extractor of a handler reads the whole head in a fixed order: sender, key, path. It also charges reads. The body
//! comes last: [`Json`] or [`NoBody`] read it, and hold the permit to work on the request.
//!
//! A handler that moderates takes a [`Moderator`], which it cannot get from a request without permission.

use std::net::SocketAddr;
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::Poll;

use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::HeaderName;
use axum::http::request::Parts;
use chat::{EventId, PresenterIdx, UserIdx};
use futures_util::poll;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;
use web::fair_slots::Source;

use crate::http::body::{self, Shape};
use crate::http::openapi::schemas;
use crate::posting::text::Text;
use crate::refusal::Refusal;
use crate::sender::{IdempotencyKey, Sender};
use crate::state::Ingest;

/// The sender and the idempotency key of a request.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) sender: Arc<Sender>,
    pub(crate) key: Option<IdempotencyKey>,
}

/// `{presenterIdx}`
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(crate) struct RoomPath {
    /// The room: its presenter's number.
    #[param(inline, value_type = schemas::PresenterIdx)]
    pub(crate) presenter_idx: PresenterIdx,
}

/// `{userIdx}`
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(crate) struct UserPath {
    /// The user's number.
    #[param(inline, value_type = schemas::UserIdx)]
    pub(crate) user_idx: UserIdx,
}

/// `{messageId}`
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(crate) struct MessagePath {
    /// The message's id.
    #[param(inline, value_type = schemas::EventId)]
    pub(crate) message_id: EventId,
}

/// `{sweepId}`
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(crate) struct SweepPath {
    /// The sweep's id.
    #[param(inline, value_type = schemas::EventId)]
    pub(crate) sweep_id: EventId,
}

/// `{noteId}`
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(crate) struct NotePath {
    /// The note's id.
    #[param(inline, value_type = schemas::EventId)]
    pub(crate) note_id: EventId,
}

/// An optional `Idempotency-Key`
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct Key {
    /// The client's key for this request. A retry under the same key has no second effect and gets the same id.
    #[param(
        rename = "Idempotency-Key",
        value_type = Option<String>,
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]+$",
        nullable = false
    )]
    pub(crate) idempotency_key: Option<IdempotencyKey>,
}

/// `Idempotency-Key` of the request to look up
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct RequestKey {
    /// The key of the request to look up.
    #[param(rename = "Idempotency-Key", value_type = String, min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    pub(crate) idempotency_key: IdempotencyKey,
}

/// The query of a `DELETE`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReasonQuery {
    /// The reason, recorded in the log.
    #[param(inline, value_type = Option<schemas::Text>, nullable = false)]
    reason: Option<String>,
}

/// An authenticated user.
#[derive(Debug)]
pub(crate) struct Caller(pub(crate) Arc<Sender>);

/// A user that may moderate the room of the path, or every room if the path names none.
#[derive(Debug)]
pub(crate) struct Moderator {
    pub(crate) sender: Arc<Sender>,
    /// None: every room.
    pub(crate) room: Option<PresenterIdx>,
}

/// A user that may appoint and remove moderators of the room of the path: its moderators may not.
#[derive(Debug)]
pub(crate) struct Appointer(pub(crate) Moderator);

/// The query.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

/// A body: a JSON object of that shape.
#[derive(Debug)]
pub(crate) struct Json<T> {
    pub(crate) body: T,
    _permit: OwnedSemaphorePermit,
}

/// A body that the endpoint ignores, if there is one.
#[derive(Debug)]
pub(crate) struct NoBody {
    _permit: OwnedSemaphorePermit,
}

/// The path parameters of `/v1`.
#[derive(Debug, Clone, Copy, Default)]
struct Path {
    room: Option<PresenterIdx>,
    user: Option<UserIdx>,
    message: Option<EventId>,
    sweep: Option<EventId>,
    note: Option<EventId>,
}

/// Head and path, read once per request.
#[derive(Debug, Clone)]
struct HeadAndPath {
    head: Head,
    path: Path,
}

impl Ingest {
    /// Authenticates the sender and reads the key. From a trusted gateway, its headers take precedence over the token,
    /// because the gateway has verified the token. `peer` is the address of the TCP peer.
    pub(crate) async fn head(&self, parts: &Parts, peer: Option<SocketAddr>) -> Result<Head, Refusal> {
        Ok(Head { sender: self.sender(parts, peer).await?, key: key(parts)? })
    }

    /// Waits for a body. If too many bodies are unfinished, the user with the most of them loses the oldest one.
    pub(crate) async fn body<T>(
        &self,
        sender: &Sender,
        reading: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let mut reading = pin!(reading);
        // Usually the body came with the head, and nothing waits for it.
        if let Poll::Ready(body) = poll!(reading.as_mut()) {
            return body;
        }
        Box::pin(self.late_body(sender, reading)).await
    }

    async fn late_body<T>(
        &self,
        sender: &Sender,
        reading: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let slot = self.unfinished.acquire(Source::User(sender.idx.get())).ok_or(Refusal::Overloaded)?;
        // Dropping `reading` loses part of a body, which is of no use without the rest.
        tokio::select! {
            body = reading => body,
            () = slot.evicted() => Err(Refusal::Overloaded),
        }
    }

    /// A permit to work on a request, to be held until the response.
    pub(crate) fn permit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.in_flight.clone().try_acquire_owned().map_err(|_| Refusal::Overloaded)
    }

    async fn sender(&self, parts: &Parts, peer: Option<SocketAddr>) -> Result<Arc<Sender>, Refusal> {
        if let Some(peer) = peer
            && let Some(identity) = self.gateway.identity(parts, peer.ip())?
        {
            return Ok(Arc::new(Sender::new(&identity)));
        }
        Ok(self.senders.owner(self.verifier.token_of(&parts.headers)?).await?)
    }
}

/// The address of the TCP peer.
pub(crate) fn peer(parts: &Parts) -> Option<SocketAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer)
}

pub(super) fn key(parts: &Parts) -> Result<Option<IdempotencyKey>, Refusal> {
    /// A constant, so that its name is not checked for each request.
    const KEY: HeaderName = HeaderName::from_static("idempotency-key");
    let mut values = parts.headers.get_all(KEY).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let key = value.to_str().ok().and_then(IdempotencyKey::parse);
            key.map(Some).ok_or(Refusal::IdempotencyKeyInvalid)
        }
        (Some(_), Some(_)) => Err(Refusal::IdempotencyKeyInvalid),
    }
}

/// Reads head and path when the first extractor asks.
async fn head_and_path(parts: &mut Parts, ingest: &Ingest) -> Result<HeadAndPath, Refusal> {
    if let Some(head_and_path) = parts.extensions.get::<HeadAndPath>() {
        return Ok(head_and_path.clone());
    }
    let head = ingest.head(parts, peer(parts)).await?;
    let path = path(parts).await?;
    if parts.method.is_safe() {
        ingest.replay.limits.read(head.sender.idx).map_err(Refusal::TooManyReads)?;
    }
    let head_and_path = HeadAndPath { head, path };
    parts.extensions.insert(head_and_path.clone());
    Ok(head_and_path)
}

/// The room in the path of a post.
pub(crate) async fn room(parts: &mut Parts) -> Result<Option<PresenterIdx>, Refusal> {
    path(parts).await.map(|path| path.room)
}

async fn path(parts: &mut Parts) -> Result<Path, Refusal> {
    fn parse<T: FromStr>(value: &str, refusal: Refusal) -> Result<Option<T>, Refusal> {
        value.parse().map(Some).map_err(|_| refusal)
    }
    let params = RawPathParams::from_request_parts(parts, &()).await.map_err(|_| Refusal::NotFound)?;
    let mut path = Path::default();
    for (name, value) in &params {
        match name {
            "presenterIdx" => path.room = parse(value, Refusal::PresenterIdxInvalid)?,
            "userIdx" => path.user = parse(value, Refusal::UserIdxInvalid)?,
            "messageId" => path.message = parse(value, Refusal::MessageIdInvalid)?,
            "sweepId" => path.sweep = parse(value, Refusal::SweepIdInvalid)?,
            "noteId" => path.note = parse(value, Refusal::NoteIdInvalid)?,
            _ => {}
        }
    }
    Ok(path)
}

macro_rules! from_parts {
    ($extractor:ident, |$head_and_path:ident $(, $ingest:ident)?| $extracted:expr) => {
        impl FromRequestParts<Arc<Ingest>> for $extractor {
            type Rejection = Refusal;

            async fn from_request_parts(parts: &mut Parts, ingest: &Arc<Ingest>) -> Result<Self, Refusal> {
                let $head_and_path = head_and_path(parts, ingest).await?;
                $(let $ingest = ingest;)?
                $extracted
            }
        }
    };
}

from_parts!(Caller, |head_and_path| Ok(Caller(head_and_path.head.sender)));

from_parts!(Moderator, |head_and_path, ingest| {
    let HeadAndPath { head: Head { sender, .. }, path: Path { room, .. } } = head_and_path;
    ingest.right(&sender, room)?;
    Ok(Moderator { sender, room })
});

from_parts!(Appointer, |head_and_path, ingest| {
    let HeadAndPath { head: Head { sender, .. }, path: Path { room, .. } } = head_and_path;
    match ingest.right(&sender, room) {
        Ok(right) if right.is_over_moderators() => Ok(Appointer(Moderator { sender, room })),
        Ok(_) | Err(Refusal::Forbidden) => Err(Refusal::NotOverModerators),
        Err(refusal) => Err(refusal),
    }
});

from_parts!(Key, |head_and_path| Ok(Key { idempotency_key: head_and_path.head.key }));

from_parts!(RequestKey, |head_and_path| {
    Ok(RequestKey { idempotency_key: head_and_path.head.key.ok_or(Refusal::IdempotencyKeyMissing)? })
});

from_parts!(RoomPath, |head_and_path| Ok(RoomPath {
    presenter_idx: head_and_path.path.room.ok_or(Refusal::PresenterIdxInvalid)?
}));

from_parts!(UserPath, |head_and_path| Ok(UserPath {
    user_idx: head_and_path.path.user.ok_or(Refusal::UserIdxInvalid)?
}));

from_parts!(MessagePath, |head_and_path| {
    Ok(MessagePath { message_id: head_and_path.path.message.ok_or(Refusal::MessageIdInvalid)? })
});

from_parts!(SweepPath, |head_and_path| {
    Ok(SweepPath { sweep_id: head_and_path.path.sweep.ok_or(Refusal::SweepIdInvalid)? })
});

from_parts!(NotePath, |head_and_path| Ok(NotePath { note_id: head_and_path.path.note.ok_or(Refusal::NoteIdInvalid)? }));

impl<T: DeserializeOwned> FromRequestParts<Arc<Ingest>> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, ingest: &Arc<Ingest>) -> Result<Self, Refusal> {
        head_and_path(parts, ingest).await?;
        let query = axum::extract::Query::try_from_uri(&parts.uri).map(|axum::extract::Query(query)| Query(query));
        query.map_err(|rejection| Refusal::QueryInvalid(wrong_parameter(&rejection.body_text())))
    }
}

impl<T: Shape> FromRequest<Arc<Ingest>> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, ingest: &Arc<Ingest>) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let HeadAndPath { head, .. } = head_and_path(&mut parts, ingest).await?;
        let body = ingest.body(&head.sender, body::json(&parts, body, ingest.body_deadline)).await?;
        Ok(Json { body, _permit: ingest.permit()? })
    }
}

impl FromRequest<Arc<Ingest>> for NoBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, ingest: &Arc<Ingest>) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let HeadAndPath { head, .. } = head_and_path(&mut parts, ingest).await?;
        let discarded = async {
            body::discard(&parts, body).await;
            Ok(())
        };
        ingest.body(&head.sender, discarded).await?;
        Ok(NoBody { _permit: ingest.permit()? })
    }
}

impl ReasonQuery {
    pub(crate) fn reason(&self) -> Result<Option<Text>, Refusal> {
        reason(self.reason.as_deref())
    }
}

/// A moderator's reason, if there is one.
pub(crate) fn reason(reason: Option<&str>) -> Result<Option<Text>, Refusal> {
    reason.map(|reason| Text::parse(reason).map_err(|_| Refusal::ReasonInvalid)).transpose()
}

/// Turns the query parser's error into a sentence for people.
fn wrong_parameter(error: &str) -> String {
    let error = error.strip_prefix("Failed to deserialize query string: ").unwrap_or(error);
    if let Some(name) = error.split("duplicate field `").nth(1).and_then(|rest| rest.split('`').next()) {
        return format!("The parameter {name:?} appears twice.");
    }
    match error.split_once(':') {
        Some(("first", _)) => FIRST.to_owned(),
        Some(("after", _)) => AFTER.to_owned(),
        _ => format!("The query is malformed: {error}."),
    }
}

/// The sentences for invalid parameters of a list.
pub(crate) const FIRST: &str = "The parameter \"first\" must be an integer from 1 to 1000.";
pub(crate) const AFTER: &str = "The parameter \"after\" must be the value of \"next\" from the previous page.";
