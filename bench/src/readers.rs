//! Measures many readers on one delivery node: all of one room, and one of each room, by `chat.v1` and by server-sent
//! events, beside nchan. What a reader takes of memory, how long a message takes to the last of them, and what they
//! cost the room's presenter.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use crate::load::wire::Tag;
use crate::load::{self, Load, Nginx, Pace, Request, TEXT_BYTES, Target};
use crate::process;
use crate::process::Spent;
use crate::system::System;
use crate::texts::texts;
use crowd::{Crowd, UNKNOWN, Watch};
use opening::{Opening, Way};
use table::Results;
use tally::Tally;

mod crowd;
mod opening;
mod table;
mod tally;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Readers, of one room, and then each of a room of its own
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=25_000))]
    readers: u32,
    /// Messages a second, in the one room
    #[arg(long, value_delimiter = ',', default_values_t = [1, 5, 10], value_parser = rate())]
    rates: Vec<u64>,
    /// Messages a second, in all rooms together
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 5_000], value_parser = rate())]
    rooms_rates: Vec<u64>,
    /// Messages in the one room at once. 0: none
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(..=10_000))]
    burst: u64,
    /// Seconds of each load
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Write every figure into this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Messages a second, of one generator.
fn rate() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=10_000)
}

/// 2,000: the files that a process opens beside the readers.
const OTHER_FILES: u64 = 2_000;

/// Connections that post.
const POSTERS: usize = 64;

/// The rate at which a burst is posted.
const BURST_RATE: u64 = 5_000;

/// The time that a server gets after its readers have connected, until its memory is looked at.
const SETTLE: Duration = Duration::from_secs(1);

/// Where the readers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Place {
    OneRoom,
    RoomEach,
}

/// A server and its readers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Audience {
    place: Place,
    target: &'static str,
    readers: usize,
    connect_seconds: f64,
    /// Bytes of the server's processes: before the readers, with them, and after the loads.
    memory_before: u64,
    memory_connected: u64,
    memory_after: u64,
    loads: Vec<Loaded>,
}

/// The figures of a load.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Loaded {
    load: String,
    messages: u64,
    deliveries_per_second: f64,
    /// Microseconds, p50 and p99, from the time at which a post was due: to each reader, to the last one of the room,
    /// to the room's presenter, and to the presenter before there were readers.
    each_micros: (u64, u64),
    last_micros: (u64, u64),
    presenter_micros: Option<(u64, u64)>,
    presenter_alone_micros: Option<(u64, u64)>,
    /// CPU microseconds a delivery, by process. `generator` is this program.
    processor_micros_per_delivery: Vec<(&'static str, f64)>,
    /// Deliveries that were lost, repeated or out of order, and messages that the presenter did not get once, in order.
    wrong: u64,
}

#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    process::allow_files(u64::from(arguments.readers) + OTHER_FILES)?;
    let folder = tempfile::tempdir()?;
    let mut results = Results::default();
    for place in [Place::OneRoom, Place::RoomEach] {
        for way in Way::ALL {
            let system = system(arguments).await?;
            let target = Arc::new(Target::v1(&system)?);
            let measured = measure(arguments, &system, target, None, (place, way)).await;
            results.add(measured.with_context(|| way.ours())?);
            let Some(nginx) =
                Nginx::start(&folder.path().join("nginx"), arguments.readers as usize + POSTERS + 64).await?
            else {
                eprintln!("nginx with nchan is not installed and is left out (Debian: nginx, libnginx-mod-nchan)");
                continue;
            };
            let measured = match Target::nchan(&nginx).map(Arc::new) {
                Ok(target) => {
                    let port = target.port();
                    measure(arguments, &system, target, Some(port), (place, way)).await
                }
                Err(error) => Err(error),
            };
            // Also after an error: nothing else stops its workers.
            nginx.stop().await?;
            results.add(measured.with_context(|| way.nchan())?);
        }
    }
    println!("{results}");
    if let Some(file) = &arguments.json {
        std::fs::write(file, results.json()?).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let wrong = results.wrong_of_ours();
    anyhow::ensure!(wrong == 0, "{wrong} of our deliveries were lost, repeated or out of order");
    Ok(())
}

