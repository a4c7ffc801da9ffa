//! Readers of a room beside its presenter: every one gets every message once and in order, from any position, on any
//! node; none of them holds the room, and each sees only what its token shows.

use chat::{MessageDeleted, RoomCleared, RoomUpdated, UserBanned, UserErased};
use serde_json::{Value, json};

use super::dialect::{now, signed};
use super::page::text_of;
use super::*;
use crate::ingest::tokens::token_with;
use crate::support::{SECRET, token};

/// A server-sent event.
#[derive(Debug)]
struct Heard {
    event: String,
    id: Option<String>,
    data: Value,
}

/// A reader, as an `EventSource` is one.
struct Reader {
    answer: reqwest::Response,
    /// What has come of the next event.
    bytes: Vec<u8>,
    /// The last `id`.
    last: String,
}

impl Reader {
    /// A stream, and its welcome.
    async fn start(node: &Role, room: i64, token: &str, from: &str) -> (Reader, Value) {
        let answer = reqwest::Client::new()
            .get(format!("{}/v1/rooms/{room}/events?from={from}", node.url()))
            .bearer_auth(token)
            .send();
        Reader::of(answer.await.unwrap()).await
    }

    /// A stream that goes on after the last event of an earlier one.
    async fn resume(node: &Role, room: i64, token: &str, last: &str) -> (Reader, Value) {
        let answer = reqwest::Client::new()
            .get(format!("{}/v1/rooms/{room}/events", node.url()))
            .header("last-event-id", last)
            .bearer_auth(token)
            .send();
        Reader::of(answer.await.unwrap()).await
    }

    async fn of(answer: reqwest::Response) -> (Reader, Value) {
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let mut reader = Reader { answer, bytes: Vec::new(), last: String::new() };
        let welcome = reader.next().await.unwrap();
        assert_eq!(welcome.event, "welcome");
        assert_eq!(welcome.id.as_deref(), welcome.data["position"].as_str());
        (reader, welcome.data)
    }

