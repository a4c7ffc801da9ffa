//! Decisions that are saved beyond the log's age, including those about every room.

use std::collections::HashMap;

use async_nats::jetstream;
use chat::{Body, Event, EventId, Position, RoomSwept, SweepRule, SweepUndone, UserBanned, UserIdx, UserUnbanned};
use futures_util::future::join_all;
use nats::{AppendError, Config, Log, Start, Subject};

use super::{config, everything, log, message, presenter, take};
use crate::support::{NatsServer, connect};

fn user(idx: i64) -> UserIdx {
    UserIdx::try_from(idx).unwrap()
}

fn moderator() -> chat::User {
    chat::User { idx: user(3), nickname: "mod".to_owned(), role: chat::Role::Moderator }
}

fn banned(idx: i64, reason: &str) -> Event {
    let banned = UserBanned {
        user: user(idx),
        until: None,
        purge_seconds: None,
        by: moderator(),
        reason: Some(reason.to_owned()),
    };
    Event::now(presenter(42), Body::UserBanned(banned))
}

fn banned_everywhere(idx: i64) -> Event {
    Event { presenter: None, ..banned(idx, "raid") }
}

fn position(sequence: u64) -> Position {
    Position { epoch: 1, sequence, index: 0 }
}

/// Every saved decision, by position.
async fn kept(log: &Log) -> HashMap<Position, Event> {
    let entries = log.decisions().load().await.unwrap().entries;
    entries.iter().map(|entry| (entry.position, entry.event().unwrap())).collect()
}

async fn with_partitions(server: &NatsServer, partitions: u32) -> Log {
    connect(&Config { partitions, ..config(&server.url()) }, "test").await
}

async fn context(server: &NatsServer) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

