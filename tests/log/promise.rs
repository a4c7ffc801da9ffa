//! The promise of the log under random faults: a tail yields exactly the acknowledged events, and possibly those of
//! unknown outcome, each once, every room in the order of positions, and nothing that was refused.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chat::{EventId, Position, PresenterIdx, UserIdx};
use conf::Span;
use nats::{AppendError, Config, Entry, Log, Start};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::{config, everything, message, text};
use crate::support::{NatsServer, Proxy, connect};

/// A fault during appends.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    CutConnections,
    HoldUpTraffic(u64),
    KillServer { down_ms: u64 },
    PauseServer(u64),
    Quiet(u64),
}

#[derive(Debug, Clone)]
struct Scenario {
    partitions: u32,
    appenders: usize,
    /// Writers of each appender. Each appends in sequence.
    writers: usize,
    rooms: i64,
    /// One event in this many is appended by two appenders under the same id.
    twice_in: usize,
    troubles: Vec<Trouble>,
}

fn scenarios() -> impl Strategy<Value = Scenario> {
    let trouble = prop_oneof![
        3 => Just(Trouble::CutConnections),
        1 => (50..600_u64).prop_map(Trouble::HoldUpTraffic),
        2 => (0..500_u64).prop_map(|down_ms| Trouble::KillServer { down_ms }),
        1 => (50..1_500_u64).prop_map(Trouble::PauseServer),
        2 => (20..200_u64).prop_map(Trouble::Quiet),
    ];
    let troubles = proptest::collection::vec(trouble, 3..8);
    (prop_oneof![Just(1_u32), Just(3)], 1..4_usize, 1..12_usize, 1..6_i64, 2..10_usize, troubles).prop_map(
        |(partitions, appenders, writers, rooms, twice_in, troubles)| Scenario {
            partitions,
            appenders,
            writers,
            rooms,
            twice_in,
            troubles,
        },
    )
}

/// The known outcome of an appended event.
#[derive(Debug, Clone)]
struct Attempt {
    room: PresenterIdx,
    outcomes: Vec<Result<Position, AppendError>>,
}

#[test]
fn a_tail_yields_exactly_the_acknowledged_events_in_order_and_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runner = TestRunner::new(Cases { cases: 12, max_shrink_iters: 8, ..Cases::default() });
    runner
        .run(&scenarios(), |scenario| {
            runtime.block_on(play(&scenario)).map_err(|broken| TestCaseError::fail(format!("{broken}\n{scenario:?}")))
        })
        .unwrap();
}

