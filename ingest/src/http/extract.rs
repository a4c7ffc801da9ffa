//! What handlers of `/v1` take. Each extractor reads one part of a request, refuses what is wrong with it, and documents
//! itself. Whichever comes first reads the head in one fixed order: the sender, the key, the path. The body is read last,
//! by [`Json`] or [`NoBody`], which hold the leave to work on the request.
//!
//! A handler that moderates takes a [`Moderator`], which no request without the permission gives it.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use chat::{EventId, PresenterIdx, UserIdx};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;
use web::places::Source;

use crate::Ingest;
use crate::http::body::{self, Shape};
use crate::http::openapi::schemas;
use crate::posting::text::Text;
use crate::refusal::Refusal;
use crate::sender::{IdempotencyKey, Sender};

/// What the head of a request says.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) sender: Sender,
    pub(crate) key: Option<IdempotencyKey>,
}

/// `{presenterIdx}`
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(crate) struct RoomPath {
    /// The room, by its presenter's number.
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

/// `Idempotency-Key`
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct Key {
    /// The client's name for this request. A retry under the same name has no second effect and gets the same id.
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
    /// The key of the request in question.
    #[param(rename = "Idempotency-Key", value_type = String, min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    pub(crate) idempotency_key: IdempotencyKey,
}

/// The query of a `DELETE`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReasonQuery {
    /// Why, for those who read the log.
    #[param(inline, value_type = Option<schemas::Text>, nullable = false)]
    reason: Option<String>,
}

/// Whoever has a valid token.
#[derive(Debug)]
pub(crate) struct Caller(pub(crate) Sender);

/// Whoever may moderate the room of the path, or every room if the path names none.
#[derive(Debug)]
pub(crate) struct Moderator {
    pub(crate) sender: Sender,
    /// None: every room.
    pub(crate) room: Option<PresenterIdx>,
}

/// The query.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

/// The body, a JSON object of that shape.
#[derive(Debug)]
pub(crate) struct Json<T> {
    pub(crate) body: T,
    _permit: OwnedSemaphorePermit,
}

/// A body, if any, that nobody needs.
#[derive(Debug)]
pub(crate) struct NoBody {
    _permit: OwnedSemaphorePermit,
}

/// The parameters that paths of `/v1` have.
#[derive(Debug, Clone, Copy, Default)]
struct Path {
    room: Option<PresenterIdx>,
    user: Option<UserIdx>,
    message: Option<EventId>,
}

/// Head and path, once they are read.
#[derive(Debug, Clone)]
struct Begun {
    head: Head,
    path: Path,
}

impl Ingest {
    /// The sender and the key. The gateway's word counts before the token, where it counts at all: the gateway has
    /// verified the token.
    pub(crate) async fn head(&self, parts: &Parts) -> Result<Head, Refusal> {
        Ok(Head { sender: self.sender(parts).await?, key: key(parts)? })
    }

    /// Waits for a body. If too many bodies are unfinished, the user with the most of them loses the oldest.
    pub(crate) async fn body<T>(
        &self,
        sender: &Sender,
        reading: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let place = self.unfinished.enter(Source::User(sender.idx.get())).ok_or(Refusal::Overloaded)?;
        // What was read of a body is of no use without the rest.
        tokio::select! {
            body = reading => body,
            () = place.lost() => Err(Refusal::Overloaded),
        }
    }

    /// Leave to work on a request, held until the answer.
    pub(crate) fn permit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.in_flight.clone().try_acquire_owned().map_err(|_| Refusal::Overloaded)
    }

    async fn sender(&self, parts: &Parts) -> Result<Sender, Refusal> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        if let Some(ConnectInfo(peer)) = peer
            && let Some(identity) = self.gateway.identity(parts, peer.ip())?
        {
            return Ok(Sender::new(&identity));
        }
        Ok(Sender::new(&self.verifier.verify_headers(&parts.headers).await?))
    }
}

