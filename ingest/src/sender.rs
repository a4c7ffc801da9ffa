//! The sender of a request, and the idempotency key that the sender gives it.

use chat::{AllowedEmotes, Attributes, PresenterIdx, Role, User, UserIdx};
use web::auth::Identity;
use words::nickname;

/// The token scope that permits moderation of every room.
const MODERATE: &str = "chat:moderate";

/// The token scope that permits posts to give attributes and emotes.
const GIVE_ATTRIBUTES: &str = "chat:attributes";

/// An authenticated user.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pub(crate) idx: UserIdx,
    nickname: String,
    /// By a scope of the token.
    is_moderator: bool,
    /// By a scope of the token.
    may_give_attributes: bool,
    /// By a claim of the token.
    attributes: Option<Attributes>,
    /// By a claim of the token.
    emotes: Option<AllowedEmotes>,
}

/// A client's key for a request. A retry under the same key is the same event.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey(String);

impl Sender {
    pub(crate) fn new(identity: &Identity) -> Sender {
        let idx = UserIdx::try_from(identity.user_idx).expect("an identity has a user_idx of at least 1");
        Sender {
            idx,
            nickname: nickname(&identity.nickname),
            is_moderator: identity.has_scope(MODERATE),
            may_give_attributes: identity.has_scope(GIVE_ATTRIBUTES),
            attributes: identity.attributes.clone(),
            emotes: identity.emotes.clone(),
        }
    }

    /// Whether the room is the sender's own.
    pub(crate) fn presents(&self, room: PresenterIdx) -> bool {
        self.idx == room.as_user()
    }

    /// Whether the sender's token permits moderation of every room.
    pub(crate) fn moderates_every_room(&self) -> bool {
        self.is_moderator
    }

    /// Whether the sender's posts may give attributes.
    pub(crate) fn may_give_attributes(&self) -> bool {
        self.may_give_attributes
    }

    /// The attributes of each message whose post gives none.
    pub(crate) fn attributes(&self) -> Option<&Attributes> {
        self.attributes.as_ref()
    }

    /// Whether the sender's posts may have any emote at all.
    pub(crate) fn may_give_emotes(&self) -> bool {
        self.may_give_attributes || self.emotes.is_some()
    }

    /// Whether the sender's posts may have the emote.
    pub(crate) fn may_give_emote(&self, id: &str) -> bool {
        self.may_give_attributes || self.emotes.as_ref().is_some_and(|allowed| allowed.has(id))
    }

    /// The sender, as events record users.
    pub(crate) fn user(&self, role: Role) -> User {
        User { idx: self.idx, nickname: self.nickname.clone(), role }
    }
}

impl IdempotencyKey {
    /// 1 to 255 visible ASCII characters.
    pub(crate) fn parse(key: &str) -> Option<IdempotencyKey> {
        let is_valid = (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        is_valid.then(|| IdempotencyKey(key.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_is_visible_ascii() {
        for good in ["a", "7b0c2a2e-6d3c-4d0b-9b52-a6a5f0a8a3a1", "\"quoted\"", &"x".repeat(255)] {
            assert!(IdempotencyKey::parse(good).is_some(), "{good}");
        }
        for bad in ["", " ", "a b", "a\tb", "가", &"x".repeat(256)] {
            assert!(IdempotencyKey::parse(bad).is_none(), "{bad}");
        }
    }
}
