//! The archive is a function of the log. It does not depend on the order or the repetition of batches, on the number of
//! concurrent archivers, or on which copy of an event comes first.

mod between;
mod erasures;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use archiver::{Archive, ArchivedMessage};
use chat::{Body, ErasureMode, Event, EventId, Forward, ForwardAction, Hold, MessageDeleted, MessageDenied};
use chat::{MessagePosted, MessageReleased};
use chat::{MessageReported, MessageRestored, ReportClosed, RoomCleared, RoomSwept, SweepMatcher, SweepRule};
use chat::{Similarity, SweepUndone, UserBanned, UserErased};
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
    Post {
        id: u8,
        room: i64,
        author: i64,
    },
    Delete {
        id: u8,
        room: i64,
        target: u8,
    },
    Restore {
        id: u8,
        room: i64,
        target: u8,
    },
    Clear {
        id: u8,
        room: i64,
    },
    Purge {
        id: u8,
        room: i64,
        seconds: u32,
    },
    Sweep {
        id: u8,
        room: i64,
        seconds: u32,
        /// For so many seconds. None: no span forward.
        forward: Option<i64>,
    },
    Unsweep {
        id: u8,
        room: i64,
        target: u8,
    },
    /// Of messages that were held, with ids of their own.
    Release {
        id: u8,
        room: i64,
        author: i64,
    },
    Deny {
        id: u8,
        room: i64,
    },
    Report {
        id: u8,
        room: i64,
        target: u8,
    },
    Close {
        id: u8,
        room: i64,
        target: u8,
    },
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
        2 => (0..4_u8, 0..12_u8).prop_map(move |(id, target)| Step::Delete { id, room: room(id), target }),
        2 => (0..4_u8, 0..12_u8).prop_map(move |(id, target)| Step::Restore { id, room: room(id), target }),
        1 => (0..3_u8).prop_map(move |id| Step::Clear { id, room: room(id) }),
        2 => (0..4_u8, 1..12_u32).prop_map(move |(id, seconds)| Step::Purge { id, room: room(id), seconds }),
        3 => (0..4_u8, 1..12_u32, prop::option::of(1..12_i64))
            .prop_map(move |(id, seconds, forward)| Step::Sweep { id, room: room(id), seconds, forward }),
        3 => (0..4_u8, 0..4_u8).prop_map(move |(id, target)| Step::Unsweep { id, room: room(id), target }),
        3 => (8..12_u8).prop_map(move |id| Step::Release { id, room: room(id), author: 7 + i64::from(id / 2 % 2) }),
        2 => (8..12_u8).prop_map(move |id| Step::Deny { id, room: room(id) }),
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
            Step::Sweep { id: decision, room, seconds, forward } => {
                // The first of each room by texts, the second by its users. Text 11 is similar to text 1.
                let (texts, users) = match decision / 2 {
                    0 => (Some((1..12).step_by(3).map(|message| format!("TEXT {message}")).collect()), None),
                    _ => (None, Some(vec![user(7).idx])),
                };
                let similarity = Similarity::try_from(85).ok().filter(|_| texts.is_some() && decision % 2 == 1);
                let rule = SweepRule { texts, similarity, users, label: None };
                let until = |seconds| at + jiff::SignedDuration::from_secs(seconds);
                // Every fourth holds, which deletes nothing.
                let action = if seconds % 4 == 0 { ForwardAction::Hold } else { ForwardAction::Refuse };
                let forward = forward.map(|seconds| Forward { action, until: until(seconds) });
                let swept = RoomSwept { rule, seconds_back: seconds, forward, by: user(room), reason: None };
                (id(8, decision), room, Body::RoomSwept(Box::new(swept)))
            }
            Step::Unsweep { id: decision, room, target } => {
                let undone = SweepUndone { target: id(8, target), by: user(room), reason: None };
                (id(9, decision), room, Body::SweepUndone(undone))
            }
            Step::Release { id: message, room, author } => {
                let posted = MessagePosted::new(user(author), format!("text {message}"));
                let position = chat::Position { epoch: 1, sequence: 1, index: 0 };
                let held = Hold { at, position, by: user(room), reason: None };
                (id(1, message), room, Body::MessageReleased(Box::new(MessageReleased { posted, held })))
            }
            Step::Deny { id: message, room } => {
                let author = user(7 + i64::from(message / 2 % 2)).idx;
                let denied = MessageDenied { target: id(1, message), user: author, by: user(room), reason: None };
                (id(1, message), room, Body::MessageDenied(denied))
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

/// The sweeps that a later decision of their room undoes. Only the first copy of each event counts.
fn undone(log: &[Entry]) -> BTreeSet<EventId> {
    let mut seen = BTreeSet::new();
    let (mut sweeps, mut undone) = (BTreeSet::new(), BTreeSet::new());
    for entry in log.iter().filter(|entry| seen.insert(entry.id)) {
        match entry.event().unwrap().body {
            Body::RoomSwept(_) => _ = sweeps.insert((entry.id, entry.presenter)),
            Body::SweepUndone(undoing) if sweeps.contains(&(undoing.target, entry.presenter)) => {
                undone.insert(undoing.target);
            }
            _ => {}
        }
    }
    undone
}

/// The expected archive: the first copy of each event, and of the deletions after a message and after its latest
/// restoration the first. A release and a denial have the id of their message.
fn expected(log: &[Entry]) -> BTreeMap<EventId, (u64, Option<(EventId, Timestamp)>)> {
    let mut seen = BTreeSet::new();
    let mut messages: BTreeMap<EventId, (u64, Option<(EventId, Timestamp)>)> = BTreeMap::new();
    let (mut rooms, mut posts, mut refusing) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let undone = undone(log);
    for entry in log.iter().filter(|entry| seen.insert(entry.id)) {
        let event = entry.event().unwrap();
        let taken_away: Vec<EventId> = match event.body {
            Body::MessageDenied(_) => continue,
            Body::MessageReleased(released) => {
                posts.insert(entry.id, (released.posted, entry.at));
                messages.insert(entry.id, (entry.position.sequence, None));
                rooms.insert(entry.id, entry.presenter);
                continue;
            }
            Body::MessagePosted(posted) => {
                let refuses = |(room, rule, from, until, _): &&(_, SweepMatcher, _, _, _)| {
                    *room == entry.presenter && (*from..*until).contains(&entry.at) && rule.matches_later(&posted)
                };
                let refused = refusing.iter().find(refuses).map(|(.., sweep)| *sweep);
                posts.insert(entry.id, (posted, entry.at));
                messages.insert(entry.id, (entry.position.sequence, refused));
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
                let is_purged = |id: &&EventId| posts[*id].0.user.idx == banned.user && posts[*id].1 >= since;
                messages.keys().filter(is_purged).copied().collect()
            }
            Body::RoomSwept(swept) if !undone.contains(&entry.id) => {
                let (rule, since) = (SweepMatcher::new(&swept.rule), swept.since(entry.at));
                let sweep = (entry.id, entry.at);
                refusing
                    .extend(swept.deletes_until().map(|until| (entry.presenter, rule.clone(), since, until, sweep)));
                let is_swept = |id: &&EventId| {
                    let (MessagePosted { user, text, flags, .. }, sent) = &posts[*id];
                    rule.matches(user, text, flags) && *sent >= since
                };
                messages.keys().filter(is_swept).copied().collect()
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