/// A node that takes so many readers.
async fn system(arguments: &Arguments) -> anyhow::Result<System> {
    let readers = arguments.readers.to_string();
    let settings = [
        // 1 GiB: a fraction of it is posted.
        ("CHATTING_NATS__MAX_BYTES", (1 << 30).to_string()),
        ("CHATTING_DELIVERY__MAX_READERS", readers),
        // Readers may be at most half of the connections.
        ("CHATTING_DELIVERY__HTTP__MAX_CONNECTIONS", (2 * arguments.readers + 1_000).to_string()),
    ];
    System::start_with(1, &settings).await
}

/// Connects readers, loads them, and lets them go. `nchan` is its port: without one the readers are those of ours.
async fn measure(
    arguments: &Arguments,
    system: &System,
    target: Arc<Target>,
    nchan: Option<u16>,
    (place, way): (Place, Way),
) -> anyhow::Result<Audience> {
    let readers = arguments.readers as usize;
    let mut runs = Runs { system, target, rooms: place.rooms(readers), next: 1 };
    let loads = arguments.loads(place);
    let mut alone = Vec::new();
    for (_, load) in &loads {
        alone.push(match place {
            Place::OneRoom => runs.load(*load).await?.arrived,
            Place::RoomEach => None,
        });
    }
    let server = Arc::clone(&runs.target);
    let memory = || match nchan {
        Some(_) => server.own_memory(),
        None => process::own_memory(system.id("delivery")?),
    };
    let memory_before = memory()?;
    let openings = (0..readers).map(|reader| -> Opening {
        let room = reader % place.rooms(readers) + 1;
        match nchan {
            Some(port) => way.open_nchan(port, room),
            None => way.open_ours(system, 2_000_000 + reader as i64, room),
        }
    });
    let began = Instant::now();
    let mut crowd = Crowd::connect(way, openings.collect()).await?;
    let connect_seconds = began.elapsed().as_secs_f64();
    tokio::time::sleep(SETTLE).await;
    let mut audience = Audience {
        place,
        target: if nchan.is_some() { way.nchan() } else { way.ours() },
        readers,
        connect_seconds,
        memory_before,
        memory_connected: memory()?,
        memory_after: 0,
        loads: Vec::new(),
    };
    for ((name, load), presenter_alone_micros) in loads.into_iter().zip(alone) {
        let loaded;
        (crowd, loaded) = runs.watched(crowd, load, place.audience(readers)).await?;
        eprintln!("{}, {name}: {:.0} deliveries a second", audience.target, loaded.deliveries_per_second);
        audience.loads.push(Loaded { load: name, presenter_alone_micros, ..loaded });
    }
    audience.memory_after = memory()?;
    Ok(audience)
}

impl Arguments {
    /// The loads, by name: messages a second, and how long.
    fn loads(&self, place: Place) -> Vec<(String, (u64, Duration))> {
        let rates = match place {
            Place::OneRoom => &self.rates,
            Place::RoomEach => &self.rooms_rates,
        };
        let duration = Duration::from_secs(self.seconds);
        let mut loads: Vec<_> = rates.iter().map(|rate| (format!("{rate} messages/s"), (*rate, duration))).collect();
        if place == Place::OneRoom && self.burst > 0 {
            let duration = Duration::from_secs(1).mul_f64(self.burst as f64 / BURST_RATE as f64);
            loads.push((format!("{} messages at once", self.burst), (BURST_RATE, duration)));
        }
        loads
    }
}

impl Place {
    fn rooms(self, readers: usize) -> usize {
        match self {
            Place::OneRoom => 1,
            Place::RoomEach => readers,
        }
    }