#[tokio::test]
async fn saved_decisions_load_unchanged_after_the_server_was_killed() {
    let server = NatsServer::start().await;
    let one = log(&server).await;
    let empty = one.decisions().load().await.unwrap();
    assert!(empty.entries.is_empty() && empty.checkpoints.is_empty());
    let decisions = [
        (position(1), banned(7, "한 줄")),
        (position(2), Event { id: EventId::derived(None, user(3), "key"), ..banned_everywhere(7) }),
        (position(3), Event::now(presenter(43), banned(7, "another room").body)),
    ];
    for (position, event) in &decisions {
        one.decisions().keep(Subject::of(event).unwrap(), *position, event).await.unwrap();
    }
    server.kill();
    server.start_again().await;
    assert_eq!(kept(&log(&server).await).await, HashMap::from(decisions));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_later_of_two_decisions_about_a_subject_is_kept_in_any_order_of_writes() {
    let server = NatsServer::start().await;
    let logs = [log(&server).await, log(&server).await];
    let last = banned(7, "40");
    for round in 0..5 {
        // Both write all of them concurrently, in different orders.
        let subject = Subject::Ban(Some(presenter(100 + round)), user(7));
        let keep = async |log: &Log, sequence: u64| {
            let event = if sequence == 40 { last.clone() } else { banned(7, &sequence.to_string()) };
            log.decisions().keep(subject, position(sequence), &event).await.unwrap();
        };
        let upwards = async {
            for sequence in 1..=40 {
                keep(&logs[0], sequence).await
            }
        };
        let downwards = async {
            for sequence in (1..=40).rev() {
                keep(&logs[1], sequence).await
            }
        };
        tokio::join!(upwards, downwards);
        let entries = logs[0].decisions().load().await.unwrap().entries;
        assert_eq!(entries.len(), round as usize + 1);
        assert!(entries.iter().all(|entry| entry.position == position(40) && entry.id == last.id));
    }
    // All concurrently.
    let subject = Subject::Settings(presenter(1));
    let many = (1..=10).map(async |sequence| {
        let decisions = logs[sequence as usize % 2].decisions();
        decisions.keep(subject, position(sequence), &banned(7, "any")).await
    });
    assert!(join_all(many).await.iter().all(Result::is_ok));
    let entries = logs[0].decisions().load().await.unwrap().entries;
    let settings: Vec<_> = entries.iter().filter(|entry| entry.position != position(40)).collect();
    assert_eq!(settings.iter().map(|entry| entry.position).collect::<Vec<_>>(), [position(10)]);
}

#[tokio::test]
async fn forgetting_a_decision_leaves_a_later_one() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let (decisions, subject) = (log.decisions(), Subject::Ban(None, user(7)));
    decisions.forget(subject, position(1)).await.unwrap();
    decisions.keep(subject, position(2), &banned_everywhere(7)).await.unwrap();
    for other in [1, 3] {
        decisions.forget(subject, position(other)).await.unwrap();
        assert_eq!(kept(&log).await.len(), 1);
    }
    decisions.forget(subject, position(2)).await.unwrap();
    assert!(kept(&log).await.is_empty());
    decisions.forget(subject, position(2)).await.unwrap();
    decisions.keep(subject, position(4), &banned_everywhere(7)).await.unwrap();
    assert_eq!(kept(&log).await.into_keys().collect::<Vec<_>>(), [position(4)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checkpoint_of_each_partition_only_moves_forward() {
    let server = NatsServer::start().await;
    let (one, other) = (with_partitions(&server, 3).await, with_partitions(&server, 3).await);
    let rooms = rooms_of_each_partition(&one, 3);
    let at = |room: i64, sequence| Position { epoch: one.timelines().epoch(presenter(room)), sequence, index: 5 };
    let set =
        async |log: &Log, room: i64, sequence| log.decisions().set_checkpoints([at(room, sequence)]).await.unwrap();
    let up = async {
        for sequence in 1..=20 {
            set(&one, rooms[0], sequence).await
        }
    };
    let down = async {
        for sequence in (1..=20).rev() {
            set(&other, rooms[0], sequence).await
        }
    };
    tokio::join!(up, down);
    set(&one, rooms[1], 7).await;
    // Of an earlier log.
    one.decisions().set_checkpoints([position(1_000)]).await.unwrap();
    let mut read = other.decisions().load().await.unwrap().checkpoints;
    read.sort();
    let mut expected = vec![at(rooms[0], 20), at(rooms[1], 7)];
    expected.sort();
    assert_eq!(read, expected);
}

#[tokio::test]
async fn unknown_values_of_a_bucket_are_ignored_and_can_be_replaced() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let sound = banned(7, "sound");
    log.decisions().keep(Subject::of(&sound).unwrap(), position(1), &sound).await.unwrap();
    let bucket = context(&server).await.get_key_value("decisions").await.unwrap();
    let odd = [
        ("ban.42.8", "garbage"),
        ("ban.42.9", "{}"),
        ("ban.42.10", r#"{"position":"1-2","event":{}}"#),
        ("ban.42.11", r#"{"position":"1-2-0","event":{"v":2,"id":"x"}}"#),
        ("ban.42.12", r#"{"position":"1-2-0","event":[],"more":true}"#),
        ("poll.42", r#"{"position":"1-2-0","event":"a kind of later"}"#),
        ("read.99", r#"{"position":"nowhere"}"#),
    ];
    for (key, value) in odd {
        bucket.put(key, value.into()).await.unwrap();
    }
    let loaded = log.decisions().load().await.unwrap();
    assert_eq!(loaded.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [sound.id]);
    assert!(loaded.checkpoints.is_empty());
    // The present value cannot be parsed, and the log decides. Or it can, and is later.
    for (sequence, idx, is_kept) in [(1, 8, true), (1, 9, true), (1, 11, false), (3, 12, true)] {
        let event = banned(idx, "new");
        log.decisions().keep(Subject::of(&event).unwrap(), position(sequence), &event).await.unwrap();
        let ids: Vec<EventId> = log.decisions().load().await.unwrap().entries.iter().map(|entry| entry.id).collect();
        assert_eq!(ids.contains(&event.id), is_kept, "user {idx}");
    }
}

#[tokio::test]
async fn a_decision_is_about_its_room_and_user_or_its_room() {
    let unbanned = Body::UserUnbanned(UserUnbanned { user: user(7), by: moderator(), reason: None });
    let swept =
        RoomSwept { rule: SweepRule::default(), seconds_back: 60, forward: None, by: moderator(), reason: None };
    let sweep = Event::now(presenter(42), Body::RoomSwept(Box::new(swept)));
    let undone = Body::SweepUndone(SweepUndone { target: sweep.id, by: moderator(), reason: None });
    let cases = [
        (banned(7, "x"), Some(Subject::Ban(Some(presenter(42)), user(7)))),
        (Event::now(presenter(42), unbanned.clone()), Some(Subject::Ban(Some(presenter(42)), user(7)))),
        (Event { presenter: None, ..Event::now(presenter(1), unbanned) }, Some(Subject::Ban(None, user(7)))),
        (sweep.clone(), Some(Subject::Sweep(presenter(42), sweep.id))),
        (Event::now(presenter(42), undone), Some(Subject::Sweep(presenter(42), sweep.id))),
        (message(42, "hi"), None),
    ];
    for (event, subject) in cases {
        assert_eq!(Subject::of(&event), subject, "{event:?}");
    }
}

#[tokio::test]
async fn a_tail_after_a_position_begins_with_the_batch_that_follows() {
    let server = NatsServer::start().await;
    let log = with_partitions(&server, 3).await;
    let rooms = rooms_of_each_partition(&log, 3);
    let mut positions = Vec::new();
    for n in 0..3 {
        for room in &rooms {
            positions.push(log.append(&message(*room, n.to_string())).await.unwrap());
        }
    }
    // The first partition from the first batch on, the second from the last on, and the third from its beginning.
    let after = vec![positions[0], positions[7], position(1_000)];
    let mut tail = log.tail(Start::After(after));
    let mut seen: Vec<Position> = take(&mut tail, 5).await.iter().map(|entry| entry.position).collect();
    seen.sort();
    let mut expected = [3, 6, 2, 5, 8].map(|n| positions[n]);
    expected.sort();
    assert_eq!(seen, expected);
    let next = log.append(&message(rooms[1], "next")).await.unwrap();
    assert_eq!(take(&mut tail, 1).await[0].position, next);

    // A tail from the end has no events and is caught up.
    let mut tail = log.tail(Start::After(vec![positions[6], next, positions[8]]));
    let status = tail.status();
    tokio::select! {
        events = tail.next() => panic!("events of the past: {events:?}"),
        () = status.caught_up() => {}
    }
}

#[tokio::test]
async fn an_event_of_every_room_stands_in_every_partition_and_counts_once() {
    let server = NatsServer::start().await;
    let log = with_partitions(&server, 3).await;
    let rooms = rooms_of_each_partition(&log, 3);
    let event = banned_everywhere(7);
    let position = log.append(&event).await.unwrap();
    let again = log.append(&event).await.unwrap();
    assert!(again > position);
    for room in &rooms {
        log.append(&message(*room, "after")).await.unwrap();
    }
    let all = everything(&log).await;
    let of_every_room: Vec<_> = all.iter().filter(|entry| entry.presenter.is_none()).collect();
    assert_eq!(of_every_room.len(), 3, "one of each partition, the repeated ones left out");
    let counting: Vec<_> = of_every_room.iter().filter(|entry| log.counts(entry)).collect();
    assert_eq!(counting.iter().map(|entry| entry.position).collect::<Vec<_>>(), [position]);
    for room in &rooms {
        let epoch = log.timelines().epoch(presenter(*room));
        let in_order: Vec<_> = all.iter().filter(|entry| entry.position.epoch == epoch).collect();
        assert_eq!(
            in_order.iter().map(|entry| entry.kind.as_str()).collect::<Vec<_>>(),
            ["user.banned", "message.posted"]
        );
        assert!(log.counts(in_order[1]));
    }
    // Copies are available on request.
    let mut tail = log.tail_with_copies(Start::Oldest);
    let copies = take(&mut tail, 9).await;
    assert_eq!(copies.iter().filter(|entry| entry.id == event.id).count(), 6);
    let mut tail = log.tail_of_events(Start::Oldest);
    let mut counts = Vec::new();
    while counts.len() < copies.len() {
        counts.extend(tail.next().await.unwrap().into_iter().map(|stored| (stored.position, stored.counts)));
    }
    counts.sort_unstable();
    let mut expected: Vec<_> = copies.iter().map(|entry| (entry.position, log.counts(entry))).collect();
    expected.sort_unstable();
    assert_eq!(counts, expected);
}

#[tokio::test]
async fn while_a_partition_takes_nothing_an_event_of_every_room_does_not_count_and_a_retry_completes_it() {
    for failing in 0..3 {
        completes_in_a_retry(failing).await;
    }
}

async fn completes_in_a_retry(failing: u32) {
    let server = NatsServer::start().await;
    let log = with_partitions(&server, 3).await;
    let context = context(&server).await;
    let resize = async |max_bytes| {
        let name = format!("CHAT_{failing}");
        let mut config = context.get_stream(name).await.unwrap().cached_info().config.clone();
        config.max_bytes = max_bytes;
        context.update_stream(config).await.unwrap();
    };
    resize(1).await;
    let event = banned_everywhere(7);
    assert_eq!(log.append(&event).await, Err(AppendError::Unknown));
    assert!(!everything(&log).await.iter().any(|entry| log.counts(entry)));

    resize(1_073_741_824).await;
    let position = log.append(&event).await.unwrap();
    let all = everything(&log).await;
    assert_eq!(all.len(), 3, "one in each partition: {all:?}");
    let counting: Vec<Position> = all.iter().filter(|entry| log.counts(entry)).map(|entry| entry.position).collect();
    assert_eq!(counting, [position]);
}

/// One room of each partition.
fn rooms_of_each_partition(log: &Log, partitions: usize) -> Vec<i64> {
    let mut rooms: Vec<(u64, i64)> = Vec::new();
    for room in 1..1_000 {
        let epoch = log.timelines().epoch(presenter(room));
        if !rooms.iter().any(|(known, _)| *known == epoch) {
            rooms.push((epoch, room));
        }
    }
    assert_eq!(rooms.len(), partitions);
    rooms.into_iter().map(|(_, room)| room).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_that_are_reworded_during_a_load_are_still_loaded() {
    let server = NatsServer::start().await;
    let (one, two) = (log(&server).await, log(&server).await);
    const BANS: u64 = 60;
    let subject = |idx: u64| Subject::Ban(Some(presenter(42)), user(idx as i64));
    for idx in 1..=BANS {
        one.decisions().keep(subject(idx), position(idx), &banned(idx as i64, "named")).await.unwrap();
    }
    let rewording = tokio::spawn(async move {
        for round in 0..5 {
            for idx in 1..=BANS {
                let reworded = banned(idx as i64, &format!("round {round}"));
                one.decisions().reword(subject(idx), position(idx), |event| event.body = reworded.body).await.unwrap();
            }
        }
        // A later decision at another position is saved, and is not reworded.
        one.decisions().reword(subject(1), position(99), |event| *event = banned(1, "another")).await.unwrap();
    });
    loop {
        let last = rewording.is_finished();
        let kept = kept(&two).await;
        assert_eq!(kept.len() as u64, BANS);
        if last {
            let reason = |event: &Event| match &event.body {
                Body::UserBanned(banned) => banned.reason.clone(),
                body => panic!("{body:?}"),
            };
            assert!(kept.values().all(|event| reason(event).as_deref() == Some("round 4")), "{kept:?}");
            break;
        }
    }
    rewording.await.unwrap();
}
