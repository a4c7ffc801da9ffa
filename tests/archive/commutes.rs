//! The archive is a function of the log. It does not depend on the order or the repetition of batches, on the number of
//! concurrent archivers, or on which copy of an event comes first.

mod between;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use archiver::{Archive, ArchivedMessage};
use chat::{Body, ErasureMode, Event, EventId, MessageDeleted, MessagePosted, MessageReported, MessageRestored};
use chat::{ReportClosed, RoomCleared, UserBanned, UserErased};
use futures_util::future::join_all;
use jiff::Timestamp;
use mongodb::bson::{Bson, Document, doc};
use nats::Entry;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::broadcasts::at;
use super::{config, presenter, user};
use crate::support::Mongod;

/// An event of the log, with one of a few ids.
#[derive(Debug, Clone, Copy)]
enum Step {
    Post { id: u8, room: i64, author: i64 },
    Delete { id: u8, room: i64, target: u8 },
    Restore { id: u8, room: i64, target: u8 },
    Clear { id: u8, room: i64 },
    Purge { id: u8, room: i64, seconds: u32 },
    Report { id: u8, room: i64, target: u8 },
    Close { id: u8, room: i64, target: u8 },
}

/// A log, and an order in which its batches are archived, each at least once: groups in sequence, and the batches of a
/// group concurrently.
#[derive(Debug, Clone)]
struct Case {
    steps: Vec<Step>,
    groups: Vec<Vec<usize>>,
}

fn step() -> impl Strategy<Value = Step> {
    let room = |id: u8| 1 + i64::from(id % 2);
    prop_oneof![
        5 => (0..8_u8).prop_map(move |id| Step::Post { id, room: room(id), author: 7 + i64::from(id / 2 % 2) }),
        2 => (0..4_u8, 0..8_u8).prop_map(move |(id, target)| Step::Delete { id, room: room(id), target }),
        2 => (0..4_u8, 0..8_u8).prop_map(move |(id, target)| Step::Restore { id, room: room(id), target }),
        1 => (0..3_u8).prop_map(move |id| Step::Clear { id, room: room(id) }),
        2 => (0..4_u8, 1..12_u32).prop_map(move |(id, seconds)| Step::Purge { id, room: room(id), seconds }),
        2 => (0..4_u8, 0..8_u8).prop_map(move |(id, target)| Step::Report { id, room: room(id), target }),
        1 => (0..4_u8, 0..8_u8).prop_map(move |(id, target)| Step::Close { id, room: room(id), target }),
    ]
}

/// An order in which this many batches are archived.
fn groups(count: usize) -> impl Strategy<Value = Vec<Vec<usize>>> {
    let order = Just((0..count).collect::<Vec<_>>()).prop_shuffle();
    let repeated = prop::collection::vec(0..count, 0..6);
    (order, repeated, prop::collection::vec(1..4_usize, count + 6)).prop_map(|(mut order, repeated, sizes)| {
        order.extend(repeated);
        let mut rest = order.as_slice();
        let mut groups = Vec::new();
        for size in sizes {
            let (group, after) = rest.split_at(size.min(rest.len()));
            groups.push(group.to_vec());
            rest = after;
        }
        groups
    })
}

fn case() -> impl Strategy<Value = Case> {
    prop::collection::vec(step(), 4..24).prop_flat_map(|steps| {
        let groups = groups(steps.len());
        (Just(steps), groups).prop_map(|(steps, groups)| Case { steps, groups })
    })
}

impl Step {
    /// Each id belongs to one room and one kind. A copy has another time, and a copied decision another reason.
    fn event(self, place: usize) -> Event {
        let id = |kind: u8, id: u8| format!("00000000-0000-7000-8000-0000000000{kind:x}{id:x}").parse().unwrap();
        let at = Timestamp::from_second(1_800_000_000 + place as i64).unwrap();
        let (id, room, body) = match self {
            Step::Post { id: message, room, author } => {
                let posted = MessagePosted::new(user(author), format!("text {message}"));
                (id(1, message), room, Body::MessagePosted(posted))
            }
            Step::Delete { id: decision, room, target } => {
                let reason = Some(format!("copy at {place}"));
                let target = id(1, target);
                (id(2, decision), room, Body::MessageDeleted(MessageDeleted { target, by: user(room), reason }))
            }
            Step::Restore { id: decision, room, target } => {
                let restored = MessageRestored { target: id(1, target), by: user(room), reason: None };
                (id(4, decision), room, Body::MessageRestored(restored))
            }
            Step::Clear { id: decision, room } => {
                (id(3, decision), room, Body::RoomCleared(RoomCleared { by: user(room), reason: None }))
            }
            Step::Purge { id: decision, room, seconds } => {
                let (purged, purge_seconds) = (user(7 + i64::from(decision / 2)).idx, Some(seconds));
                let banned = UserBanned { user: purged, until: None, purge_seconds, by: user(room), reason: None };
                (id(5, decision), room, Body::UserBanned(banned))
            }
            Step::Report { id: report, room, target } => {
                let (target, reason) = (id(1, target), Some(format!("copy at {place}")));
                let reported = MessageReported { target, by: user(9), category: "spam".to_owned(), reason };
                (id(6, report), room, Body::MessageReported(reported))
            }
            Step::Close { id: decision, room, target } => {
                let reason = Some(format!("copy at {place}"));
                let closed = ReportClosed { target: id(1, target), by: user(room), reason };
                (id(7, decision), room, Body::ReportClosed(closed))
            }
        };
        Event { id, presenter: Some(presenter(room)), at, belated: true, request: None, body }
    }
}

