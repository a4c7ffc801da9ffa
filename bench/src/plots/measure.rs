//! The measurements of each plot.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::Name;
use super::plot::Plot;
use crate::load::{self, Load, Nginx, Outcome, Pace, Target};
use crate::presenter::Presenter;
use crate::process;
use crate::system::System;

/// Offered posts a second, up to more than two cores take.
const RATES: [u64; 7] = [500, 1_000, 2_000, 5_000, 10_000, 15_000, 20_000];
/// With more, an overloaded ingest refuses some.
const POSTERS: [usize; 6] = [1, 4, 16, 64, 128, 256];
/// In the largest, every post is the first of its room, and asks the room server.
const ROOMS: [usize; 6] = [1, 10, 100, 1_000, 10_000, 100_000];
/// A room takes 500 characters by default.
const BYTES: [usize; 5] = [50, 100, 200, 300, 450];
const PARTITIONS: [usize; 5] = [1, 2, 4, 8, 16];
const PRESENTERS: [usize; 5] = [1, 10, 100, 1_000, 5_000];
const SESSIONS: [usize; 6] = [0, 1_000, 2_000, 4_000, 7_000, 10_000];

/// The most presenters of a quick run.
const QUICK: usize = 1_000;

/// Rooms and posters where neither is what grows.
const USUAL: (usize, usize) = (100, 256);

/// Concurrent handshakes.
const HANDSHAKES: usize = 256;

/// After the last handshake, before the memory is read.
const SETTLE: Duration = Duration::from_secs(1);

/// The connections that a worker of nginx takes: more than there are rooms and posters.
const CONNECTIONS: usize = 4_096;

/// Of all plots: a server reserves the log at once, and on a busy machine a post waits in place of being refused.
const SETTINGS: [(&str, &str); 3] = [
    ("CHATTING_NATS__MAX_SIZE", "2 GiB"),
    ("CHATTING_NATS__APPEND_QUEUE_WAIT", "4s"),
    ("CHATTING_INGEST__ROOMS__DEADLINE", "5s"),
];

/// Of each partition, where there are many.
const PARTITION_SIZE: &str = "256 MiB";

/// What is under load, besides ours.
const PEER: &str = "nchan";
const OURS: &str = "chatting-server";

/// Fills the plot.
pub(super) async fn measure(name: Name, plot: &mut Plot, is_quick: bool) -> anyhow::Result<()> {
    let mut bench = Bench { plot, run: 0, busy_besides: Vec::new() };
    match name {
        Name::Rate | Name::Posters => bench.beside_nchan(name).await?,
        Name::Rooms | Name::Size | Name::Presenters => bench.alone(name, is_quick).await?,
        Name::Partitions => bench.partitions().await?,
        Name::Memory => bench.memory(is_quick).await?,
    }
    let Bench { plot, busy_besides, .. } = bench;
    plot.measured.busy_besides = busy_besides.iter().sum::<f64>() / busy_besides.len().max(1) as f64;
    Ok(())
}

struct Bench<'a> {
    plot: &'a mut Plot,
    /// The number of the last run.
    run: u64,
    /// Processors that other programs kept busy, of each run.
    busy_besides: Vec<f64>,
}

