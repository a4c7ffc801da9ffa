//! Permissions, as extractors: a handler that takes one has checked it.
//!
//! The room's presenter, its moderators and the scope `chat:moderate` see everything in a room. The scope `chat:read`
//! sees everything that was not deleted. Users may read their own messages. The scope `chat:erase` may erase any user.
//!
//! Each extractor checks in this order: the path is UTF-8, the token, a permit for one more request, the id in the
//! path, the permission.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chat::{PresenterIdx, UserIdx};
use tokio::time::timeout;
use web::auth::{Identity, Pass};

use super::path::{self, RoomPath, UserPath};
use super::refusal::Refusal;
use super::role::RoomRole;
use super::state::AppState;
use super::stream::StreamPermit;
use super::turns::Turn;

const READ: &str = "chat:read";
const MODERATE: &str = "chat:moderate";
const ERASE: &str = "chat:erase";

/// 500 ms: the wait for the role of a caller who may read without one, such as a service while the log is away.
const ROLE_WITHIN: Duration = Duration::from_millis(500);

/// How much a caller sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// Messages that were not deleted.
    Shown,
    /// Deleted messages too, and who deleted them.
    Everything,
}

/// A caller with a valid token and a permit for one request. It is no extractor: handlers get it with a permission.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) identity: Identity,
    /// When the token expires. A stream ends at that moment.
    until: SystemTime,
    /// The role in a room by which the caller may read it. A stream ends with it.
    role: Option<RoomRole>,
    /// Held until the handler answers.
    _permit: web::UserPermit,
}

/// May read the room.
#[derive(Debug)]
pub(super) struct RoomReader {
    pub(super) caller: Caller,
    pub(super) room: PresenterIdx,
    pub(super) sight: Sight,
}

/// May trace messages of the room: all of them, or their own.
#[derive(Debug)]
pub(super) struct MessageTracer {
    caller: Caller,
    pub(super) room: PresenterIdx,
    right: TraceRight,
}

/// Which messages a caller may trace, and how much of them is shown.
#[derive(Debug)]
enum TraceRight {
    All(Sight),
    /// Their own. Other messages are refused so.
    Own(Refusal),
}

/// May read the user's messages, in every room.
#[derive(Debug)]
pub(super) struct UserReader {
    pub(super) caller: Caller,
    pub(super) user: UserIdx,
    pub(super) sight: Sight,
}

/// May read the room's moderation log.
#[derive(Debug)]
pub(super) struct RoomModerator {
    _caller: Caller,
    pub(super) room: PresenterIdx,
}

/// May read the moderation log of every room.
#[derive(Debug)]
pub(super) struct Moderator {
    _caller: Caller,
}

/// May erase users, and names the one that the request is about.
#[derive(Debug)]
pub(super) struct EraserScope {
    pub(super) caller: Caller,
    pub(super) user: UserIdx,
}

impl Caller {
    async fn of(parts: &mut Parts, app: &AppState) -> Result<Caller, Refusal> {
        path::parameters(parts).await?;
        let Pass { identity, until } = app.verifier.pass_of(&parts.headers).await?;
        let _permit = app.in_flight.take(identity.user_idx).ok_or(Refusal::Overloaded)?;
        Ok(Caller { identity, until, role: None, _permit })
    }

    /// A permit for a stream, which lasts longer than the request.
    pub(super) fn stream_permit(&self, app: &AppState) -> Result<StreamPermit, Refusal> {
        app.streams.permit(self.identity.user_idx, self.until, self.role.clone())
    }

    /// Waits for the caller's turn at work that takes long.
    pub(super) async fn turn(&self, app: &AppState) -> Turn {
        app.turns.take(self.identity.user_idx).await
    }

    /// Whether the caller is the room's presenter or one of its moderators, or moderates every room.
    async fn moderates(&mut self, app: &AppState, room: PresenterIdx) -> Result<bool, nats::Error> {
        if self.is(room.get()) || self.has(MODERATE) {
            return Ok(true);
        }
        let Ok(user) = UserIdx::try_from(self.identity.user_idx) else { return Ok(false) };
        let role = RoomRole { decisions: app.log.decisions(), room, user };
        let holds = role.holds().await?;
        self.role = holds.then_some(role);
        Ok(holds)
    }

    fn is(&self, idx: i64) -> bool {
        self.identity.user_idx == idx
    }

