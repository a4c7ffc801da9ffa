//! The ids in a path: each struct reads one, refuses one that is invalid, and documents it.
//!
//! A handler cannot take `RoomPath` or `UserPath` by itself: only the permissions in `access` read them, so no handler
//! serves a room or a user without a check.

use std::str::FromStr;

use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use chat::{EventId, PresenterIdx, SessionId, UserIdx};
use utoipa::IntoParams;

use super::refusal::Refusal;
use super::schemas;

/// `{presenterIdx}`
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(super) struct RoomPath {
    /// The room, by its presenter's number.
    #[param(inline, value_type = schemas::PresenterIdx)]
    pub(super) presenter_idx: PresenterIdx,
}

/// `{userIdx}`
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(super) struct UserPath {
    /// The user's number.
    #[param(inline, value_type = schemas::UserIdx)]
    pub(super) user_idx: UserIdx,
}

/// `{messageId}`
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(super) struct MessagePath {
    /// The message's id.
    #[param(inline, value_type = schemas::EventId)]
    pub(super) message_id: EventId,
}

/// `{broadcastId}`
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(super) struct BroadcastPath {
    /// The broadcast's id, or the id of any of its sessions.
    #[param(inline, value_type = schemas::SessionId)]
    pub(super) broadcast_id: SessionId,
}

impl RoomPath {
    pub(super) async fn read(parts: &mut Parts) -> Result<RoomPath, Refusal> {
        Ok(RoomPath { presenter_idx: named(parts, "presenterIdx", Refusal::PresenterIdxInvalid).await? })
    }
}

impl UserPath {
    pub(super) async fn read(parts: &mut Parts) -> Result<UserPath, Refusal> {
        Ok(UserPath { user_idx: named(parts, "userIdx", Refusal::UserIdxInvalid).await? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MessagePath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<MessagePath, Refusal> {
        Ok(MessagePath { message_id: named(parts, "messageId", Refusal::MessageIdInvalid).await? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for BroadcastPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<BroadcastPath, Refusal> {
        Ok(BroadcastPath { broadcast_id: named(parts, "broadcastId", Refusal::BroadcastIdInvalid).await? })
    }
}

/// The path's parameters, as they came. A path that is not UTF-8 names nothing.
pub(super) async fn parameters(parts: &mut Parts) -> Result<RawPathParams, Refusal> {
    parts.extract().await.map_err(|_| Refusal::NotFound)
}

async fn named<T: FromStr>(parts: &mut Parts, name: &str, invalid: Refusal) -> Result<T, Refusal> {
    let parameters = parameters(parts).await?;
    let value = parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| value.parse());
    value.and_then(Result::ok).ok_or(invalid)
}