async fn play(scenario: &Scenario) -> Result<(), String> {
    let server = NatsServer::start().await;
    let proxy = Arc::new(Proxy::start(server.url().replace("nats://", "")).await);
    let config =
        Config { partitions: scenario.partitions, append_deadline: Span::from_millis(1_500), ..config(&proxy.url()) };
    let mut logs = Vec::new();
    for _ in 0..scenario.appenders {
        logs.push(connect(&config, "appender").await);
    }
    let reader = connect(&config, "reader").await;
    let mut tail = reader.tail(Start::Oldest);
    let live = Arc::new(Mutex::new(Vec::<Entry>::new()));
    let reading = tokio::spawn({
        let live = live.clone();
        async move {
            while let Ok(events) = tail.next().await {
                live.lock().await.extend(events);
            }
        }
    });

    let stop = tokio_util::sync::CancellationToken::new();
    let writers: Vec<_> = (0..scenario.appenders * scenario.writers)
        .map(|writer| tokio::spawn(write(logs.clone(), writer, scenario.clone(), stop.clone())))
        .collect();
    for trouble in &scenario.troubles {
        make(*trouble, &server, &proxy).await;
        sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    let mut attempts = HashMap::new();
    for writer in writers {
        let writer = tokio::time::timeout(Duration::from_secs(20), writer).await;
        attempts.extend(writer.map_err(|_| "the log takes no events after the troubles")?.unwrap()?);
    }

    // A fresh reader and the live tail must agree.
    let fresh = connect(&Config { urls: vec![server.url().into()], ..config }, "fresh").await;
    let whole = everything(&fresh).await;
    let in_time = tokio::time::timeout(Duration::from_secs(20), async {
        while live.lock().await.len() < whole.len() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    let caught_up = in_time.await.is_ok();
    let live = live.lock().await.clone();
    reading.abort();
    if !caught_up {
        return Err(format!("the live tail has {} of {} events", live.len(), whole.len()));
    }
    check(&attempts, &whole)?;
    if rooms(&live) == rooms(&whole) { Ok(()) } else { Err("the live tail differs from a fresh one".to_owned()) }
}

/// Appends in sequence until the stop. Each event must have a higher position than the one before.
async fn write(
    logs: Vec<Log>,
    writer: usize,
    scenario: Scenario,
    stop: tokio_util::sync::CancellationToken,
) -> Result<HashMap<EventId, Attempt>, String> {
    let mut attempts = HashMap::new();
    let room = writer as i64 % scenario.rooms + 1;
    let log = &logs[writer % logs.len()];
    let (mut last, mut after) = (None, 0);
    for n in 0.. {
        let mut event = message(room, format!("{writer}/{n}"));
        let user = UserIdx::try_from(writer as i64 + 1).unwrap();
        event.id = EventId::derived(event.presenter, user, &n.to_string());
        let outcomes = if n % scenario.twice_in == 0 {
            let other = &logs[(writer + 1) % logs.len()];
            <[_; 2]>::from(tokio::join!(log.append(&event), other.append(&event))).to_vec()
        } else {
            vec![log.append(&event).await]
        };
        if let Some(position) = outcomes.iter().copied().filter_map(Result::ok).min() {
            if last.is_some_and(|last| last > position) {
                return Err(format!("{position} follows {}", last.expect("it was compared")));
            }
            last = outcomes.iter().copied().filter_map(Result::ok).max();
        }
        // The faults are over at `stop`: from then on the log must accept events.
        after += usize::from(stop.is_cancelled() && outcomes.iter().all(Result::is_ok));
        attempts.insert(event.id, Attempt { room: event.presenter.unwrap(), outcomes });
        if after == 3 {
            break;
        }
        sleep(Duration::from_millis(1)).await;
    }
    Ok(attempts)
}

async fn make(trouble: Trouble, server: &NatsServer, proxy: &Proxy) {
    match trouble {
        Trouble::CutConnections => proxy.cut(),
        Trouble::HoldUpTraffic(ms) => {
            proxy.hold_up();
            sleep(Duration::from_millis(ms)).await;
            proxy.release();
        }
        Trouble::KillServer { down_ms } => {
            server.kill();
            sleep(Duration::from_millis(down_ms)).await;
            server.start_again().await;
        }
        Trouble::PauseServer(ms) => {
            server.pause();
            sleep(Duration::from_millis(ms)).await;
            server.resume();
        }
        Trouble::Quiet(ms) => sleep(Duration::from_millis(ms)).await,
    }
}

fn rooms(entries: &[Entry]) -> BTreeMap<PresenterIdx, Vec<(Position, String)>> {
    let mut rooms: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in entries {
        rooms.entry(entry.presenter.unwrap()).or_default().push((entry.position, text(entry)));
    }
    rooms
}

fn check(attempts: &HashMap<EventId, Attempt>, log: &[Entry]) -> Result<(), String> {
    let stored: HashMap<EventId, &Entry> = log.iter().map(|entry| (entry.id, entry)).collect();
    if stored.len() != log.len() {
        return Err("an event stands in the tail twice".to_owned());
    }
    for (room, events) in rooms(log) {
        if !events.is_sorted_by(|(one, _), (other, _)| one < other) {
            return Err(format!("room {room} is not in the order of its positions"));
        }
    }
    for (id, entry) in &stored {
        let attempt = attempts.get(id).ok_or_else(|| format!("{id} was never appended"))?;
        if Some(attempt.room) != entry.presenter {
            return Err(format!("{id} is in another room"));
        }
        let possible = attempt.outcomes.iter().any(|outcome| matches!(outcome, Ok(_) | Err(AppendError::Unknown)));
        if !possible {
            return Err(format!("{id} was refused ({:?}) and is stored", attempt.outcomes));
        }
    }
    for (id, attempt) in attempts {
        let Some(first) = attempt.outcomes.iter().copied().filter_map(Result::ok).min() else { continue };
        let entry = stored.get(id).ok_or_else(|| format!("{id} was acknowledged at {first} and is lost"))?;
        let unknown = attempt.outcomes.contains(&Err(AppendError::Unknown));
        let in_place = if unknown { entry.position <= first } else { entry.position == first };
        if !in_place {
            return Err(format!("{id} was acknowledged at {first} and stands at {}", entry.position));
        }
    }
    Ok(())
}