    fn has(&self, scope: &str) -> bool {
        self.identity.has_scope(scope)
    }
}

impl FromRequestParts<Arc<AppState>> for RoomReader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<RoomReader, Refusal> {
        let mut caller = Caller::of(parts, app).await?;
        let room = RoomPath::read(parts).await?.presenter_idx;
        let is_service = caller.has(READ);
        let role = caller.moderates(app, room);
        let moderates = match is_service {
            true => timeout(ROLE_WITHIN, role).await.unwrap_or(Ok(false)),
            false => role.await,
        };
        let sight = match moderates {
            Ok(true) => Sight::Everything,
            // A service must not depend on the log's decisions.
            _ if is_service => Sight::Shown,
            Ok(false) => {
                return Err(Refusal::Forbidden(
                    "the token of the room's presenter or of one of its moderators, or a token with the scope chat:read \
                     or chat:moderate",
                ));
            }
            Err(error) => return Err(error.into()),
        };
        Ok(RoomReader { caller, room, sight })
    }
}

impl MessageTracer {
    /// How much the caller sees of a message by that author.
    pub(super) fn sight(&self, author: i64) -> Result<Sight, Refusal> {
        match &self.right {
            TraceRight::All(sight) => Ok(*sight),
            TraceRight::Own(_) if self.caller.is(author) => Ok(Sight::Shown),
            TraceRight::Own(refusal) => Err(refusal.clone()),
        }
    }

    /// Whether the caller belongs to the platform. Anybody presents a room and appoints its moderators, and names of
    /// nodes may be internal.
    pub(super) fn is_of_platform(&self) -> bool {
        self.caller.has(MODERATE) || self.caller.has(READ)
    }
}

impl FromRequestParts<Arc<AppState>> for MessageTracer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<MessageTracer, Refusal> {
        let mut caller = Caller::of(parts, app).await?;
        let room = RoomPath::read(parts).await?.presenter_idx;
        let is_service = caller.has(READ);
        let moderates = timeout(ROLE_WITHIN, caller.moderates(app, room)).await;
        let right = match moderates {
            Ok(Ok(true)) => TraceRight::All(Sight::Everything),
            _ if is_service => TraceRight::All(Sight::Shown),
            // Whether the message exists is not for everybody.
            Ok(Ok(false)) => TraceRight::Own(Refusal::MessageNotFound),
            Ok(Err(error)) => TraceRight::Own(error.into()),
            Err(_) => TraceRight::Own(Refusal::RolesUnavailable),
        };
        Ok(MessageTracer { caller, room, right })
    }
}

impl FromRequestParts<Arc<AppState>> for UserReader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<UserReader, Refusal> {
        let caller = Caller::of(parts, app).await?;
        let user = UserPath::read(parts).await?.user_idx;
        let sight = if caller.has(MODERATE) {
            Sight::Everything
        } else if caller.is(user.get()) || caller.has(READ) {
            Sight::Shown
        } else {
            return Err(Refusal::Forbidden(
                "the user's own token, or a token with the scope chat:read or chat:moderate",
            ));
        };
        Ok(UserReader { caller, user, sight })
    }
}

impl FromRequestParts<Arc<AppState>> for RoomModerator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<RoomModerator, Refusal> {
        let mut caller = Caller::of(parts, app).await?;
        let room = RoomPath::read(parts).await?.presenter_idx;
        if caller.moderates(app, room).await? {
            return Ok(RoomModerator { _caller: caller, room });
        }
        Err(Refusal::Forbidden(
            "the token of the room's presenter or of one of its moderators, or a token with the scope chat:moderate",
        ))
    }
}

impl FromRequestParts<Arc<AppState>> for Moderator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Moderator, Refusal> {
        let caller = Caller::of(parts, app).await?;
        if caller.has(MODERATE) {
            return Ok(Moderator { _caller: caller });
        }
        Err(Refusal::Forbidden("a token with the scope chat:moderate"))
    }
}

impl FromRequestParts<Arc<AppState>> for EraserScope {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<EraserScope, Refusal> {
        let caller = Caller::of(parts, app).await?;
        let user = UserPath::read(parts).await?.user_idx;
        if caller.has(ERASE) {
            return Ok(EraserScope { caller, user });
        }
        Err(Refusal::Forbidden("a token with the scope chat:erase"))
    }
}
