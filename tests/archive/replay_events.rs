//! A replay that plays: nothing before its time, nothing lost or doubled by a listener that comes back, and what is
//! deleted while it plays does not come.

use std::time::{Duration, Instant};

use chat::Event;
use serde_json::Value;

use super::broadcast::{Session, offsets, recount};
use super::broadcasts::at;
use super::reading::{Reader, archive, archived, breaks_off, said};
use super::replay::cut_twice;
use super::{PATIENCE, World, deletion, message};
use crate::support::{EventStream, Role, StreamEvent, eventually};

/// A listener that works like an `EventSource`.
struct Listener {
    stream: EventStream,
    asked: Instant,
}

/// A received event.
#[derive(Debug)]
struct Heard {
    event: String,
    id: String,
    data: Value,
    /// The time since the request.
    after: Duration,
}

impl Listener {
    async fn new(reader: &Reader<'_>, path: &str, query: &[(&str, &str)], last: Option<&str>) -> Listener {
        let asked = Instant::now();
        let answer = ask(reader, path, query, last).await;
        Listener { stream: EventStream::of(answer, PATIENCE), asked }
    }

    /// The next event. None: the stream ended after a complete event.
    async fn next(&mut self) -> Option<Heard> {
        let StreamEvent { event, id, data } = self.stream.next().await?;
        Some(Heard { event: event.unwrap(), id: id.unwrap(), data, after: self.asked.elapsed() })
    }

    /// All events until the end.
    async fn rest(&mut self) -> Vec<Heard> {
        let mut heard = Vec::new();
        while let Some(event) = self.next().await {
            heard.push(event);
        }
        heard
    }
}

async fn ask(reader: &Reader<'_>, path: &str, query: &[(&str, &str)], last: Option<&str>) -> reqwest::Response {
    let request = reader.request(&format!("{path}/replay/events"), query);
    let request = match last {
        Some(last) => request.header("Last-Event-ID", last),
        None => request,
    };
    request.send().await.unwrap()
}

/// The messages among the events, in their order.
fn messages(heard: &[Heard]) -> Vec<(i64, String)> {
    let messages: Vec<Value> =
        heard.iter().filter(|heard| heard.event == "message").map(|heard| heard.data.clone()).collect();
    offsets(&messages)
}

#[tokio::test]
async fn messages_play_in_order_none_before_its_time_and_then_the_end() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let (session, segments, told) = cut_twice(&world).await;
    let reader = Reader::analyst(&archiver);
    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    for (timeline, from, speed) in [("segments", 0, 100), ("wall", 150_000, 50), ("segments", 1_000_000, 1)] {
        let query = [("timeline", timeline), ("from", &*from.to_string()), ("speed", &*speed.to_string())];
        let heard = Listener::new(&reader, &path, &query, None).await.rest().await;
        let mut expected = recount(&segments, &told, timeline);
        expected.retain(|(offset, _)| *offset >= from);
        assert_eq!(messages(&heard), expected, "{timeline} from {from}");
        let end = heard.last().unwrap();
        let duration = if timeline == "wall" { 200_000 } else { 159_000 };
        assert_eq!((end.event.as_str(), &end.data["durationMs"]), ("end", &Value::from(duration)));
        assert_eq!(heard.len(), expected.len() + 1);
        for Heard { data, after, .. } in &heard {
            let offset = data["offsetMs"].as_i64().unwrap_or(duration);
            let due = Duration::from_millis(((offset - from).max(0) / speed) as u64);
            assert!(*after >= due, "{offset} came after {after:?}, and is due after {due:?}");
        }
    }
}

#[tokio::test]
async fn a_reconnecting_listener_misses_and_repeats_nothing() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let (session, segments, told) = cut_twice(&world).await;
    let reader = Reader::analyst(&archiver);
    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    let query = [("speed", "100")];
    let mut heard = Vec::new();
    let mut last: Option<String> = None;
    'listening: loop {
        // It disconnects after a few more each time.
        let mut listener = Listener::new(&reader, &path, &query, last.as_deref()).await;
        for _ in 0..1 + heard.len() % 90 {
            let event = listener.next().await.expect("it ends with its end");
            last = Some(event.id.clone());
            heard.push(event);
            if heard.last().is_some_and(|heard| heard.event == "end") {
                break 'listening;
            }
        }
    }
    assert_eq!(messages(&heard), recount(&segments, &told, "segments"));
    // A listener that returns after the end is told that it is over.
    let again = Listener::new(&reader, &path, &query, last.as_deref()).await.rest().await;
    assert_eq!((again.len(), again[0].event.as_str()), (1, "end"));
    let refused = ask(&reader, &path, &query, Some("nonsense")).await;
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "cursor_invalid");
}

