//! Moderation as its callers and everyone else see it: real ingest nodes over one real log. A decision through one node
//! holds on every other within a second. That is promise P9, and the deadline of these tests.

mod allowed;
mod cut_off;
mod erased;
mod expiry;
mod in_flight;
mod limits;
mod lists;
mod lives_on;
mod moderators;
mod notes;
mod places;
mod reports;
mod settings;
mod sweeps;
mod warnings;

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::ingest::tokens::token_with;
use crate::ingest::{Answer, answer, client};
use crate::support::{NatsServer, Role, RoomServer, Settings, eventually, token};

/// P9: the time until a decision holds on another node.
const PROMISED: Duration = Duration::from_secs(1);

/// Long enough for a slow machine, and short enough to detect a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// The presenter of most tests' room, and a user with the scope `chat:moderate`.
const PRESENTER: i64 = 42;
const MODERATOR: i64 = 3;

/// A log, a room server, and ingest nodes.
struct World {
    // Dropped in this order: the roles first.
    nodes: Vec<Role>,
    _rooms: RoomServer,
    nats: NatsServer,
    settings: Settings,
    client: Client,
}

impl World {
    /// With two nodes.
    async fn start() -> World {
        World::start_with(|settings| settings).await
    }

    async fn start_with(change: impl FnOnce(Settings) -> Settings) -> World {
        let (nats, rooms) = tokio::join!(NatsServer::start(), RoomServer::start());
        let settings = change(settings(&nats, &rooms));
        let (one, other) = tokio::join!(Role::start("ingest", &settings), Role::start("ingest", &settings));
        World { nodes: vec![one, other], _rooms: rooms, nats, settings, client: client() }
    }

    /// Starts another node, and waits until it is ready.
    async fn node(&self) -> Role {
        Role::start("ingest", &self.settings).await
    }

    /// A request to the node, as the token's user.
    async fn call(&self, node: &Role, method: Method, path: &str, token: &str, body: Option<Value>) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", node.url())).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request).await
    }

    async fn put(&self, node: &Role, path: &str, token: &str, body: Value) -> Answer {
        self.call(node, Method::PUT, path, token, Some(body)).await
    }

    async fn patch(&self, node: &Role, path: &str, token: &str, body: Value) -> Answer {
        self.call(node, Method::PATCH, path, token, Some(body)).await
    }

    async fn create(&self, node: &Role, path: &str, token: &str, body: Value) -> Answer {
        self.call(node, Method::POST, path, token, Some(body)).await
    }

    async fn delete(&self, node: &Role, path: &str, token: &str) -> Answer {
        self.call(node, Method::DELETE, path, token, None).await
    }

    async fn get(&self, node: &Role, path: &str, token: &str) -> Answer {
        self.call(node, Method::GET, path, token, None).await
    }

    async fn post(&self, node: &Role, room: i64, user: i64, text: &str) -> Answer {
        let body = json!({ "text": text });
        self.call(node, Method::POST, &format!("/v1/rooms/{room}/messages"), &token(user, "nick"), Some(body)).await
    }

    /// Bans the user in the presenter's room through the node, as the presenter.
    async fn ban(&self, node: &Role, user: i64, body: Value) -> Value {
        decided(&self.put(node, &ban(user), &presenter(), body).await)
    }

    /// Within the promised time the node refuses posts of the banned user in the room.
    async fn is_banned(&self, node: &Role, room: i64, user: i64) -> Answer {
        let refused = eventually("the ban holds", PROMISED, async || {
            let answer = self.post(node, room, user, &different("am I banned?")).await;
            (answer.status != 202).then_some(answer)
        })
        .await;
        refused.assert_problem(403, "msg_banned");
        refused
    }

    /// Within the promised time the node accepts posts of the user in the room.
    async fn is_heard(&self, node: &Role, room: i64, user: i64) {
        eventually("the user may write", PROMISED, async || {
            let answer = self.post(node, room, user, &different("may I write?")).await;
            (answer.status == 202).then_some(())
        })
        .await;
    }

    /// Within the promised time the room has these settings on the node.
    async fn has_set(&self, node: &Role, expected: &Value) {
        eventually(&format!("{expected} is set"), PROMISED, async || {
            let answer = self.get(node, SETTINGS, &presenter()).await.json();
            (&answer["own"] == expected).then_some(())
        })
        .await;
    }

    /// The log, as a role uses it.
    async fn log(&self) -> nats::Log {
        crate::support::log(&self.settings).await
    }
}

/// The settings of every node, without rate limits that a test would reach.
fn settings(nats: &NatsServer, rooms: &RoomServer) -> Settings {
    Settings::new()
        .nats(nats)
        .rooms(rooms)
        .set("nats.max_size", "1073741824 B")
        .set("ingest.room.message_rate.messages", "1000")
        .set("ingest.room.message_rate.seconds", "1")
        .set("ingest.limits.moderator_rate.messages", "1000")
        .set("ingest.limits.moderator_rate.seconds", "1")
        .set("ingest.limits.user_rate.messages", "1000")
        .set("ingest.limits.user_rate.seconds", "1")
}

/// A text that no room had before.
fn different(text: &str) -> String {
    format!("{text} {}", uuid::Uuid::new_v4())
}

/// A ban of the user in the presenter's room.
fn ban(user: i64) -> String {
    format!("/v1/rooms/{PRESENTER}/bans/{user}")
}

/// The settings of the presenter's room.
const SETTINGS: &str = "/v1/rooms/42/settings";

fn presenter() -> String {
    token(PRESENTER, "presenter")
}

/// May moderate every room.
fn moderator() -> String {
    token_with(json!({ "user_idx": MODERATOR, "nickname": "mod", "scope": "profile chat:moderate" }))
}

/// The id and the position of the decision.
#[track_caller]
fn decided(answer: &Answer) -> Value {
    assert_eq!(answer.status, 202, "{answer:?}");
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "position"], "{answer:?}");
    body
}
