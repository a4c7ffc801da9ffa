//! Readers of a room: each gets every message once and in order, from any position, on any node. No reader holds the
//! room, and each sees only what its token permits.

mod access;
mod held;
mod moderators;
mod reports;
mod restored;
mod sockets;
mod swept;
mod tickets;
mod warnings;

use serde_json::{Value, json};

use super::asyncapi::check_streamed;
use super::dialect::{now, signed};
use super::page::text_of;
use super::*;
use crate::ingest::tokens::token_with;
use crate::support::{EventStream, SECRET, StreamEvent, token};

/// A reader that works like an `EventSource`.
pub(crate) struct Reader {
    stream: EventStream,
    /// The last `id`.
    last: String,
}

impl Reader {
    /// A stream, and its welcome.
    pub(crate) async fn start(node: &Role, room: i64, token: &str, from: &str) -> (Reader, Value) {
        let answer = testkit::client()
            .build()
            .unwrap()
            .get(format!("{}/v1/rooms/{room}/events?from={from}", node.url()))
            .bearer_auth(token)
            .send();
        Reader::of(answer.await.unwrap()).await
    }

    /// A stream that resumes after the last event of an earlier one.
    async fn resume(node: &Role, room: i64, token: &str, last: &str) -> (Reader, Value) {
        let answer = testkit::client()
            .build()
            .unwrap()
            .get(format!("{}/v1/rooms/{room}/events", node.url()))
            .header("last-event-id", last)
            .bearer_auth(token)
            .send();
        Reader::of(answer.await.unwrap()).await
    }

    async fn of(answer: reqwest::Response) -> (Reader, Value) {
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let mut reader = Reader { stream: EventStream::of(answer, PATIENCE), last: String::new() };
        let (event, welcome) = reader.next().await.unwrap();
        assert_eq!(event, "welcome");
        assert_eq!(welcome.id.as_deref(), welcome.data["position"].as_str());
        (reader, welcome.data)
    }

    /// The name of the next event, and the event. None: the stream has ended.
    async fn next(&mut self) -> Option<(String, StreamEvent)> {
        let next = self.stream.next().await?;
        self.last = next.id.clone().unwrap_or_else(|| self.last.clone());
        let name = next.event.clone().unwrap_or_else(|| "message".to_owned());
        check_streamed(&name, &next.data);
        Some((name, next))
    }

    /// The next event of the room.
    pub(crate) async fn event(&mut self) -> Value {
        loop {
            let (event, heard) = self.next().await.expect("the stream goes on");
            if event == "message" {
                assert_eq!(heard.id.as_deref(), heard.data["position"].as_str());
                return heard.data;
            }
            assert_eq!(event, "keepalive", "{heard:?}");
        }
    }

    async fn events(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(self.event().await);
        }
        events
    }

    async fn texts(&mut self, count: usize) -> Vec<String> {
        self.events(count).await.iter().map(text_of).collect()
    }
}

async fn refused(node: &Role, path: &str, token: Option<&str>) -> (u16, String) {
    let request = testkit::client().build().unwrap().get(format!("{}{path}", node.url()));
    let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    (status, problem["code"].as_str().unwrap().to_owned())
}

pub(super) fn moderator() -> String {
    token_with(json!({ "user_idx": 3, "scope": "chat:moderate" }))
}

