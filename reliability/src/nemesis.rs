//! Injects faults, singly and in pairs, in an order that the seed decides. Every kind of fault comes once before any
//! repeats, so that a short run has most of them. [`fault`] lists the faults. [`processes`], [`network`], [`disks`] and
//! [`damage`] inject them and restore the system.

mod damage;
mod disks;
mod fault;
mod network;
mod processes;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use judge::history::{Observation, Recorder};
use tokio_util::sync::CancellationToken;

use self::fault::{Fault, deck};
use crate::system::{Kind, Link, Part, System};

/// How long a role or a server may take to stop.
const GRACE: Duration = Duration::from_secs(40);

/// Long faults outlast the acknowledgement wait of a batch (30 s), and sometimes the deduplication window of a batch
/// (120 s). In milliseconds.
const LASTING: std::ops::Range<u64> = 32_000..150_000;

/// The schedule of the faults.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    pub(crate) seed: u64,
    /// The pause between two faults, in milliseconds.
    pub(crate) calm: std::ops::Range<u64>,
    /// Words in the names of the wanted faults. Empty: all.
    pub(crate) words: Vec<String>,
    /// Whether one fault in three lasts for [`LASTING`].
    pub(crate) lasting: bool,
}

/// The source of faults.
#[derive(Debug)]
pub(crate) struct Nemesis {
    system: Arc<System>,
    recorder: Arc<Recorder>,
    rng: Rng,
    possible: Vec<Fault>,
    /// The faults to come before the deck is shuffled again.
    deck: VecDeque<Fault>,
    faults: AtomicU64,
    course: Course,
}

/// A fault in progress.
struct Making<'a> {
    system: &'a System,
    recorder: &'a Recorder,
    fault: Fault,
    number: u64,
    /// Its duration.
    long: Duration,
    /// Whether the duration is a long one.
    lasts: bool,
}

impl Nemesis {
    pub(crate) fn new(system: Arc<System>, recorder: Arc<Recorder>, course: Course) -> anyhow::Result<Nemesis> {
        let possible = deck(&course.words, &system);
        anyhow::ensure!(
            !possible.is_empty(),
            "no fault that is possible here contains any of: {}",
            course.words.join(", ")
        );
        let (rng, faults) = (Rng::with_seed(course.seed), AtomicU64::new(0));
        Ok(Nemesis { system, recorder, rng, possible, deck: VecDeque::new(), faults, course })
    }

    /// Injects faults until the stop. On return every fault is over.
    pub(crate) async fn rage(&mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        loop {
            let calm = Duration::from_millis(self.rng.u64(self.course.calm.clone()));
            if stop.run_until_cancelled(tokio::time::sleep(calm)).await.is_none() {
                return Ok(());
            }
            let (one, mut first) = self.draw();
            let two = (self.rng.u32(..3) == 0).then(|| self.draw());
            match two {
                // Two faults must not hold the same process.
                Some((other, mut second)) if one.target() != other.target() => {
                    let (this, pause) = (&*self, Duration::from_millis(second.u64(..2_000)));
                    let later = async {
                        tokio::time::sleep(pause).await;
                        this.make(other, &mut second).await
                    };
                    tokio::try_join!(this.make(one, &mut first), later)?;
                }
                _ => self.make(one, &mut first).await?,
            }
        }
    }

    fn draw(&mut self) -> (Fault, Rng) {
        if self.deck.is_empty() {
            let mut deck = self.possible.clone();
            self.rng.shuffle(&mut deck);
            self.deck = deck.into();
        }
        let fault = self.deck.pop_front().expect("a new deck has cards");
        (fault, self.rng.fork())
    }

    async fn make(&self, fault: Fault, rng: &mut Rng) -> anyhow::Result<()> {
        let number = self.faults.fetch_add(1, Ordering::Relaxed);
        // Long enough for timeouts to expire, and sometimes for a lease to end.
        let long = if rng.u32(..4) == 0 { rng.u64(8_000..14_000) } else { rng.u64(500..5_000) };
        let lasts = self.course.lasting && rng.u32(..3) == 0;
        let long = Duration::from_millis(if lasts { rng.u64(LASTING) } else { long });
        let (system, recorder) = (&*self.system, &*self.recorder);
        let making = Making { system, recorder, fault, number, long, lasts };
        match fault {
            Fault::Kill(_) | Fault::KillLeader | Fault::KillFollower | Fault::KillPrimary => making.kill(rng).await?,
            Fault::Pause(_) | Fault::PauseLeader | Fault::PauseFollower => making.pause(rng).await?,
            Fault::StepDown => making.step_down(rng).await?,
            Fault::Terminate(kind) => making.terminate(kind, rng).await?,
            Fault::Roll(kind) => making.roll(kind).await?,
            Fault::KillEvery(kind) => making.kill_together(system.of(kind)).await?,
            Fault::PauseEvery(kind) => making.pause_together(system.of(kind)).await?,
            Fault::KillQuorum(kind) => making.kill_together(making.quorum(kind, rng)).await?,
            Fault::PauseQuorum(kind) => making.pause_together(making.quorum(kind, rng)).await?,
            Fault::ClockStep(kind) => making.step_clock(kind, rng).await?,
            Fault::FullDisk(kind) => making.fill_disk(kind, rng).await?,
            Fault::Stall(kind) => making.stall_disk(kind, rng).await?,
            Fault::SlowDisk(kind) => making.slow_disk(kind, rng).await?,
            Fault::FailingDisk(kind) => making.fail_disk(kind, rng).await?,
            Fault::PowerLoss(kind) => making.lose_power(&[making.part(kind, rng)]).await?,
            Fault::Blackout => making.lose_power(&system.parts.iter().collect::<Vec<_>>()).await?,
            Fault::Truncate | Fault::FlipBit => making.damage_log(rng).await?,
            Fault::ForgetReaders => making.forget_readers(rng).await?,
            Fault::Restore => making.restore_log(rng).await?,
            Fault::CutOff => making.cut_off(rng).await?,
            Fault::Cut(link) => making.cut(link, rng).await,
            Fault::HoldUp(link) | Fault::OneWay(link) | Fault::Slow(link) | Fault::Refuse(link) => {
                making.disturb(vec![making.link(link, rng)], rng).await;
            }
            Fault::HoldUpEvery(link) | Fault::RefuseEvery(link) => {
                making.disturb(system.links.iter().filter(|other| other.name == link).collect(), rng).await;
            }
        }
        self.recorder.note(Observation::Heals { fault: number });
        Ok(())
    }
}

impl Making<'_> {
    /// Records the start of a fault of these parts.
    fn breaks(&self, parts: Vec<String>) {
        self.recorder.note(Observation::Breaks { fault: self.number, kind: self.fault.name(), parts });
    }

    async fn last(&self) {
        tokio::time::sleep(self.long).await;
    }

    fn part(&self, kind: Kind, rng: &mut Rng) -> &Part {
        let parts = self.system.of(kind);
        parts[rng.usize(..parts.len())]
    }

    fn link(&self, name: &str, rng: &mut Rng) -> &Link {
        let links: Vec<&Link> = self.system.links.iter().filter(|link| link.name == name).collect();
        links[rng.usize(..links.len())]
    }
}
