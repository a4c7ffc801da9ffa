//! Broadcasts, and their replay beside the video: derived from the presenter's sessions, in the log's order, without
//! drift, and the same whether it is sought or paged.

mod joins;

use std::collections::{BTreeMap, BTreeSet};

use chat::{Body, Event, RoomCleared};
use mongodb::bson::doc;
use serde_json::json;

use super::broadcast::{Session, TIMELINES, Told, offsets, recount, replay};
use super::broadcast_exports::exported;
use super::reading::{Reader, archive, archive_many, archived, said, texts, time};
use super::recording::{Rooms, each_of, shown};
use super::{World, deletion, presenter, user};
use crate::support::eventually;

/// A sequence of pseudorandom numbers.
fn scatter(seed: u64) -> impl FnMut(i64) -> i64 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as i64) % below
    }
}

/// A room with two interruptions, differing clocks and deleted messages.
pub(super) async fn cut_twice(world: &World) -> (Session, Vec<(i64, i64)>, Vec<Told>) {
    let sessions = [Session::new(0, 60_000), Session::new(100_000, 160_000), Session::new(161_000, 200_000)];
    let segments = vec![(0, 60_000), (100_000, 160_000), (161_000, 200_000)];
    let mut events: Vec<Event> =
        sessions.iter().flat_map(|session| [session.begins(42), session.ends(42, "lost")]).collect();
    let mut random = scatter(7);
    let mut told = Vec::new();
    for number in 0..300 {
        // From before the begin until after the end, up to three seconds off.
        let ms = number * 700 - 4_000 + random(6_000) - 3_000;
        // Some in the same millisecond, some exactly at the ends.
        let ms = match number {
            10 => 0,
            90 => 60_000,
            150 => 100_000,
            290 => 200_000,
            _ => ms / 10 * 10,
        };
        let event = said(42, 7 + number % 5, ms, &format!("message {number}"));
        told.push(Told { id: event.id, ms, deleted: random(10) == 0 });
        events.push(event);
    }
    archive(world, &events).await;
    let gone: Vec<Event> = told.iter().filter(|told| told.deleted).map(|told| deletion(42, told.id)).collect();
    archive_many(world, gone).await;
    (sessions[0], segments, told)
}

#[tokio::test]
async fn a_replay_is_in_the_logs_order_and_seeking_gives_what_paging_gives_at_every_offset() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let (session, segments, told) = cut_twice(&world).await;
    let reader = Reader::analyst(&archiver);
    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    for timeline in TIMELINES {
        let expected = recount(&segments, &told, timeline);
        assert!(expected.len() > 200 && expected.is_sorted_by_key(|(offset, _)| *offset));
        for first in [1_000, 7] {
            assert_eq!(replay(&reader, &path, timeline, first).await, expected, "{timeline}, {first} a page");
        }
        // A millisecond before and after some of them, too.
        let around = expected.iter().step_by(5).flat_map(|(offset, _)| [offset - 1, offset + 1]);
        let mut sought: BTreeSet<i64> = expected.iter().map(|(offset, _)| *offset).chain(around).collect();
        sought.remove(&-1);
        for from in sought {
            let query = [("from", &*from.to_string()), ("timeline", timeline), ("first", "5")];
            let page = reader.get(&format!("{path}/replay"), &query).await;
            let first = expected.partition_point(|(offset, _)| *offset < from);
            let rest = &expected[first..];
            let found = offsets(page["messages"].as_array().unwrap());
            assert_eq!(found, rest[..rest.len().min(5)], "{timeline} from {from}");
            assert_eq!(page["next"].is_null(), rest.len() <= 5, "{timeline} from {from}");
        }
    }
    let clock = reader.get(&format!("{path}/replay"), &[("from", "00:01:30.000"), ("first", "3")]).await;
    assert_eq!(clock, reader.get(&format!("{path}/replay"), &[("from", "90000"), ("first", "3")]).await);
    let beyond = reader.get(&format!("{path}/replay"), &[("from", "100:00:00")]).await;
    assert_eq!(beyond, json!({ "messages": [] }));
}

#[tokio::test]
async fn messages_deleted_after_the_broadcast_are_in_no_replay_and_shift_nothing() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let (session, segments, mut told) = cut_twice(&world).await;
    let reader = Reader::moderator(&archiver);
    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    let page = reader.get(&format!("{path}/replay"), &[("first", "50")]).await;
    let mut gone = Vec::new();
    for (index, told) in told.iter_mut().enumerate().filter(|(_, told)| !told.deleted) {
        if index % 3 == 0 {
            told.deleted = true;
            gone.push(deletion(42, told.id));
        }
    }
    archive_many(&world, gone).await;
    for timeline in TIMELINES {
        assert_eq!(replay(&reader, &path, timeline, 40).await, recount(&segments, &told, timeline), "{timeline}");
    }
    // A page from before continues with the same offsets.
    let after = page["next"].as_str().unwrap();
    let rest = reader.all(&format!("{path}/replay"), &[], "messages", 40).await;
    let on = reader.get(&format!("{path}/replay"), &[("after", after), ("first", "1000")]).await;
    let on = offsets(on["messages"].as_array().unwrap());
    assert!(!on.is_empty() && offsets(&rest).ends_with(&on));

    let cleared = RoomCleared { by: user(42), reason: None };
    archive(&world, &[Event::now(presenter(42), Body::RoomCleared(cleared))]).await;
    assert!(replay(&reader, &path, "wall", 40).await.is_empty());
    let broadcast = reader.get(&path, &[]).await;
    assert_eq!([&broadcast["messages"], &broadcast["chatters"]], [0, 0]);
}