    /// The next event. None: the stream has ended.
    async fn next(&mut self) -> Option<Heard> {
        loop {
            while let Some(end) = self.bytes.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.bytes.drain(..end + 2).collect();
                let block = String::from_utf8(block).unwrap();
                let fields: Vec<(&str, &str)> = block.lines().filter_map(|line| line.split_once(": ")).collect();
                let field =
                    |name| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
                let heard = field("data").map(|data| Heard {
                    event: field("event").unwrap_or_else(|| "message".to_owned()),
                    id: field("id"),
                    data: serde_json::from_str(&data).unwrap(),
                });
                if let Some(heard) = heard {
                    self.last = heard.id.clone().unwrap_or_else(|| self.last.clone());
                    return Some(heard);
                }
            }
            let chunk = tokio::time::timeout(PATIENCE, self.answer.chunk()).await.expect("something comes");
            let chunk = chunk.expect("the stream does not break")?;
            self.bytes.extend_from_slice(&chunk);
        }
    }

    /// The next event of the room.
    async fn event(&mut self) -> Value {
        loop {
            let heard = self.next().await.expect("the stream goes on");
            if heard.event == "message" {
                assert_eq!(heard.id.as_deref(), heard.data["position"].as_str());
                return heard.data;
            }
            assert_eq!(heard.event, "keepalive", "{heard:?}");
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

/// A room's setting.
fn readers(value: &str, until: Option<&str>) -> Event {
    let settings = json!({ "readers": value }).as_object().unwrap().clone();
    let until = until.map(|until| json!({ "readers": until }).as_object().unwrap().clone()).unwrap_or_default();
    let changed = vec!["readers".to_owned()];
    Event::now(idx(42), Body::RoomUpdated(RoomUpdated { settings, changed, until, by: decider(), reason: None }))
}

async fn refused(node: &Role, path: &str, token: Option<&str>) -> (u16, String) {
    let request = reqwest::Client::new().get(format!("{}{path}", node.url()));
    let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    (status, problem["code"].as_str().unwrap().to_owned())
}

fn moderator() -> String {
    token_with(json!({ "user_idx": 3, "scope": "chat:moderate" }))
}

fn analyst() -> String {
    token_with(json!({ "user_idx": 4, "scope": "chat:read" }))
}

fn decider() -> User {
    User { idx: UserIdx::try_from(3).unwrap(), nickname: "mod".to_owned(), role: chat::Role::Moderator }
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
    // From here on the events come by the broadcast.
    world.post(42, &["and on"]).await;
    for mut reader in readers {
        assert_eq!(reader.texts(1).await, ["and on"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_joins_while_much_is_said_misses_and_repeats_nothing() {
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
            // A few at first, so that the rest comes by the broadcast.
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
async fn what_left_the_window_is_declared_as_a_gap() {
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
async fn a_token_shows_what_it_may_see_and_nothing_deleted() {
    let world = World::start().await;
    let node = world.node().await;
    let mut flagged = message(42, "flagged");
    if let Body::MessagePosted(posted) = &mut flagged.body {
        posted.flags = vec!["ko.abuse".to_owned()];
    }
    let deleted = message(42, "deleted in time");
    let user = UserIdx::try_from(7).unwrap();
    let (by, reason) = (decider(), Some("a private reason".to_owned()));
    let settings = json!({ "words": ["a private word"] }).as_object().unwrap().clone();
    let bodies = [
        Body::MessageDeleted(MessageDeleted { target: deleted.id, by: by.clone(), reason: reason.clone() }),
        Body::UserBanned(UserBanned { user, until: None, by: by.clone(), reason: reason.clone() }),
        Body::RoomUpdated(RoomUpdated {
            settings,
            changed: Vec::new(),
            until: Default::default(),
            by: by.clone(),
            reason: reason.clone(),
        }),
        Body::Unknown {
            kind: "note.written".to_owned(),
            members: json!({ "note": "a private note" }).as_object().unwrap().clone(),
        },
    ];
    let of_all_rooms = Body::UserBanned(UserBanned { user, until: None, by: by.clone(), reason: reason.clone() });
    world.log.append(&flagged).await.unwrap();
    world.log.append(&deleted).await.unwrap();
    for body in bodies {
        world.log.append(&Event::now(idx(42), body)).await.unwrap();
    }
    world.log.append_everywhere(&Event { presenter: None, ..Event::now(idx(1), of_all_rooms) }).await.unwrap();
    world.post(42, &["end"]).await;

    let (mut whole, _) = Reader::start(&node, 42, &moderator(), "window").await;
    let whole = whole.events(8).await;
    assert_eq!(whole[0]["flags"], json!(["ko.abuse"]));
    assert!(whole[1]["text"].is_null() && whole[1]["deleted"] == true, "{}", whole[1]);
    for decision in &whole[2..5] {
        assert_eq!(decision["reason"], "a private reason");
        assert_eq!(decision["by"]["nickname"], "mod");
    }
    assert_eq!(whole[4]["settings"]["words"], json!(["a private word"]));
    assert_eq!(whole[6]["reason"], "a private reason");

    let (mut analyst, _) = Reader::start(&node, 42, &analyst(), "window").await;
    let seen = analyst.events(6).await;
    let types: Vec<&str> = seen.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let shown = ["message.posted", "message.posted", "message.deleted", "user.banned", "user.banned", "message.posted"];
    assert_eq!(types, shown);
    assert_eq!(seen[0]["flags"], json!(["ko.abuse"]));
    assert_eq!((&seen[2]["target"], &seen[3]["user"]), (&json!(deleted.id), &json!(7)));
    let text = json!(seen).to_string();
    for private in ["deleted in time", "private", "mod", "\"by\""] {
        assert!(!text.contains(private), "{private} is in {text}");
    }

    // Erased users are gone from what a reader is shown afterwards.
    let erased = Body::UserErased(UserErased { user, mode: chat::ErasureMode::Remove, by: by.clone() });
    world.log.append_everywhere(&Event { presenter: None, ..Event::now(idx(1), erased) }).await.unwrap();
    let cleared = Body::RoomCleared(RoomCleared { by, reason });
    world.log.append(&Event::now(idx(42), cleared)).await.unwrap();
    analyst.events(2).await;
    let (mut later, _) = Reader::start(&node, 42, &self::analyst(), "window").await;
    let types: Vec<Value> = later.events(5).await.iter().map(|event| event["type"].clone()).collect();
    assert!(!types.contains(&json!("message.posted")), "{types:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_tokens_that_may_see_the_room_open_a_stream() {
    let world = World::start().await;
    // A reader that left is noticed when a keepalive cannot be written.
    let settings = world.settings.clone().set("delivery.max_readers_of_user", "2").set("delivery.keepalive", "1s");
    let node = Role::start("delivery", &settings).await;
    let path = "/v1/rooms/42/events";
    let viewer = token(7, "viewer");
    let forged = signed("another secret, also of more than 32 bytes", json!({ "user_idx": 42, "exp": now() + 60 }));
    let expired = signed(SECRET, json!({ "user_idx": 42, "exp": now() - 600 }));
    let cases = [
        (path, None, 401, "token_missing"),
        (path, Some(forged.as_str()), 401, "token_invalid"),
        (path, Some(&expired), 401, "token_expired"),
        (path, Some(&viewer), 403, "forbidden"),
        ("/v1/rooms/0/events", Some(&viewer), 400, "presenter_idx_invalid"),
        ("/v1/rooms/x/events", Some(&viewer), 400, "presenter_idx_invalid"),
        ("/v1/rooms/7/events?form=now", Some(&viewer), 400, "query_invalid"),
    ];
    for (path, token, status, code) in cases {
        assert_eq!(refused(&node, path, token).await, (status, code.to_owned()), "{path} {token:?}");
    }
    let one = Reader::start(&node, 42, &moderator(), "now").await;
    let _other = Reader::start(&node, 43, &moderator(), "now").await;
    assert_eq!(refused(&node, path, Some(&moderator())).await, (503, "overloaded".to_owned()));
    drop(one);
    eventually("the place of the reader that left is free", PATIENCE, async || {
        let request = reqwest::Client::new().get(format!("{}{path}", node.url())).bearer_auth(moderator());
        (request.send().await.unwrap().status() == 200).then_some(())
    })
    .await;
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
    let last = reader.next().await.unwrap();
    assert_eq!(last.event, "expired");
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
        let told = reader.next().await.unwrap();
        assert_eq!((told.event.as_str(), &told.data), ("reconnect", &json!({ "withinMs": 2_000 })));
        assert!(reader.next().await.is_none());
        world.post(42, &["meanwhile"]).await;
        let (mut reader, welcome) = Reader::resume(&new, 42, &moderator(), &reader.last).await;
        assert_eq!(welcome["recovered"], true);
        assert_eq!(reader.texts(1).await, ["meanwhile"]);
    };
    assert_eq!(tokio::join!(stopped, moved).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_room_is_heard_of_and_its_position_moves_with_the_log() {
    let world = World::start().await;
    let node = world.node_with("keepalive", "1s").await;
    let (mut reader, welcome) = Reader::start(&node, 42, &moderator(), "now").await;
    world.post(43, &["to another room"]).await;
    let position = eventually("the position moves", PATIENCE, async || {
        let heard = reader.next().await.unwrap();
        assert_eq!(heard.event, "keepalive");
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
async fn a_reader_that_takes_nothing_harms_nobody() {
    let world = World::start().await;
    let node = world.node().await;
    let (mut page, _) = Page::connect(&node, 42).await;
    // It holds its stream and never reads it.
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

#[tokio::test(flavor = "multi_thread")]
async fn a_rooms_setting_admits_viewers_on_every_node_and_sends_them_away_again() {
    let world = World::start().await;
    let node = world.node().await;
    let (path, viewer) = ("/v1/rooms/42/events", token(7, "viewer"));
    assert_eq!(refused(&node, path, Some(&viewer)).await, (403, "forbidden".to_owned()));
    world.log.append(&readers("members", None)).await.unwrap();
    let admitted = async |node: &Role, token: Option<&str>| {
        eventually("the viewer is admitted", PATIENCE, async || {
            let request = reqwest::Client::new().get(format!("{}{path}?from=window", node.url()));
            let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
            let answer = request.send().await.unwrap();
            (answer.status() == 200).then_some(answer)
        })
        .await
    };
    let (mut reader, _) = Reader::of(admitted(&node, Some(&viewer)).await).await;
    assert_eq!(refused(&node, path, None).await, (401, "token_missing".to_owned()));
    let mut flagged = message(42, "flagged");
    if let Body::MessagePosted(posted) = &mut flagged.body {
        posted.flags = vec!["ko.abuse".to_owned()];
    }
    world.log.append(&flagged).await.unwrap();
    let event = reader.event().await;
    // The decision that admits it is not shown to it.
    assert_eq!((&event["text"], event.get("flags")), (&json!("flagged"), None));

    world.log.append(&readers("anyone", None)).await.unwrap();
    let (mut anonymous, _) = Reader::of(admitted(&node, None).await).await;
    assert_eq!(anonymous.texts(1).await, ["flagged"]);
    // A token that is shown has to be valid all the same.
    let expired = signed(SECRET, json!({ "user_idx": 7, "exp": now() - 600 }));
    assert_eq!(refused(&node, path, Some(&expired)).await, (401, "token_expired".to_owned()));
    // A node that starts later knows it too.
    let later = world.node().await;
    let (mut elsewhere, _) = Reader::of(admitted(&later, None).await).await;
    assert_eq!(elsewhere.texts(1).await, ["flagged"]);

    world.log.append(&readers("members", None)).await.unwrap();
    for reader in [&mut anonymous, &mut elsewhere] {
        assert_eq!(reader.next().await.unwrap().event, "closed");
        assert!(reader.next().await.is_none());
    }
    world.post(42, &["to members"]).await;
    assert_eq!(reader.texts(1).await, ["to members"]);
    world.log.append(&readers("off", None)).await.unwrap();
    assert_eq!(reader.next().await.unwrap().event, "closed");
    assert_eq!(refused(&node, path, Some(&viewer)).await, (403, "forbidden".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_setting_ends_the_streams_that_it_admitted() {
    let world = World::with(&[("ingest.room.readers", "off")]).await;
    let node = world.node_with("keepalive", "1s").await;
    let until = chat::now() + Duration::from_secs(3);
    world.log.append(&readers("anyone", Some(&until.to_string()))).await.unwrap();
    let answer = eventually("the viewer is admitted", PATIENCE, async || {
        let answer = reqwest::get(format!("{}/v1/rooms/42/events", node.url())).await.unwrap();
        (answer.status() == 200).then_some(answer)
    })
    .await;
    let (mut reader, _) = Reader::of(answer).await;
    loop {
        match reader.next().await.unwrap().event.as_str() {
            "keepalive" => {}
            "closed" => break,
            other => panic!("{other}"),
        }
    }
    assert_eq!(refused(&node, "/v1/rooms/42/events", None).await, (401, "token_missing".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deployment_decides_for_rooms_that_have_not() {
    let world = World::with(&[("ingest.room.readers", "anyone")]).await;
    let node = world.node_with("max_readers_of_address", "1").await;
    world.post(42, &["to anyone"]).await;
    let events = format!("{}/v1/rooms/42/events?from=window", node.url());
    let (mut reader, _) = Reader::of(reqwest::get(events).await.unwrap()).await;
    assert_eq!(reader.texts(1).await, ["to anyone"]);
    assert_eq!(refused(&node, "/v1/rooms/43/events", None).await, (503, "overloaded".to_owned()));
}
