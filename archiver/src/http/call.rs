//! A request, read as far as all of them are alike: who asks, what the path names, and that there is room for it.

use std::str::FromStr;
use std::time::SystemTime;

use axum::RequestExt;
use axum::extract::{Query, RawPathParams, Request};
use axum::http::request::Parts;
use chat::{EventId, PresenterIdx, SessionId, UserIdx};
use serde::de::DeserializeOwned;
use web::auth::{Identity, Pass};

use super::Reader;
use super::access::{self, Sight};
use super::refusal::Refusal;

/// A request that may go on.
pub(super) struct Call {
    pub(super) identity: Identity,
    /// When the token ends. What goes on for longer than a request ends then.
    pub(super) until: SystemTime,
    pub(super) parts: Parts,
    path: Vec<(String, String)>,
    /// Held to the answer.
    _permit: web::UserPermit,
}

impl Call {
    pub(super) async fn begin(reader: &Reader, mut request: Request) -> Result<Call, Refusal> {
        let params = request.extract_parts::<RawPathParams>().await.map_err(|_| Refusal::NotFound)?;
        let path = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let (parts, _) = request.into_parts();
        let Pass { identity, until } = reader.verifier.pass_of(&parts.headers).await?;
        let _permit = reader.in_flight.take(identity.user_idx).ok_or(Refusal::Overloaded)?;
        Ok(Call { identity, until, parts, path, _permit })
    }

    /// The room that the path names.
    pub(super) fn room(&self) -> Result<PresenterIdx, Refusal> {
        self.named("presenterIdx", Refusal::PresenterIdxInvalid)
    }

    /// The user that the path names.
    pub(super) fn user(&self) -> Result<UserIdx, Refusal> {
        self.named("userIdx", Refusal::UserIdxInvalid)
    }

    /// The message that the path names.
    pub(super) fn message(&self) -> Result<EventId, Refusal> {
        self.named("messageId", Refusal::MessageIdInvalid)
    }

    /// The broadcast that the path names, by one of its sessions.
    pub(super) fn broadcast(&self) -> Result<SessionId, Refusal> {
        self.named("broadcastId", Refusal::BroadcastIdInvalid)
    }

    /// The room, and how much of it whoever asks may see.
    pub(super) fn readable_room(&self) -> Result<(PresenterIdx, Sight), Refusal> {
        let room = self.room()?;
        Ok((room, access::of_room(&self.identity, room)?))
    }

    /// What the query asks.
    pub(super) fn query<Q: DeserializeOwned>(&self) -> Result<Q, Refusal> {
        let query = Query::try_from_uri(&self.parts.uri).map(|Query(query)| query);
        query.map_err(|rejection| {
            let text = rejection.body_text();
            let what = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            Refusal::QueryInvalid(format!("the query is not as documented: {what}"))
        })
    }

    fn named<T: FromStr>(&self, name: &str, invalid: Refusal) -> Result<T, Refusal> {
        let value = self.path.iter().find(|(known, _)| known == name).map(|(_, value)| value.parse());
        value.and_then(Result::ok).ok_or(invalid)
    }
}