fn key(parts: &Parts) -> Result<Option<IdempotencyKey>, Refusal> {
    let mut values = parts.headers.get_all("idempotency-key").iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let key = value.to_str().ok().and_then(IdempotencyKey::parse);
            key.map(Some).ok_or(Refusal::IdempotencyKeyInvalid)
        }
        (Some(_), Some(_)) => Err(Refusal::IdempotencyKeyInvalid),
    }
}

/// Reads head and path, the first time that an extractor asks.
async fn begun(parts: &mut Parts, ingest: &Ingest) -> Result<Begun, Refusal> {
    if let Some(begun) = parts.extensions.get::<Begun>() {
        return Ok(begun.clone());
    }
    let head = ingest.head(parts).await?;
    let path = path(parts).await?;
    let begun = Begun { head, path };
    parts.extensions.insert(begun.clone());
    Ok(begun)
}

/// The room that the path of a post names.
pub(crate) fn room(params: Result<&RawPathParams, Refusal>) -> Result<Option<PresenterIdx>, Refusal> {
    let room = params?.iter().find(|(name, _)| *name == "presenterIdx");
    room.map(|(_, room)| room.parse().map_err(|_| Refusal::PresenterIdxInvalid)).transpose()
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
            _ => {}
        }
    }
    Ok(path)
}

macro_rules! from_parts {
    ($extractor:ident, |$begun:ident| $extracted:expr) => {
        impl FromRequestParts<Arc<Ingest>> for $extractor {
            type Rejection = Refusal;

            async fn from_request_parts(parts: &mut Parts, ingest: &Arc<Ingest>) -> Result<Self, Refusal> {
                let $begun = begun(parts, ingest).await?;
                $extracted
            }
        }
    };
}

from_parts!(Caller, |begun| Ok(Caller(begun.head.sender)));

from_parts!(Moderator, |begun| {
    let Begun { head: Head { sender, .. }, path: Path { room, .. } } = begun;
    sender.moderates(room).ok_or(Refusal::Forbidden)?;
    Ok(Moderator { sender, room })
});

from_parts!(Key, |begun| Ok(Key { idempotency_key: begun.head.key }));

from_parts!(RequestKey, |begun| {
    Ok(RequestKey { idempotency_key: begun.head.key.ok_or(Refusal::IdempotencyKeyMissing)? })
});

from_parts!(RoomPath, |begun| Ok(RoomPath { presenter_idx: begun.path.room.ok_or(Refusal::PresenterIdxInvalid)? }));

from_parts!(UserPath, |begun| Ok(UserPath { user_idx: begun.path.user.ok_or(Refusal::UserIdxInvalid)? }));

from_parts!(MessagePath, |begun| {
    Ok(MessagePath { message_id: begun.path.message.ok_or(Refusal::MessageIdInvalid)? })
});

impl<T: DeserializeOwned> FromRequestParts<Arc<Ingest>> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, ingest: &Arc<Ingest>) -> Result<Self, Refusal> {
        begun(parts, ingest).await?;
        let query = axum::extract::Query::try_from_uri(&parts.uri).map(|axum::extract::Query(query)| Query(query));
        query.map_err(|rejection| Refusal::QueryInvalid(wrong_parameter(&rejection.body_text())))
    }
}

impl<T: Shape> FromRequest<Arc<Ingest>> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, ingest: &Arc<Ingest>) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let Begun { head, .. } = begun(&mut parts, ingest).await?;
        let body = ingest.body(&head.sender, body::json(&parts, body, ingest.body_deadline)).await?;
        Ok(Json { body, _permit: ingest.permit()? })
    }
}

impl FromRequest<Arc<Ingest>> for NoBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, ingest: &Arc<Ingest>) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let Begun { head, .. } = begun(&mut parts, ingest).await?;
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

/// What the query's parser says of a parameter, in our words.
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

/// What the parameters of a list must be.
pub(crate) const FIRST: &str = "The parameter \"first\" must be an integer from 1 to 1000.";
pub(crate) const AFTER: &str = "The parameter \"after\" must be the value of \"next\" on the page before.";