#[tokio::test]
async fn a_message_deleted_during_the_replay_is_not_sent() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let reader = Reader::analyst(&archiver);
    // On a machine that is too slow for the deletion, the broadcast must be longer.
    for (number, seconds) in [4, 16, 64].into_iter().enumerate() {
        let room = 42 + number as i64;
        let session = Session::new(0, seconds * 10_000);
        let last = session.to - 100;
        let events = [
            session.begins(room),
            session.ends(room, "closed"),
            said(room, 7, 0, "first"),
            said(room, 7, last, "last but one"),
            said(room, 7, last, "last"),
        ];
        archive(&world, &events).await;
        let path = format!("/v1/rooms/{room}/broadcasts/{}", session.id);
        let mut listener = Listener::new(&reader, &path, &[("speed", "10")], None).await;
        assert_eq!(listener.next().await.unwrap().data["text"], "first");
        archive(&world, &[deletion(room, events[3].id)]).await;
        let was_deleted_in_time = listener.asked.elapsed() < Duration::from_secs(seconds as u64 - 2);
        let heard = listener.rest().await;
        if was_deleted_in_time {
            let texts: Vec<&Value> = heard.iter().map(|heard| &heard.data["text"]).collect();
            assert_eq!(texts, [&Value::from("last"), &Value::Null]);
            return;
        }
    }
    panic!("deleting a message takes a minute");
}

#[tokio::test]
async fn a_running_broadcast_is_replayed_live_until_it_ends() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let reader = Reader::analyst(&archiver);
    let session = Session::new(0, 0);
    let begins = Event { at: jiff::Timestamp::now(), ..session.begins(42) };
    archive(&world, &[begins, message(42, "one")]).await;
    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    let mut listener = Listener::new(&reader, &path, &[("speed", "100")], None).await;
    assert_eq!(listener.next().await.unwrap().data["text"], "one");
    archive(&world, &[message(42, "two")]).await;
    assert_eq!(listener.next().await.unwrap().data["text"], "two");
    archive(&world, &[message(42, "three")]).await;
    let ends = Event { at: jiff::Timestamp::now(), ..session.ends(42, "closed") };
    archive(&world, &[ends]).await;
    assert_eq!(listener.next().await.unwrap().data["text"], "three");
    assert_eq!(listener.next().await.unwrap().event, "end");
    assert!(listener.next().await.is_none());
}

#[tokio::test]
async fn listeners_are_bounded_and_a_stop_ends_them_at_once() {
    let mut world = World::start().await;
    world.settings = world.settings.clone().set("archiver.reads.max_streams", "2");
    let archiver: Role = world.archiver().await;
    let session = Session::new(0, 3_600_000);
    archive(&world, &[session.begins(42), session.ends(42, "closed"), said(42, 7, 0, "hi")]).await;
    let reader = Reader::analyst(&archiver);
    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    let mut listeners = Vec::new();
    for _ in 0..2 {
        let mut listener = Listener::new(&reader, &path, &[], None).await;
        assert_eq!(listener.next().await.unwrap().data["text"], "hi");
        listeners.push(listener);
    }
    let refused = ask(&reader, &path, &[], None).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "overloaded");
    let (code, ends) = tokio::join!(archiver.terminate(), async {
        let mut ends = Vec::new();
        for listener in &mut listeners {
            ends.push(listener.next().await.is_none());
        }
        ends
    });
    assert_eq!((code, ends), (0, vec![true, true]));
    assert!(!archiver.log().contains("did not finish within the grace period"));
}

