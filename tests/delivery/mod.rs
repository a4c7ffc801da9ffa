//! Delivery on a real nats-server: real nodes, a presenter's real sockets, and events that are appended directly.

mod asyncapi;
mod claims;
mod cut_off;
mod dialect;
mod drain;
mod erased;
mod everywhere;
mod expiry;
mod extras;
mod fights;
mod handover;
mod keys;
mod limits;
mod outages;
pub(crate) mod page;
mod peers;
pub(crate) mod presenter;
pub(crate) mod readers;
mod resume;
mod v1;

use std::time::Duration;

use chat::{Body, Event, MessagePosted, Position, PresenterIdx, User, UserIdx};
use nats::{Claim, Cursors, Log, Presence};

use crate::support::{self, NatsServer, Role, Settings, eventually};
use page::Page;
use presenter::Presenter;

/// Long enough for a slow machine, and short enough to detect a hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// A nats-server, with handles to write to it and to observe it.
struct World {
    nats: NatsServer,
    log: Log,
    presence: Presence,
    cursors: Cursors,
    settings: Settings,
}

impl World {
    async fn start() -> World {
        World::with_partitions(1).await
    }

    async fn with_partitions(partitions: u32) -> World {
        World::with(&[("nats.partitions", &partitions.to_string())]).await
    }

    async fn with(changes: &[(&str, &str)]) -> World {
        let nats = NatsServer::start().await;
        let settings = Settings::new()
            .nats(&nats)
            .set("nats.partitions", "1")
            .set("nats.max_size", "1073741824 B")
            .set("nats.lease", "2s")
            .set("log.filter", "info,delivery=debug");
        let settings = changes.iter().fold(settings, |settings, (key, value)| settings.set(key, value));
        let log = support::log(&settings).await;
        let (presence, cursors) = tokio::try_join!(log.presence(), log.cursors()).unwrap();
        World { nats, log, presence, cursors, settings }
    }

    async fn node(&self) -> Role {
        Role::start("delivery", &self.settings).await
    }

    async fn node_with(&self, key: &str, value: &str) -> Role {
        Role::start("delivery", &self.settings.clone().set(&format!("delivery.{key}"), value)).await
    }

    /// Appends messages in sequence, and returns the position of the last.
    async fn post(&self, room: i64, texts: &[&str]) -> Position {
        let mut last = None;
        for text in texts {
            last = Some(self.log.append(&message(room, *text)).await.unwrap());
        }
        last.unwrap()
    }

    /// Waits until a session other than `before` holds the room.
    async fn session(&self, room: i64, before: Option<&Claim>) -> Claim {
        eventually("a session holds the room", PATIENCE, async || {
            self.presence.session(idx(room)).filter(|session| Some(session.id) != before.map(|before| before.id))
        })
        .await
    }

    /// Waits until this is the room's saved cursor, or a later one.
    async fn saved(&self, room: i64, position: Position) {
        eventually("the cursor is saved", PATIENCE, async || {
            self.cursors.get(idx(room)).filter(|cursor| *cursor >= position)
        })
        .await;
    }
}

fn idx(room: i64) -> PresenterIdx {
    PresenterIdx::try_from(room).unwrap()
}

fn message(room: i64, text: impl Into<String>) -> Event {
    let user = User { idx: UserIdx::try_from(7).unwrap(), nickname: "별명".to_owned(), role: chat::Role::Viewer };
    Event::now(idx(room), Body::MessagePosted(MessagePosted::new(user, text)))
}

fn texts(from: usize, to: usize) -> Vec<String> {
    (from..=to).map(|number| format!("message {number}")).collect()
}

fn refs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}
