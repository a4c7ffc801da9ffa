//! Ingest as its clients see it: a real process, a real log, and a room server that can fail. Accepted events are read
//! back from the log.

pub(crate) mod gateway;
pub(crate) mod sockets;
pub(crate) mod tokens;

mod contract;
mod emotes;
mod extras;
mod fast_path;
mod headers;
mod idempotency;
mod ids;
mod keys;
mod limits;
mod malformed;
mod outages;
mod overload;
mod review;
mod rooms;
mod v1;

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::{NatsServer, Role, RoomServer, Settings, connect, eventually, token};

/// No step of these tests takes longer, even on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Ingest with its servers.
pub(crate) struct System {
    // Dropped in this order: the role first.
    pub(crate) ingest: Role,
    pub(crate) rooms: RoomServer,
    pub(crate) nats: NatsServer,
    pub(crate) client: Client,
}

impl System {
    pub(crate) async fn start() -> System {
        System::start_with(|settings| settings).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(Settings) -> Settings) -> System {
        let (nats, rooms) = (NatsServer::start().await, RoomServer::start().await);
        let ingest = Role::start("ingest", &change(Settings::new().nats(&nats).rooms(&rooms))).await;
        System { ingest, rooms, nats, client: client() }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.ingest.url() + path)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.ingest.url() + path)
    }

    /// As viewer 7, through the original's surface.
    pub(crate) async fn send(&self, body: Value) -> Answer {
        self.send_as(7, body).await
    }

    pub(crate) async fn send_as(&self, user: i64, body: Value) -> Answer {
        answer(self.post("/send/message").header("token", token(user, "nick")).json(&body)).await
    }

    /// As viewer 7, through `/v1`.
    pub(crate) async fn post_v1(&self, room: &str, body: Value) -> Answer {
        let request = self.post(&format!("/v1/rooms/{room}/messages")).bearer_auth(token(7, "nick"));
        answer(request.json(&body)).await
    }

    /// The messages in the log, in order.
    pub(crate) async fn messages(&self) -> Vec<Value> {
        messages(&self.nats.url()).await
    }

    /// The end of the log: every append moves it.
    pub(crate) async fn last_sequence(&self) -> u64 {
        let jetstream = async_nats::jetstream::new(async_nats::connect(self.nats.url()).await.unwrap());
        jetstream.get_stream("CHAT_0").await.unwrap().get_info().await.unwrap().state.last_sequence
    }
}

pub(crate) fn client() -> Client {
    let client = testkit::client().timeout(DEADLINE).redirect(reqwest::redirect::Policy::none());
    client.build().unwrap()
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("there is an answer within the deadline");
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, body: response.text().await.unwrap() }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no header {name}: {self:?}"));
        value.to_str().unwrap()
    }

    /// Expects the original's 200: empty, with the id in a header.
    #[track_caller]
    pub(crate) fn assert_sent(&self) {
        assert_eq!((self.status.as_u16(), self.body.as_str()), (200, ""), "{self:?}");
        self.header("message-id");
        self.header("message-position");
    }

    /// Expects the original's error body.
    #[track_caller]
    pub(crate) fn assert_original_error(&self, status: u16, message: &str, path: &str) {
        assert_eq!(self.status, status, "{self:?}");
        self.assert_original_body(status, message, path);
    }

    #[track_caller]
    pub(crate) fn assert_original_body(&self, status: u16, message: &str, path: &str) {
        let mut body = self.json();
        let timestamp = body["timestamp"].take();
        let shape: String =
            timestamp.as_str().unwrap_or_default().chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00 00:00:00", "{self:?}");
        assert_eq!(body, json!({"timestamp": null, "status": status, "message": message, "path": path}));
    }

    /// Expects a problem (RFC 9457) with this code.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!((&body["status"], &body["code"]), (&json!(status), &json!(code)), "{self:?}");
        for member in ["type", "title", "detail"] {
            assert!(body[member].is_string(), "{member}: {self:?}");
        }
    }
}

/// The messages in the log at this address, in order, read without the project's code.
pub(crate) async fn messages(url: &str) -> Vec<Value> {
    let jetstream = async_nats::jetstream::new(async_nats::connect(url).await.unwrap());
    let stream = jetstream.get_stream("CHAT_0").await.unwrap();
    let state = stream.get_info().await.unwrap().state;
    let mut messages = Vec::new();
    // The first sequence of an empty stream is 0.
    for sequence in state.first_sequence.max(1)..=state.last_sequence {
        let batch = stream.get_raw_message(sequence).await.unwrap();
        for line in batch.payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let event: Value = serde_json::from_slice(line).unwrap();
            if event["type"] == "message.posted" {
                messages.push(event);
            }
        }
    }
    messages
}

/// The log, as another node uses it.
async fn log(nats: &NatsServer) -> nats::Log {
    let config = json!({
        "urls": [nats.url()], "partitions": 1, "replicas": 1, "max_age": "24h", "min_age": "30m", "max_size": "1 GiB",
        "append_deadline": "5s", "append_queue": 100, "append_queue_wait": "10s", "lease": "10s",
        "tls": { "ca_file": "", "cert_file": "", "key_file": "", "first": false },
    });
    connect(&serde_json::from_value(config).unwrap(), "test").await
}

/// A presenter's session, claimed as by a delivery node. Dropping it ends the session.
pub(crate) struct Session {
    _log: nats::Log,
    _lease: nats::Lease,
}

impl Session {
    pub(crate) async fn begin(nats: &NatsServer, presenter: i64) -> Session {
        let log = log(nats).await;
        let lease = log.lease(chat::NodeId::new()).await.unwrap();
        lease.claim(presenter.try_into().unwrap(), chat::SessionId::new()).await.unwrap();
        Session { _log: log, _lease: lease }
    }
}

/// Waits until ingest knows that the room has a session.
pub(crate) async fn until_connected(system: &System, room: i64) {
    eventually("ingest knows of the presenter's session", DEADLINE, async || {
        let answer = system.post_v1(&room.to_string(), json!({"text": "is anybody there"})).await;
        (answer.json()["presenter"] == "connected").then_some(())
    })
    .await;
}
