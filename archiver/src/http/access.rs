//! Who may read what. A room's presenter and the scope `chat:moderate` see everything of a room, the scope `chat:read`
//! what was not taken away; everybody may read the own messages.

use chat::{PresenterIdx, UserIdx};
use web::auth::Identity;

use super::refusal::Refusal;

const READ: &str = "chat:read";
const MODERATE: &str = "chat:moderate";
const ERASE: &str = "chat:erase";

/// How much somebody sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// What was not taken away.
    Shown,
    /// That too, and who took it away.
    Everything,
}

/// In a room.
pub(super) fn of_room(identity: &Identity, room: PresenterIdx) -> Result<Sight, Refusal> {
    if identity.user_idx == room.get() || identity.has_scope(MODERATE) {
        return Ok(Sight::Everything);
    }
    if identity.has_scope(READ) {
        return Ok(Sight::Shown);
    }
    Err(Refusal::Forbidden("the room's presenter, or a token with the scope chat:read or chat:moderate,"))
}

/// Of a user, in every room.
pub(super) fn of_user(identity: &Identity, user: UserIdx) -> Result<Sight, Refusal> {
    if identity.has_scope(MODERATE) {
        return Ok(Sight::Everything);
    }
    if identity.user_idx == user.get() || identity.has_scope(READ) {
        return Ok(Sight::Shown);
    }
    Err(Refusal::Forbidden("the user, or a token with the scope chat:read or chat:moderate,"))
}

/// Any user.
pub(super) fn erases(identity: &Identity) -> Result<(), Refusal> {
    if identity.has_scope(ERASE) { Ok(()) } else { Err(Refusal::Forbidden("a token with the scope chat:erase")) }
}

/// Sees who decided what; none: in every room.
pub(super) fn moderates(identity: &Identity, room: Option<PresenterIdx>) -> Result<(), Refusal> {
    let is_own = room.is_some_and(|room| identity.user_idx == room.get());
    if is_own || identity.has_scope(MODERATE) {
        return Ok(());
    }
    Err(match room {
        Some(_) => Refusal::Forbidden("the room's presenter, or a token with the scope chat:moderate,"),
        None => Refusal::Forbidden("a token with the scope chat:moderate"),
    })
}