    /// The readers of a room.
    fn audience(self, readers: usize) -> usize {
        readers / self.rooms(readers)
    }
}

/// The loads of a target, one after the other.
struct Runs<'a> {
    system: &'a System,
    target: Arc<Target>,
    rooms: usize,
    /// The number of the next run.
    next: u64,
}

impl Runs<'_> {
    /// Posts without readers.
    async fn load(&mut self, load: (u64, Duration)) -> anyhow::Result<load::Outcome> {
        self.post(load, Instant::now()).await
    }

    /// Posts while the readers watch.
    async fn watched(
        &mut self,
        mut crowd: Crowd,
        load: (u64, Duration),
        audience: usize,
    ) -> anyhow::Result<(Crowd, Loaded)> {
        let (watch, posts) =
            (Watch { run: self.next, start: Instant::now(), audience }, Arc::new(AtomicU64::new(UNKNOWN)));
        let before = self.spent()?;
        let watching = tokio::task::spawn_blocking({
            let posts = Arc::clone(&posts);
            move || anyhow::Ok((crowd.watch(watch, &posts)?, crowd))
        });
        let outcome = self.post(load, watch.start).await;
        // After an error, too: the readers wait for it.
        posts.store(outcome.as_ref().map_or(0, |outcome| outcome.messages), Ordering::Release);
        let (tally, crowd) = watching.await??;
        Ok((crowd, loaded(&outcome?, &tally, load.1, (&before, &self.spent()?))))
    }

    async fn post(&mut self, (rate, duration): (u64, Duration), start: Instant) -> anyhow::Result<load::Outcome> {
        let load = Load::new(self.next, Pace::Open(rate), self.rooms, duration);
        self.next += 1;
        // A presenter costs what a reader does. With a room each they would double the load.
        let presenter = (self.rooms == 1).then(|| self.target.socket(self.system, 1)).flatten();
        load::run_with(&self.target, presenter.into_iter().collect(), self.requests()?, load, start).await
    }

    /// The requests of each poster: over all of them every room has its turn.
    fn requests(&self) -> anyhow::Result<Vec<Vec<Request>>> {
        let (texts, each) = (texts(TEXT_BYTES - Tag::BYTES - 1)?, self.rooms.div_ceil(POSTERS));
        let request = |poster: usize, number: usize| {
            let (room, text) = ((poster * each + number) % self.rooms + 1, &texts[(poster + number) % texts.len()]);
            self.target.request(&self.system.token(1_000_000 + poster as i64), room, text)
        };
        (0..POSTERS).map(|poster| (0..each).map(|number| request(poster, number)).collect()).collect()
    }

    fn spent(&self) -> anyhow::Result<Vec<SpentBy>> {
        let mut spent = self.target.spent()?;
        spent.push(("generator", process::spent(std::process::id())?));
        Ok(spent)
    }
}

/// What a process has spent, by its name.
type SpentBy = (&'static str, Spent);

/// The figures of a load that readers watched.
fn loaded(
    outcome: &load::Outcome,
    tally: &Tally,
    duration: Duration,
    (before, after): (&[SpentBy], &[SpentBy]),
) -> Loaded {
    let deliveries = tally.deliveries.max(1) as f64;
    let cost = |((name, before), (_, after)): (&SpentBy, &SpentBy)| {
        (*name, (after.user + after.kernel - before.user - before.kernel) * 1e6 / deliveries)
    };
    Loaded {
        load: String::new(),
        messages: outcome.messages,
        deliveries_per_second: tally.rate(duration),
        each_micros: (tally.each.value_at_quantile(0.5), tally.each.value_at_quantile(0.99)),
        last_micros: (tally.whole.value_at_quantile(0.5), tally.whole.value_at_quantile(0.99)),
        presenter_micros: outcome.arrived,
        presenter_alone_micros: None,
        processor_micros_per_delivery: before.iter().zip(after).map(cost).collect(),
        wrong: tally.wrong(outcome.messages) + outcome.wrong,
    }
}
