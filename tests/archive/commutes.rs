//! The archive is a function of what the log holds: not of the order in which batches come, of how often, of how many
//! archivers write them at once, or of which copy of an event is seen first.

use std::collections::{BTreeMap, BTreeSet};

use archiver::{Archive, ArchivedMessage};
use futures_util::future::join_all;
use jiff::Timestamp;
use nats::{Body, Entry, Event, EventId, MessageDeleted, MessagePosted, RoomCleared};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::broadcasts::at;
use super::{config, presenter, user};
use crate::support::Mongod;

/// One event of the log; which of the few ids it has.
#[derive(Debug, Clone, Copy)]
enum Step {
    Post { id: u8, room: i64 },
    Delete { id: u8, room: i64, target: u8 },
    Clear { id: u8, room: i64 },
}

/// A log, and an order in which its batches are archived: each at least once, the groups one after the other, the
/// batches of a group at the same time.
#[derive(Debug, Clone)]
struct Case {
    steps: Vec<Step>,
    groups: Vec<Vec<usize>>,
}

fn step() -> impl Strategy<Value = Step> {
    let room = |id: u8| 1 + i64::from(id % 2);
    prop_oneof![
        5 => (0..8_u8).prop_map(move |id| Step::Post { id, room: room(id) }),
        2 => (0..4_u8, 0..8_u8).prop_map(move |(id, target)| Step::Delete { id, room: room(id), target }),
        1 => (0..3_u8).prop_map(move |id| Step::Clear { id, room: room(id) }),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    prop::collection::vec(step(), 4..24).prop_flat_map(|steps| {
        let count = steps.len();
        let order = Just((0..count).collect::<Vec<_>>()).prop_shuffle();
        let repeated = prop::collection::vec(0..count, 0..6);
        (Just(steps), order, repeated, prop::collection::vec(1..4_usize, count + 6)).prop_map(
            |(steps, mut order, repeated, sizes)| {
                order.extend(repeated);
                let mut rest = order.as_slice();
                let mut groups = Vec::new();
                for size in sizes {
                    let (group, after) = rest.split_at(size.min(rest.len()));
                    groups.push(group.to_vec());
                    rest = after;
                }
                Case { steps, groups }
            },
        )
    })
}

impl Step {
    /// Ids are of one room and one kind each; a copy has another time, and a decision's another reason.
    fn event(self, place: usize) -> Event {
        let id = |kind: u8, id: u8| format!("00000000-0000-7000-8000-0000000000{kind:x}{id:x}").parse().unwrap();
        let at = Timestamp::from_second(1_800_000_000 + place as i64).unwrap();
        let (id, room, body) = match self {
            Step::Post { id: message, room } => {
                let posted = MessagePosted { user: user(7), text: format!("text {message}"), flags: Vec::new() };
                (id(1, message), room, Body::MessagePosted(posted))
            }
            Step::Delete { id: decision, room, target } => {
                let reason = Some(format!("copy at {place}"));
                let target = id(1, target);
                (id(2, decision), room, Body::MessageDeleted(MessageDeleted { target, by: user(room), reason }))
            }
            Step::Clear { id: decision, room } => {
                (id(3, decision), room, Body::RoomCleared(RoomCleared { by: user(room), reason: None }))
            }
        };
        Event { id, presenter: Some(presenter(room)), at, request: None, body }
    }
}

/// What the archive has to hold: of each event the first copy, and of the decisions after a message the first.
fn expected(log: &[Entry]) -> BTreeMap<EventId, (u64, Option<(EventId, Timestamp)>)> {
    let mut seen = BTreeSet::new();
    let mut messages: BTreeMap<EventId, (u64, Option<(EventId, Timestamp)>)> = BTreeMap::new();
    let mut rooms = BTreeMap::new();
    for entry in log.iter().filter(|entry| seen.insert(entry.id)) {
        let event = entry.event().unwrap();
        let taken_away: Vec<EventId> = match event.body {
            Body::MessagePosted(_) => {
                messages.insert(entry.id, (entry.position.sequence, None));
                rooms.insert(entry.id, entry.presenter);
                continue;
            }
            Body::MessageDeleted(deleted) => vec![deleted.target],
            _ => messages.keys().copied().collect(),
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
    // Two, as two archivers.
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
    Ok(())
}