impl Bench<'_> {
    /// Ours and nchan, where it is installed.
    async fn beside_nchan(&mut self, name: Name) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let system = start(&[]).await?;
        let nginx = Nginx::start(&folder.path().join("nginx"), CONNECTIONS).await?;
        let measured = self.against(name, &system, nginx.as_ref()).await;
        // Also after an error: nothing else stops its workers.
        if let Some(nginx) = nginx {
            nginx.stop().await?;
        }
        measured
    }

    async fn against(&mut self, name: Name, system: &System, nginx: Option<&Nginx>) -> anyhow::Result<()> {
        let mut targets = vec![(OURS, Arc::new(Target::original(system)?))];
        if let Some(nginx) = nginx {
            targets.push((PEER, Arc::new(Target::nchan(nginx)?)));
        }
        let loads: Vec<(f64, Pace)> = match name {
            Name::Rate => RATES.iter().map(|rate| (*rate as f64, Pace::Open(*rate))).collect(),
            _ => POSTERS.iter().map(|posters| (*posters as f64, Pace::Closed(*posters))).collect(),
        };
        for _ in 0..self.plot.measured.rounds {
            for (x, pace) in &loads {
                for (who, target) in &targets {
                    let load = Load::new(0, *pace, USUAL.0, self.duration());
                    let outcome = self.run(target, system, load).await?;
                    match name {
                        Name::Rate => {
                            let (p50, p99) = outcome.arrived.context("nothing arrived")?;
                            self.plot.add(&format!("{who}, p50"), *x, p50 as f64 / 1_000.0);
                            self.plot.add(&format!("{who}, p99"), *x, p99 as f64 / 1_000.0);
                        }
                        _ => self.plot.add(who, *x, outcome.rate),
                    }
                }
            }
        }
        Ok(())
    }

    async fn alone(&mut self, name: Name, is_quick: bool) -> anyhow::Result<()> {
        let system = start(&[]).await?;
        // Presenters of chat.v1 are told when they are connected, which thousands of them need time for.
        let target = Arc::new(if name == Name::Presenters { Target::v1(&system)? } else { Target::original(&system)? });
        let (rooms, posters) = USUAL;
        let usual = Load::new(0, Pace::Closed(posters), rooms, self.duration());
        let loads: Vec<(usize, Load)> = match name {
            Name::Rooms => ROOMS.map(|rooms| (rooms, rooms.min(USUAL.0))).map(spread(usual)).into(),
            Name::Presenters => PRESENTERS.map(|rooms| (rooms, rooms)).map(spread(usual)).into(),
            _ => BYTES.map(|bytes| (bytes, Load { text_bytes: bytes, ..usual })).into(),
        };
        for _ in 0..self.plot.measured.rounds {
            for (x, load) in loads.iter().filter(|(_, load)| !is_quick || load.sockets <= QUICK) {
                let outcome = self.run(&target, &system, *load).await?;
                self.plot.add(OURS, *x as f64, outcome.rate);
            }
        }
        Ok(())
    }

    async fn partitions(&mut self) -> anyhow::Result<()> {
        for _ in 0..self.plot.measured.rounds {
            for partitions in PARTITIONS {
                let settings = [
                    ("CHATTING_NATS__PARTITIONS", partitions.to_string()),
                    ("CHATTING_NATS__MAX_SIZE", PARTITION_SIZE.to_owned()),
                ];
                let system = start(&settings).await?;
                let target = Arc::new(Target::original(&system)?);
                let load = Load::new(0, Pace::Closed(USUAL.1), USUAL.0, self.duration());
                let outcome = self.run(&target, &system, load).await?;
                self.plot.add(OURS, partitions as f64, outcome.rate);
            }
        }
        Ok(())
    }

    async fn memory(&mut self, is_quick: bool) -> anyhow::Result<()> {
        for _ in 0..self.plot.measured.rounds {
            let system = start(&[]).await?;
            let (node, target) = (&system.nodes[0], Target::v1(&system)?);
            let mut presenters: Vec<Presenter> = Vec::new();
            for sessions in SESSIONS.into_iter().filter(|sessions| !is_quick || *sessions <= QUICK) {
                let besides = Besides::start(&target)?;
                let tokens: Vec<(usize, String)> =
                    (presenters.len()..sessions).map(|number| (number, system.token(number as i64 + 1))).collect();
                let connecting = stream::iter(&tokens)
                    .map(|(number, token)| Presenter::connect(node.port, *number, token, None))
                    .buffered(HANDSHAKES);
                presenters.extend(connecting.try_collect::<Vec<_>>().await?);
                tokio::time::sleep(SETTLE).await;
                self.busy_besides.push(besides.processors(&target)?);
                self.plot.add("delivery", sessions as f64, node.memory()? as f64 / 1_048_576.0);
            }
        }
        Ok(())
    }

    async fn run(&mut self, target: &Arc<Target>, system: &System, load: Load) -> anyhow::Result<Outcome> {
        self.run += 1;
        let besides = Besides::start(target)?;
        let outcome = load::run(target, system, Load { run: self.run, ..load }).await?;
        self.busy_besides.push(besides.processors(target)?);
        let (pace, rooms, bytes) = (load.pace, load.rooms, load.text_bytes);
        eprintln!("{}: {pace}, {rooms} rooms, {bytes} bytes: {:.0} a second", target.name, outcome.rate);
        anyhow::ensure!(outcome.wrong == 0, "{} messages were lost, repeated or out of order", outcome.wrong);
        Ok(outcome)
    }

    fn duration(&self) -> Duration {
        Duration::from_secs(self.plot.measured.seconds)
    }
}

async fn start(settings: &[(&'static str, String)]) -> anyhow::Result<System> {
    let usual = SETTINGS.map(|(key, value)| (key, value.to_owned()));
    System::start_with(1, &[&usual, settings].concat()).await
}

/// So many rooms, of which so many have a presenter.
fn spread(usual: Load) -> impl Fn((usize, usize)) -> (usize, Load) {
    move |(rooms, sockets)| (rooms, Load { rooms, sockets, is_spread: rooms > USUAL.1, ..usual })
}

/// What other programs do meanwhile.
struct Besides {
    began: Instant,
    machine: f64,
    ours: f64,
}

impl Besides {
    fn start(target: &Target) -> anyhow::Result<Besides> {
        Ok(Besides { began: Instant::now(), machine: process::machine()?, ours: ours(target)? })
    }

    /// Processors that they kept busy, on average.
    fn processors(&self, target: &Target) -> anyhow::Result<f64> {
        let spent = process::machine()? - self.machine - (ours(target)? - self.ours);
        Ok((spent / self.began.elapsed().as_secs_f64()).max(0.0))
    }
}

/// CPU seconds of the target and of this process.
fn ours(target: &Target) -> anyhow::Result<f64> {
    let target = target.spent()?.iter().map(|(_, spent)| spent.user + spent.kernel).sum::<f64>();
    Ok(target + process::processor(std::process::id())?)
}