#[tokio::test]
async fn the_replay_of_a_running_broadcast_holds_back_unsettled_messages_and_skips_none() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let reader = Reader::analyst(&archiver);
    let session = Session::new(0, 0);
    let ago = |seconds: i64| jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds);
    let begins = Event { at: ago(60), ..session.begins(42) };
    let old = Event { at: ago(30), ..message(42, "old") };
    world.archive.write(vec![Ok(at(1, &begins)), Ok(at(2, &old))]).await.unwrap();
    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    let (pages, export) = (format!("{path}/replay"), format!("{path}/export"));
    let mut listener = Listener::new(&reader, &path, &[("speed", "100")], None).await;
    assert_eq!(listener.next().await.unwrap().data["text"], "old");
    let page = reader.get(&pages, &[]).await;
    let mut next = page["next"].as_str().unwrap().to_owned();

    // One archiver is faster than the other.
    let now = jiff::Timestamp::now();
    let (late, new) = (Event { at: now, ..message(42, "late") }, Event { at: now, ..message(42, "new") });
    world.archive.write(vec![Ok(at(4, &new))]).await.unwrap();
    let exported = reader.ask(&export, &[]).await.text().await.unwrap();
    assert_eq!(exported.lines().count(), 1, "{exported}");
    let page = reader.get(&pages, &[("after", &next)]).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 0, "{page}");
    world.archive.write(vec![Ok(at(3, &late))]).await.unwrap();
    assert!(now.duration_since(ago(4)).is_positive(), "the machine is too slow for this test to tell anything");

    let mut paged: Vec<String> = Vec::new();
    eventually("both are in the replay", PATIENCE, async || {
        let page = reader.get(&pages, &[("after", &next), ("first", "1")]).await;
        let messages = page["messages"].as_array().unwrap().clone();
        paged.extend(messages.iter().map(|message| message["text"].as_str().unwrap().to_owned()));
        next = page["next"].as_str().unwrap().to_owned();
        (paged.len() == 2).then_some(())
    })
    .await;
    assert_eq!(paged, ["late", "new"]);
    assert!(now < ago(5), "it was given before it had settled");
    assert_eq!(listener.next().await.unwrap().data["text"], "late");
    assert_eq!(listener.next().await.unwrap().data["text"], "new");
}

/// Batches of a killed archiver are redelivered after 30 s, long after later batches are archived.
#[tokio::test]
async fn the_replay_of_a_running_broadcast_stops_before_the_first_unarchived_message() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let reader = Reader::analyst(&archiver);
    let session = Session::new(0, 0);
    let ago = |seconds: i64| jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds);
    // Within the broadcast, settled, and not old enough to be taken for a clock error.
    let begins = Event { at: ago(7), ..session.begins(42) };
    let begun = world.log.append(&begins).await.unwrap();
    world.log.append(&message(42, "first")).await.unwrap();
    archived(&world).await;
    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    let (pages, mut next, mut shown) = (format!("{path}/replay"), None::<String>, Vec::new());
    let mut read = async |shown: &mut Vec<String>| {
        let after: Vec<(&str, &str)> = next.iter().map(|next| ("after", next.as_str())).collect();
        let page = reader.get(&pages, &after).await;
        shown.extend(page["messages"].as_array().unwrap().iter().map(|m| m["text"].as_str().unwrap().to_owned()));
        next = page["next"].as_str().map(str::to_owned);
    };
    eventually("the first is shown", PATIENCE, async || {
        read(&mut shown).await;
        (shown == ["first"]).then_some(())
    })
    .await;

    // Another archiver has written a later batch.
    let place = |sequence| chat::Position { sequence: begun.sequence + sequence, index: 0, ..begun };
    let behind = Event { at: ago(6), ..message(42, "behind") };
    let entry = nats::Entry::read(place(3), behind.to_line()).unwrap();
    world.archive.write(vec![Ok(entry)]).await.unwrap();
    for _ in 0..10 {
        read(&mut shown).await;
    }
    assert_eq!(shown, ["first"]);

    world.log.append(&Event { at: ago(6), ..message(42, "late") }).await.unwrap();
    world.log.append(&behind).await.unwrap();
    eventually("both are shown", PATIENCE, async || {
        read(&mut shown).await;
        (shown.len() == 3).then_some(())
    })
    .await;
    assert_eq!(shown, ["first", "late", "behind"]);
}

#[tokio::test]
async fn a_stream_ends_with_the_token_that_asked_for_it() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let (session, _, _) = cut_twice(&world).await;
    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    // Unbroken it would last 159 s.
    let claims = serde_json::json!({ "user_idx": 900, "scope": "chat:read", "exp": crate::ingest::tokens::now() + 3 });
    let reader = Reader::with(&archiver, claims);
    let mut answer = ask(&reader, &path, &[], None).await;
    assert_eq!(answer.status(), 200);
    assert!(breaks_off(&mut answer).await, "it is seen not to be whole");
    assert_eq!(ask(&reader, &path, &[], None).await.status(), 401);
}
