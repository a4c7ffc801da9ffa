//! Real servers and roles for the tests, each with its own ports and folder. Dropping one kills it. The folder of a
//! failed test is kept, and its path is printed.

#![allow(dead_code, reason = "each suite uses its part")]
#![allow(unreachable_pub, missing_docs, reason = "a test binary has no users")]

mod certificates;
mod collector;
mod deadline;
mod event_stream;
mod folder;
mod gate;
mod jwks;
mod mongod;
mod mongod_pool;
mod review_hook;
mod role;
mod room_server;
mod servers;
mod system;

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

pub use certificates::{Authority, Issued};
pub use collector::{Collector, Takes};
use conf::Span;
pub use event_stream::{EventStream, StreamEvent};
pub use folder::Folder;
pub use gate::{Gate, Held};
pub use jwks::{JwksServer, Published, SigningKey, base64url, compact};
pub use mongod::{Mongod, MongodSet};
pub use review_hook::{ReviewHook, Says};
pub use role::{Role, Settings};
pub use room_server::{Behaviour, RoomServer};
pub use servers::{NatsCluster, NatsServer};
pub use system::{System, sample};
pub use testkit::{Direction, Proxy};

/// The key of the tokens in tests.
pub const SECRET: &str = "a secret of the tests, of more than 32 bytes";

/// A token as the auth server issues it, valid for an hour.
pub fn token(user_idx: i64, nickname: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = serde_json::json!({
        "sub": format!("user{user_idx}@example.com"),
        "nickname": nickname,
        "user_idx": user_idx,
        "iat": now,
        "exp": now + 3_600,
    });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes()).unwrap();
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

/// Listens at an address where this process listened before. Waits: a child that is being started has a copy of the old
/// socket until its program begins.
pub async fn listen_again(address: SocketAddr) -> tokio::net::TcpListener {
    let listen = async || tokio::net::TcpListener::bind(address).await.ok();
    eventually("the address can be listened at again", Duration::from_secs(30), listen).await
}

/// Polls until the probe returns a value. Panics with the sentence after the deadline.
#[track_caller]
pub fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let started = Instant::now();
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            assert!(started.elapsed() < deadline, "not within {deadline:?}: {what} (asked at {caller})");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The log for a test's own appends: with the settings of the roles, and longer deadlines, so that an outage caused by
/// the test does not fail them.
pub async fn log(settings: &Settings) -> nats::Log {
    let config = nats::Config {
        append_deadline: Span::from_secs(60),
        append_queue_wait: Span::from_secs(30),
        ..settings.config().nats
    };
    connect(&config, "test").await
}

/// Sets up the log, as an operator does first, and connects.
pub async fn connect(config: &nats::Config, name: &str) -> nats::Log {
    nats::set_up(config, name).await.unwrap();
    nats::Log::connect(config, name).await.unwrap()
}

/// A port that no other server gets, of this process or another.
pub fn port() -> u16 {
    testkit::port::own().unwrap()
}