fn analyst() -> String {
    token_with(json!({ "user_idx": 4, "scope": "chat:read" }))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reader_gets_what_the_presenter_gets() {
    let world = World::start().await;
    let (node, other) = (world.node().await, world.node().await);
    world.post(42, &["before"]).await;
    let (mut page, _) = Page::connect(&node, 42).await;
    assert_eq!(page.texts(1).await, ["before"]);
    let mut readers = Vec::new();
    for (node, token) in
        [(&node, token(42, "presenter")), (&node, moderator()), (&other, moderator()), (&node, analyst())]
    {
        readers.push(Reader::start(node, 42, &token, "now").await.0);
    }
    let texts = texts(1, 300);
    for part in texts.chunks(100) {
        world.post(42, &refs(part)).await;
        world.post(43, &["to another room"]).await;
    }
    let shown = page.events(300).await;
    for reader in &mut readers {
        assert_eq!(reader.events(300).await, shown);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_break_exactly_what_was_missed_follows_on_any_node() {
    let world = World::start().await;
    let (one, other) = (world.node().await, world.node().await);
    let (mut reader, welcome) = Reader::start(&one, 42, &moderator(), "now").await;
    assert_eq!(welcome["recovered"], true);
    world.post(42, &refs(&texts(1, 20))).await;
    assert_eq!(reader.texts(20).await, texts(1, 20));
    let last = reader.last.clone();
    drop(reader);
    world.post(42, &refs(&texts(21, 220))).await;
    let mut readers = Vec::new();
    for node in [&one, &other] {
        let (mut reader, welcome) = Reader::resume(node, 42, &moderator(), &last).await;
        assert_eq!((&welcome["recovered"], &welcome["position"]), (&json!(true), &json!(last)));
        assert_eq!(reader.texts(200).await, texts(21, 220));
        readers.push(reader);
    }
    // From here on events come through the broadcast.
    world.post(42, &["and on"]).await;
    for mut reader in readers {
        assert_eq!(reader.texts(1).await, ["and on"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_joins_a_busy_room_misses_and_repeats_nothing() {
    let world = World::start().await;
    let node = world.node().await;
    let writing = async {
        for number in 1..=600 {
            world.post(42, &[&format!("message {number}")]).await;
        }
    };
    let reading = async {
        let mut all = Vec::new();
        for _ in 0..12 {
            let (mut reader, welcome) = Reader::start(&node, 42, &moderator(), "window").await;
            assert_eq!(welcome["recovered"], true);
            // A few at first, so that the rest comes through the broadcast.
            let mut seen = reader.texts(1).await;
            while seen.last().unwrap() != "message 600" && seen.len() < 50 {
                seen.extend(reader.texts(1).await);
            }
            all.push((reader, seen));
        }
        all
    };
    let ((), readers) = tokio::join!(writing, reading);
    for (mut reader, mut seen) in readers {
        while seen.last().unwrap() != "message 600" {
            seen.extend(reader.texts(1).await);
        }
        assert_eq!(seen, texts(1, 600));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_left_the_window_are_declared_as_a_gap() {
    let world = World::start().await;
    let node = world.node_with("window_size", "40000 B").await;
    let (mut reader, _) = Reader::start(&node, 42, &moderator(), "now").await;
    world.post(42, &["first"]).await;
    reader.texts(1).await;
    let first = reader.last.clone();
    drop(reader);
    world.post(42, &refs(&texts(1, 400))).await;
    let (mut page, _) = Page::connect(&node, 42).await;
    page.texts_to("message 400").await;
    for last in [first.as_str(), "garbage", "1-2-3"] {
        let (mut reader, welcome) = Reader::resume(&node, 42, &moderator(), last).await;
        assert_eq!(welcome["recovered"], false, "{last}");
        let mut seen = reader.texts(1).await;
        while seen.last().unwrap() != "message 400" {
            seen.extend(reader.texts(1).await);
        }
        assert_eq!(seen, texts(401 - seen.len(), 400));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_not_a_presenter() {
    let world = World::start().await;
    let node = world.node().await;
    let (mut reader, _) = Reader::start(&node, 42, &token(42, "presenter"), "now").await;
    world.post(42, &["nobody is there"]).await;
    reader.texts(1).await;
    assert!(world.presence.session(idx(42)).is_none());
    let (mut page, welcome) = Page::connect(&node, 42).await;
    assert_eq!(page.texts(1).await, ["nobody is there"], "the presenter's cursor did not move: {welcome}");
    let claim = world.session(42, None).await;
    let _second = Reader::start(&node, 42, &token(42, "presenter"), "now").await;
    world.post(42, &["still here"]).await;
    assert_eq!(page.texts(1).await, ["still here"]);
    assert_eq!(world.presence.session(idx(42)).unwrap().id, claim.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_token() {
    let world = World::with(&[("auth.leeway", "0s")]).await;
    let node = world.node().await;
    let short = signed(SECRET, json!({ "user_idx": 42, "exp": now() + 2 }));
    let (mut reader, _) = Reader::start(&node, 42, &short, "now").await;
    assert_eq!(reader.next().await.unwrap().0, "expired");
    assert!(reader.next().await.is_none());
    let exposed = reqwest::get(format!("{}/metrics", node.admin_url())).await.unwrap().text().await.unwrap();
    for series in
        ["readers 0", "reader_starts_total{resume=\"recovered\"} 1", "reader_ends_total{reason=\"expired\"} 1"]
    {
        assert!(exposed.contains(&format!("chatting_delivery_{series}\n")), "{series} is not in {exposed}");
    }
    assert_eq!(refused(&node, "/v1/rooms/42/events", Some(&short)).await, (401, "token_expired".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_stopping_node_are_told_and_miss_nothing_elsewhere() {
    let world = World::start().await;
    let (old, new) = (world.node().await, world.node().await);
    let (mut reader, _) = Reader::start(&old, 42, &moderator(), "now").await;
    world.post(42, &["before"]).await;
    assert_eq!(reader.texts(1).await, ["before"]);
    let stopped = old.terminate();
    let moved = async {
        let (event, told) = reader.next().await.unwrap();
        assert_eq!((event.as_str(), &told.data), ("reconnect", &json!({ "withinMs": 2_000 })));
        assert!(reader.next().await.is_none());
        world.post(42, &["meanwhile"]).await;
        let (mut reader, welcome) = Reader::resume(&new, 42, &moderator(), &reader.last).await;
        assert_eq!(welcome["recovered"], true);
        assert_eq!(reader.texts(1).await, ["meanwhile"]);
    };
    assert_eq!(tokio::join!(stopped, moved).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_position_of_a_quiet_room_moves_with_the_log() {
    let world = World::start().await;
    let node = world.node_with("keepalive", "1s").await;
    let (mut reader, welcome) = Reader::start(&node, 42, &moderator(), "now").await;
    world.post(43, &["to another room"]).await;
    let position = eventually("the position moves", PATIENCE, async || {
        let (event, heard) = reader.next().await.unwrap();
        assert_eq!(event, "keepalive");
        assert_eq!(heard.id.as_deref(), heard.data["position"].as_str());
        (heard.data["position"] != welcome["position"]).then_some(heard.data["position"].clone())
    })
    .await;
    world.post(42, &["to this room"]).await;
    assert_eq!(reader.texts(1).await, ["to this room"]);
    let (mut again, welcome) = Reader::resume(&node, 42, &moderator(), position.as_str().unwrap()).await;
    assert_eq!(welcome["recovered"], true);
    assert_eq!(again.texts(1).await, ["to this room"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_reader_delays_no_one_else() {
    let world = World::start().await;
    let node = world.node().await;
    let (mut page, _) = Page::connect(&node, 42).await;
    // It keeps its stream open and never reads it.
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(Reader::start(&node, 42, &moderator(), "now").await);
    }
    let (mut reader, _) = Reader::start(&node, 42, &analyst(), "now").await;
    let long = "길".repeat(400);
    let texts: Vec<String> = (0..600).map(|number| format!("{number} {long}")).collect();
    let writing = async {
        for text in &texts {
            world.post(42, &[text]).await;
        }
    };
    let (shown, read, ()) = tokio::join!(page.texts(600), reader.texts(600), writing);
    assert_eq!((&shown, &read), (&texts, &texts));
}
