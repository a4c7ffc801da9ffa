//! The core under both surfaces: is the room live, then append, then answer. It says yes only after the log's
//! fsynced acknowledgement. Nothing of HTTP is known here.

use nats::{Body, Event, EventId, MessagePosted, Position, PresenterIdx, Role, User, UserIdx, now};
use web::auth::Identity;

use crate::Ingest;
use crate::refusal::Refusal;
use crate::room_server::{Liveness, Unreachable};
use crate::text::{Text, nickname};

/// Who posts.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pub(crate) idx: UserIdx,
    nickname: String,
}

/// A client's name for a post; a retry under the same name is the same event.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey(String);

/// A message on its way into the log.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) sender: Sender,
    pub(crate) presenter: PresenterIdx,
    pub(crate) text: Text,
    pub(crate) key: Option<IdempotencyKey>,
}

/// A message that is in the log for good.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    pub(crate) id: EventId,
    pub(crate) position: Position,
    pub(crate) role: Role,
    /// Whether the presenter has a session; if not, it is asked to reconnect, and the message waits for it.
    pub(crate) is_presenter_connected: bool,
}

impl Ingest {
    /// Err: the message is not in the log, except for an append of unknown outcome.
    pub(crate) async fn accept(&self, post: Post) -> Result<Accepted, Refusal> {
        let Post { sender, presenter, text, key } = post;
        self.check_is_live(presenter).await?;

        // The role is computed, never believed.
        let role = if sender.idx == presenter.as_user() { Role::Presenter } else { Role::Viewer };
        let id = match key {
            Some(IdempotencyKey(key)) => EventId::derived(presenter, sender.idx, &key),
            None => EventId::new(),
        };
        let user = User { idx: sender.idx, nickname: sender.nickname, role };
        let message = MessagePosted { user, text: text.into_string(), flags: Vec::new() };
        let event =
            Event { id, presenter: Some(presenter), at: now(), request: None, body: Body::MessagePosted(message) };
        let position = self.log.append(&event).await?;

        let is_presenter_connected = self.presence.session(presenter).is_some();
        if !is_presenter_connected {
            self.reconnects.request(presenter).await;
        }
        Ok(Accepted { id, position, role, is_presenter_connected })
    }

    async fn check_is_live(&self, presenter: PresenterIdx) -> Result<(), Refusal> {
        match self.room_server.liveness(presenter).await {
            Ok(Liveness::Live) => Ok(()),
            Ok(Liveness::NotLive) => Err(Refusal::RoomNotLive),
            // An outage of the room server must not silence a broadcast that is evidently going on.
            Err(Unreachable) if self.presence.session(presenter).is_some() => Ok(()),
            Err(Unreachable) => Err(Refusal::RoomServerUnavailable),
        }
    }
}

impl Sender {
    pub(crate) fn new(identity: &Identity) -> Sender {
        let idx = UserIdx::try_from(identity.user_idx).expect("an identity has a user_idx of at least 1");
        Sender { idx, nickname: nickname(&identity.nickname) }
    }
}

impl IdempotencyKey {
    /// 1 to 255 visible ASCII characters.
    pub(crate) fn parse(key: &str) -> Option<IdempotencyKey> {
        let is_valid = (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        is_valid.then(|| IdempotencyKey(key.to_owned()))
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