/// The expected reports: the first copy of each, with its words.
fn expected_reports(log: &[Entry]) -> BTreeMap<EventId, (u64, Option<EventId>, Option<String>)> {
    let mut reports = BTreeMap::new();
    for entry in log {
        let (target, reason) = match entry.event().unwrap().body {
            Body::MessageReported(reported) => (reported.target, reported.reason),
            Body::ReportClosed(closed) => (closed.target, closed.reason),
            _ => continue,
        };
        reports.entry(entry.id).or_insert((entry.position.sequence, Some(target), reason));
    }
    reports
}

/// The expected archive: the first copy of each event, and of the deletions after a message and after its latest
/// restoration the first.
fn expected(log: &[Entry]) -> BTreeMap<EventId, (u64, Option<(EventId, Timestamp)>)> {
    let mut seen = BTreeSet::new();
    let mut messages: BTreeMap<EventId, (u64, Option<(EventId, Timestamp)>)> = BTreeMap::new();
    let (mut rooms, mut posts) = (BTreeMap::new(), BTreeMap::new());
    for entry in log.iter().filter(|entry| seen.insert(entry.id)) {
        let event = entry.event().unwrap();
        let taken_away: Vec<EventId> = match event.body {
            Body::MessagePosted(posted) => {
                posts.insert(entry.id, (posted.user.idx, entry.at));
                messages.insert(entry.id, (entry.position.sequence, None));
                rooms.insert(entry.id, entry.presenter);
                continue;
            }
            Body::MessageDeleted(deleted) => vec![deleted.target],
            Body::MessageRestored(restored) => {
                if rooms.get(&restored.target) == Some(&entry.presenter) {
                    messages.get_mut(&restored.target).unwrap().1 = None;
                }
                continue;
            }
            Body::UserBanned(banned) => {
                let since = entry.at - Duration::from_secs(banned.purge_seconds.unwrap().into());
                let is_purged = |id: &&EventId| posts[*id].0 == banned.user && posts[*id].1 >= since;
                messages.keys().filter(is_purged).copied().collect()
            }
            Body::RoomCleared(_) => messages.keys().copied().collect(),
            _ => Vec::new(),
        };
        for id in taken_away.into_iter().filter(|id| rooms.get(id) == Some(&entry.presenter)) {
            messages.get_mut(&id).unwrap().1.get_or_insert((entry.id, entry.at));
        }
    }
    messages
}