/// Every room's recording as a broadcast with an interruption. Compares its replay, seeks and files with a
/// recount.
pub(super) async fn replay_is_right(world: &World, reader: &Reader<'_>, rooms: &Rooms) {
    let mut broadcasts = BTreeMap::new();
    let mut sessions = Vec::new();
    for (room, messages) in rooms {
        let (first, last) = (messages[0].ms, messages[messages.len() - 1].ms);
        let (middle, pause) = (first + (last - first) / 2, ((last - first) / 10).min(110_000));
        let segments = vec![(first, middle), (middle + pause, last)];
        let both = [Session::new(first, middle), Session::new(middle + pause, last)];
        sessions.extend(both.iter().flat_map(|session| [session.begins(*room), session.ends(*room, "lost")]));
        broadcasts.insert(*room, (both[0].id, segments));
    }
    archive_many(world, sessions).await;
    each_of(rooms, async |room, messages| {
        let (session, segments) = &broadcasts[&room];
        let path = format!("/v1/rooms/{room}/broadcasts/{session}");
        let told: Vec<Told> =
            messages.iter().map(|said| Told { id: said.id, ms: said.ms, deleted: said.deleted }).collect();
        for timeline in TIMELINES {
            let expected = recount(segments, &told, timeline);
            assert!(replay(reader, &path, timeline, 1_000).await == expected, "the replay of room {room}, {timeline}");
            for part in 0..10 {
                let from = expected.last().map_or(0, |(offset, _)| offset * part / 9);
                let query = [("from", &*from.to_string()), ("timeline", timeline), ("first", "20")];
                let page = reader.get(&format!("{path}/replay"), &query).await;
                let rest = &expected[expected.partition_point(|(offset, _)| *offset < from)..];
                let found = offsets(page["messages"].as_array().unwrap());
                assert_eq!(found, rest[..rest.len().min(20)], "room {room} {timeline} from {from}");
            }
        }
        let timeline = TIMELINES[usize::try_from(room).unwrap() % 2];
        let shown: Vec<&str> = shown(messages).map(|said| said.text.as_str()).collect();
        let expected = recount(segments, &told, timeline);
        let [ndjson, twitch, webvtt] = exported(reader, &path, timeline).await;
        for (format, found) in [("ndjson", ndjson), ("twitchdownloader", twitch), ("webvtt", webvtt)] {
            let texts = found.iter().map(|(_, _, text)| text.as_str());
            // Subtitles have no empty lines.
            let is_said =
                |(text, said): (&str, &&str)| text == *said || (format == "webvtt" && said.contains(['\n', '\r']));
            assert!(texts.zip(&shown).all(is_said), "what is said in {format} of room {room}");
            let found: Vec<(i64, String)> = found.into_iter().map(|(offset, id, _)| (offset, id)).collect();
            assert!(found == expected, "{format} of room {room}, {timeline}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_running_broadcast_always_has_a_next_page_with_the_messages_since() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let session = Session::new(0, 0);
    archive(&world, &[session.begins(42), said(42, 7, 1_000, "old")]).await;
    let reader = Reader::analyst(&archiver);
    let path = format!("/v1/rooms/42/broadcasts/{}/replay", session.id);
    let page = reader.get(&path, &[]).await;
    assert_eq!(texts(page["messages"].as_array().unwrap(), "text"), ["old"]);
    let next = page["next"].as_str().unwrap().to_owned();
    let new = super::message(42, "new");
    archive(&world, &[new]).await;
    eventually("the new message is in the replay", super::PATIENCE, async || {
        let page = reader.get(&path, &[("after", &next)]).await;
        assert!(page["next"].is_string());
        let messages = page["messages"].as_array().unwrap();
        (texts(messages, "text") == ["new"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn unauthorised_and_undocumented_requests_for_a_replay_are_refused() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let (session, other) = (Session::new(0, 60_000), Session::new(0, 60_000));
    let events =
        [session.begins(42), session.ends(42, "closed"), other.begins(43), said(42, 7, 1, "a"), said(42, 7, 2, "b")];
    archive(&world, &events).await;
    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    let viewer = Reader::with(&archiver, json!({ "user_idx": 7 }));
    let presenter = Reader::with(&archiver, json!({ "user_idx": 42 }));
    let below = ["", "/replay", "/export", "/replay/events"];
    for path in below.map(|rest| format!("{path}{rest}")).iter().chain([&"/v1/rooms/42/broadcasts".to_owned()]) {
        assert_eq!(viewer.refused(path, &[]).await.1, "forbidden", "{path}");
        assert_eq!(Reader::nobody(&archiver).refused(path, &[]).await.1, "token_missing", "{path}");
        assert_eq!(presenter.ask(path, &[("speed", "100")]).await.status(), 200, "{path}");
    }
    let reader = Reader::analyst(&archiver);
    for rest in below {
        let path = format!("/v1/rooms/42/broadcasts/x{rest}");
        assert_eq!(reader.refused(&path, &[]).await.1, "broadcast_id_invalid");
        let path = format!("/v1/rooms/42/broadcasts/{}{rest}", other.id);
        assert_eq!(reader.refused(&path, &[]).await.1, "broadcast_not_found");
    }
    let replay = format!("{path}/replay");
    let next = reader.get(&replay, &[("first", "1")]).await["next"].as_str().unwrap().to_owned();
    let elsewhere = format!("/v1/rooms/43/broadcasts/{}/replay", other.id);
    assert_eq!(reader.refused(&elsewhere, &[("after", &next)]).await.1, "cursor_invalid");
    assert_eq!(reader.refused("/v1/rooms/42/broadcasts", &[("after", &next)]).await.1, "cursor_invalid");
    let events = format!("{replay}/events");
    let export = format!("{path}/export");
    for (path, parameter) in [
        (&replay, ("from", "1.5")),
        (&replay, ("timeline", "other")),
        (&events, ("speed", "0")),
        (&events, ("speed", "NaN")),
        (&events, ("speed", "101")),
        (&export, ("format", "srt")),
    ] {
        let (status, code, detail) = reader.refused(path, &[parameter]).await;
        assert_eq!((status.as_u16(), code.as_str()), (400, "query_invalid"), "{parameter:?}");
        assert!(detail.contains(parameter.0), "{parameter:?}: {detail}");
    }
}

/// What MongoDB examined of the messages, by its profiler.
struct Examined {
    questions: usize,
    keys: i32,
    documents: i32,
}

/// What the request returns, and what MongoDB examines for it.
async fn examined<T>(world: &World, request: impl Future<Output = T>) -> (T, Examined) {
    world.database.run_command(doc! { "profile": 2 }).await.unwrap();
    let answer = request.await;
    world.database.run_command(doc! { "profile": 0 }).await.unwrap();
    let profile = world.collection("system.profile");
    let mut asked = profile.find(doc! { "ns": "chatting.chatting_log" }).await.unwrap();
    let mut examined = Examined { questions: 0, keys: 0, documents: 0 };
    while asked.advance().await.unwrap() {
        let question = asked.deserialize_current().unwrap();
        let number = |member: &str| question.get(member).and_then(mongodb::bson::Bson::as_i32).unwrap_or(0);
        examined.questions += 1;
        examined.keys += number("keysExamined");
        examined.documents += number("docsExamined");
    }
    (answer, examined)
}

#[tokio::test]
async fn the_numbers_of_a_broadcast_come_from_indexes_alone() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let session = Session::new(0, 20_000_000);
    let messages: Vec<Event> = (0..2_000).map(|number| said(42, 7 + number % 5, number * 1_000, "hi")).collect();
    archive(&world, &[session.begins(42)]).await;
    archive_many(&world, messages).await;
    let reader = Reader::analyst(&archiver);
    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    // While it runs, and when it is over.
    for is_over in [false, true] {
        if is_over {
            archive(&world, &[session.ends(42, "closed")]).await;
        }
        let (broadcast, Examined { documents, .. }) = examined(&world, reader.get(&path, &[])).await;
        assert_eq!([&broadcast["messages"], &broadcast["chatters"]], [2_000, 5], "{is_over}");
        assert_eq!(documents, 0, "{is_over}");
    }
}

#[tokio::test]
async fn finding_a_place_in_a_broadcast_looks_at_no_more_messages_than_it_gives() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let session = Session::new(0, 20_000_000);
    let messages: Vec<Event> = (0..20_000).map(|number| said(42, 7, number * 1_000, "hi")).collect();
    archive(&world, &[session.begins(42), session.ends(42, "closed")]).await;
    archive_many(&world, messages).await;
    let reader = Reader::analyst(&archiver);
    let path = format!("/v1/rooms/42/broadcasts/{}/replay", session.id);
    let (page, examined) = examined(&world, reader.get(&path, &[("from", "15000000"), ("first", "50")])).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 50);
    let Examined { questions, keys, documents } = examined;
    // The end of the broadcast and the place, each found by a time and the messages within 10 s of it, and the page
    // plus one message.
    assert_eq!((questions, documents), (5, 51));
    assert!(keys <= 51 + 2 * (1 + 12), "{keys} keys");
}