#[test]
fn the_archive_does_not_depend_on_the_order_the_repetition_or_the_concurrency_of_batches() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mongod = runtime.block_on(Mongod::start());
    let databases = std::cell::Cell::new(0);
    let settings = Config { cases: 48, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let result = TestRunner::new(settings).run(&case(), |case| {
        databases.set(databases.get() + 1);
        runtime.block_on(check(&mongod, &format!("case_{}", databases.get()), case))
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

async fn check(mongod: &Mongod, database: &str, case: Case) -> Result<(), TestCaseError> {
    let mut config = config(mongod).archiver;
    config.database = database.to_owned();
    // As of two archivers.
    let archives = [Archive::connect(&config).await.unwrap(), Archive::connect(&config).await.unwrap()];
    let log: Vec<Entry> =
        case.steps.iter().enumerate().map(|(place, step)| at(1 + place as u64, &step.event(place))).collect();
    for group in &case.groups {
        let writes = group.iter().enumerate().map(|(turn, place)| {
            let (archive, lines) = (&archives[turn % 2], vec![Ok(log[*place].clone())]);
            async move { archive.write(lines).await.unwrap() }
        });
        join_all(writes).await;
    }
    let mut archived = BTreeMap::new();
    for room in [1, 2] {
        for message in archives[0].room(presenter(room)).await.unwrap() {
            let ArchivedMessage { id, position, deleted, .. } = message;
            archived.insert(id, (position.sequence, deleted.map(|deleted| (deleted.decision, deleted.at))));
        }
    }
    prop_assert_eq!(archived, expected(&log));
    let decisions = archives[1].decisions().await.unwrap().into_iter();
    let reports = decisions.filter(|decision| ["message.reported", "report.closed"].contains(&decision.kind.as_str()));
    let reports: BTreeMap<_, _> =
        reports.map(|report| (report.id, (report.position.sequence, report.target, report.reason))).collect();
    prop_assert_eq!(reports, expected_reports(&log));
    Ok(())
}

/// A log with erasures: messages and decisions of a few users, with a few ids.
#[derive(Debug, Clone, Copy)]
enum Life {
    /// Each id belongs to one user, and comes from a key, so that copies are possible.
    Post {
        id: u8,
    },
    /// A user deletes a message.
    Delete {
        id: u8,
        target: u8,
    },
    /// A presenter clears the room.
    Clear {
        id: u8,
    },
    /// One user bans another.
    Ban {
        id: u8,
    },
    Erase {
        id: u8,
    },
}

/// Users 1 and 2 present rooms 1 and 2, and post in each other's.
const PEOPLE: u8 = 2;

fn life() -> impl Strategy<Value = Life> {
    prop_oneof![
        6 => (0..8_u8).prop_map(|id| Life::Post { id }),
        // In the room of the decision, because each id belongs to one room.
        2 => (0..4_u8, 0..8_u8).prop_map(|(id, target)| Life::Delete { id, target: target & !2 | id & 2 }),
        1 => (0..2_u8).prop_map(|id| Life::Clear { id }),
        1 => (0..2_u8).prop_map(|id| Life::Ban { id }),
        2 => (0..3_u8).prop_map(|id| Life::Erase { id }),
    ]
}

impl Life {
    fn person(id: u8) -> i64 {
        1 + i64::from(id % PEOPLE)
    }

    fn event(self, mode: ErasureMode) -> Event {
        let id = |kind: u8, id: u8| format!("00000000-0000-5000-8000-0000000000{kind:x}{id:x}").parse().unwrap();
        let event = |event: Event, id: EventId| Event { id, ..event };
        let room = |id: u8| presenter(1 + i64::from(id / PEOPLE % 2));
        match self {
            Life::Post { id: message } => {
                let (user, text) = (user(Life::person(message)), format!("text {message}"));
                let posted = MessagePosted::new(user, text);
                event(Event::now(room(message), Body::MessagePosted(posted)), id(1, message))
            }
            Life::Delete { id: decision, target } => {
                let (by, reason) = (user(Life::person(decision)), Some("reason".to_owned()));
                let deleted = MessageDeleted { target: id(1, target), by, reason };
                event(Event::now(room(target), Body::MessageDeleted(deleted)), id(2, decision))
            }
            Life::Clear { id: decision } => {
                let by = user(Life::person(decision));
                let room = presenter(Life::person(decision));
                event(Event::now(room, Body::RoomCleared(RoomCleared { by, reason: None })), id(3, decision))
            }
            Life::Ban { id: decision } => {
                let (banned, by) = (user(Life::person(decision)).idx, user(Life::person(decision + 1)));
                let reason = Some("reason".to_owned());
                let banned = UserBanned { user: banned, until: None, purge_seconds: Some(600), by, reason };
                event(Event::now(presenter(1), Body::UserBanned(banned)), id(4, decision))
            }
            Life::Erase { id: erasure } => {
                let erased = UserErased { user: user(Life::person(erasure)).idx, mode, by: user(9) };
                event(Event::of_every_room(Body::UserErased(erased)), id(5, erasure))
            }
        }
    }
}

/// The author of each message, and the author and the subject of each decision. None: unidentifiable.
type Named = (BTreeMap<String, Option<i64>>, BTreeMap<String, [Option<i64>; 2]>);

/// The first copy of each message and decision counts, and the last one of each erasure. Events before the erasure of
/// their author or subject have no number there.
fn names_left(lives: &[Life], mode: ErasureMode) -> Named {
    let mut erased_until = BTreeMap::new();
    for (place, life) in lives.iter().enumerate() {
        if let Life::Erase { id } = life {
            erased_until.insert(Life::person(*id), place);
        }
    }
    let left = |person: i64, place: usize| {
        let is_erased = erased_until.get(&person).is_some_and(|until| place < *until);
        if is_erased { None } else { Some(person) }
    };
    let (mut messages, mut decisions) = (BTreeMap::new(), BTreeMap::new());
    for (place, life) in lives.iter().enumerate() {
        let id = life.event(mode).id.to_string();
        match life {
            Life::Post { id: message } => _ = messages.entry(id).or_insert(left(Life::person(*message), place)),
            Life::Delete { id: decision, .. } | Life::Clear { id: decision } => {
                decisions.entry(id).or_insert([left(Life::person(*decision), place), None]);
            }
            Life::Ban { id: decision } => {
                let (banned, by) = (Life::person(*decision), Life::person(decision + 1));
                decisions.entry(id).or_insert([left(by, place), left(banned, place)]);
            }
            Life::Erase { .. } => {}
        }
    }
    if mode == ErasureMode::Remove {
        messages.retain(|_, author| author.is_some());
    }
    (messages, decisions)
}

#[test]
fn the_traces_of_an_erased_user_do_not_depend_on_the_order_repetition_or_concurrency_of_batches() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mongod = runtime.block_on(Mongod::start());
    let databases = std::cell::Cell::new(0);
    let settings = Config { cases: 64, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mode = prop_oneof![Just(ErasureMode::Remove), Just(ErasureMode::Anonymise)];
    let lives = prop::collection::vec(life(), 4..24).prop_flat_map(|lives| {
        let groups = groups(lives.len());
        (Just(lives), groups)
    });
    let result = TestRunner::new(settings).run(&(lives, mode), |((lives, groups), mode)| {
        databases.set(databases.get() + 1);
        runtime.block_on(check_lives(&mongod, &format!("life_{}", databases.get()), &lives, &groups, mode))
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

async fn check_lives(
    mongod: &Mongod,
    database: &str,
    lives: &[Life],
    groups: &[Vec<usize>],
    mode: ErasureMode,
) -> Result<(), TestCaseError> {
    let mut config = config(mongod).archiver;
    config.database = database.to_owned();
    let archives = [Archive::connect(&config).await.unwrap(), Archive::connect(&config).await.unwrap()];
    let log: Vec<Entry> =
        lives.iter().enumerate().map(|(place, life)| at(1 + place as u64, &life.event(mode))).collect();
    for group in groups {
        let writes = group.iter().enumerate().map(|(turn, place)| {
            let (archive, lines) = (&archives[turn % 2], vec![Ok(log[*place].clone())]);
            async move { archive.write(lines).await.unwrap() }
        });
        join_all(writes).await;
    }
    let database = mongodb::Client::with_uri_str(mongod.uri()).await.unwrap().database(database);
    let person = |document: &Document, path: &str| {
        let value = path.split('.').try_fold(Bson::from(document.clone()), |value, name| {
            value.as_document().and_then(|document| document.get(name)).cloned()
        });
        value.and_then(|value| value.as_i64()).filter(|person| *person > 0)
    };
    let (mut messages, mut decisions) = (BTreeMap::new(), BTreeMap::new());
    let mut found = database.collection::<Document>("moderation_log").find(doc! {}).await.unwrap();
    while found.advance().await.unwrap() {
        let document = found.deserialize_current().unwrap();
        let [by, about] = ["by.userIdx", "userIdx"].map(|path| person(&document, path));
        prop_assert_eq!(by.is_some(), !document.get_document("by").unwrap().get_str("nickname").unwrap().is_empty());
        decisions.insert(document.get_str("_id").unwrap().to_owned(), [by, about]);
    }
    let mut found = database.collection::<Document>("chatting_log").find(doc! {}).await.unwrap();
    while found.advance().await.unwrap() {
        let document = found.deserialize_current().unwrap();
        let author = person(&document, "userIdx");
        prop_assert_eq!(author.is_some(), !document.get_str("nickname").unwrap().is_empty());
        if let Ok(deleted) = document.get_document("deleted") {
            // The user who deleted it is named as in the decision.
            let decision = &decisions[deleted.get_str("decision").unwrap()];
            prop_assert_eq!(person(&document, "deleted.by.userIdx"), decision[0], "{}", document);
        }
        messages.insert(document.get_str("_id").unwrap().to_owned(), author);
    }
    let (messages_left, decisions_left) = names_left(lives, mode);
    prop_assert_eq!(messages, messages_left);
    prop_assert_eq!(decisions, decisions_left);
    Ok(())
}
