//! Breaks things, alone and two at a time, in an order that the seed decides: every kind of fault before any comes
//! again, so that a short run too sees most of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use fastrand::Rng;
use nix::sys::signal::Signal;
use tokio_util::sync::CancellationToken;

use crate::history::{Recorder, What};
use crate::system::{Kind, Part, System};

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// SIGKILL, and started again.
    Kill(Kind),
    /// SIGSTOP, and SIGCONT.
    Pause(Kind),
    /// SIGTERM, and started again.
    Terminate(Kind),
    /// SIGTERM of every node of a role, one after the other, each when the one before is ready again.
    Roll(Kind),
    /// Connections are reset.
    Cut(&'static str),
    /// Connections stand and carry nothing.
    HoldUp(&'static str),
    /// Latency, and little bandwidth.
    Slow(&'static str),
    /// No connection can be made.
    Refuse(&'static str),
}

const KINDS: [Kind; 5] = [Kind::Nats, Kind::Mongod, Kind::Ingest, Kind::Delivery, Kind::Archiver];
const ROLES: [Kind; 3] = [Kind::Ingest, Kind::Delivery, Kind::Archiver];
const LINKS: [&str; 6] = [
    "ingest to nats",
    "delivery to nats",
    "archiver to nats",
    "archiver to mongod",
    "client to ingest",
    "presenter to delivery",
];

impl Fault {
    /// As the history and the command line call it.
    fn name(self) -> String {
        match self {
            Fault::Kill(kind) => format!("kill {}", kind.word()),
            Fault::Pause(kind) => format!("pause {}", kind.word()),
            Fault::Terminate(kind) => format!("terminate {}", kind.word()),
            Fault::Roll(kind) => format!("rolling restart of {}", kind.word()),
            Fault::Cut(link) => format!("reset {link}"),
            Fault::HoldUp(link) => format!("half-open {link}"),
            Fault::Slow(link) => format!("slow {link}"),
            Fault::Refuse(link) => format!("refuse {link}"),
        }
    }
}

/// Every fault whose name contains one of the words; all where there are none.
fn deck(words: &[String]) -> Vec<Fault> {
    let processes = KINDS.into_iter().flat_map(|kind| [Fault::Kill(kind), Fault::Pause(kind), Fault::Terminate(kind)]);
    let links = LINKS
        .into_iter()
        .flat_map(|link| [Fault::Cut(link), Fault::HoldUp(link), Fault::Slow(link), Fault::Refuse(link)]);
    let wanted = |fault: &Fault| words.is_empty() || words.iter().any(|word| fault.name().contains(word));
    processes.chain(ROLES.map(Fault::Roll)).chain(links).filter(wanted).collect()
}

/// How long a role or a server may take to stop by itself.
const GRACE: Duration = Duration::from_secs(40);

/// What breaks things.
#[derive(Debug)]
pub(crate) struct Nemesis {
    system: Arc<System>,
    recorder: Arc<Recorder>,
    rng: Rng,
    possible: Vec<Fault>,
    /// What is to come, of all that is possible.
    deck: VecDeque<Fault>,
    faults: AtomicU64,
    /// How long nothing is broken, between two faults.
    calm: std::ops::Range<u64>,
}

impl Nemesis {
    /// `words` are parts of the names of the faults that are wanted; none: all.
    pub(crate) fn new(
        system: Arc<System>,
        recorder: Arc<Recorder>,
        seed: u64,
        calm: std::ops::Range<u64>,
        words: &[String],
    ) -> anyhow::Result<Nemesis> {
        let possible = deck(words);
        anyhow::ensure!(!possible.is_empty(), "no fault is called like that: {}", words.join(", "));
        let (rng, faults) = (Rng::with_seed(seed), AtomicU64::new(0));
        Ok(Nemesis { system, recorder, rng, possible, deck: VecDeque::new(), faults, calm })
    }

    /// Breaks things until told to stop. When it returns everything is whole.
    pub(crate) async fn rage(&mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        loop {
            let calm = Duration::from_millis(self.rng.u64(self.calm.clone()));
            if stop.run_until_cancelled(tokio::time::sleep(calm)).await.is_none() {
                return Ok(());
            }
            let (one, mut first) = self.draw();
            let two = (self.rng.u32(..3) == 0).then(|| self.draw());
            match two {
                // Two hands on one process would undo each other's work.
                Some((other, mut second)) if target(one) != target(other) => {
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
        let breaks = |parts: Vec<String>| {
            self.recorder.note(What::Breaks { fault: number, kind: fault.name(), parts });
        };
        // Long enough for what waits to notice, and sometimes for a lease to end.
        let long = Duration::from_millis(if rng.u32(..4) == 0 { rng.u64(8_000..14_000) } else { rng.u64(500..5_000) });
        match fault {
            Fault::Kill(kind) => {
                let part = self.part(kind, rng);
                let mut server = part.server.lock().await;
                breaks(vec![part.name.clone()]);
                server.kill()?;
                if rng.bool() {
                    tokio::time::sleep(long.min(Duration::from_secs(4))).await;
                }
                server.start().await.with_context(|| format!("{} does not start again", part.name))?;
            }
            Fault::Pause(kind) => {
                let part = self.part(kind, rng);
                let server = part.server.lock().await;
                breaks(vec![part.name.clone()]);
                server.signal(Signal::SIGSTOP)?;
                tokio::time::sleep(long).await;
                server.signal(Signal::SIGCONT)?;
            }
            Fault::Terminate(kind) => {
                let part = self.part(kind, rng);
                breaks(vec![part.name.clone()]);
                restart(part).await?;
            }
            Fault::Roll(kind) => {
                let parts: Vec<&Part> = self.system.parts.iter().filter(|part| part.kind == kind).collect();
                let names = parts.iter().map(|part| part.name.clone()).collect();
                breaks(names);
                for part in parts {
                    restart(part).await?;
                }
            }
            Fault::Cut(link) => {
                let link = self.link(link, rng);
                breaks(vec![link.part.clone()]);
                for _ in 0..rng.u32(1..6) {
                    link.proxy.cut();
                    tokio::time::sleep(Duration::from_millis(rng.u64(20..400))).await;
                }
            }
            Fault::HoldUp(link) => {
                let link = self.link(link, rng);
                breaks(vec![link.part.clone()]);
                link.proxy.hold_up();
                tokio::time::sleep(long).await;
                link.proxy.release();
            }
            Fault::Slow(link) => {
                let link = self.link(link, rng);
                breaks(vec![link.part.clone()]);
                link.proxy.slow_down(Duration::from_millis(rng.u64(20..400)));
                tokio::time::sleep(long).await;
                link.proxy.release();
            }
            Fault::Refuse(link) => {
                let link = self.link(link, rng);
                breaks(vec![link.part.clone()]);
                link.proxy.refuse();
                tokio::time::sleep(long).await;
                link.proxy.release();
            }
        }
        self.recorder.note(What::Heals { fault: number });
        Ok(())
    }

    fn part(&self, kind: Kind, rng: &mut Rng) -> &Part {
        let parts: Vec<&Part> = self.system.parts.iter().filter(|part| part.kind == kind).collect();
        parts[rng.usize(..parts.len())]
    }

    fn link(&self, name: &str, rng: &mut Rng) -> &crate::system::Link {
        let links: Vec<&crate::system::Link> = self.system.links.iter().filter(|link| link.name == name).collect();
        links[rng.usize(..links.len())]
    }
}

/// SIGTERM, and started again.
async fn restart(part: &Part) -> anyhow::Result<()> {
    let mut server = part.server.lock().await;
    server.terminate(GRACE).await?;
    server.start().await.with_context(|| format!("{} does not start again", part.name))
}

/// What a fault has in hand.
fn target(fault: Fault) -> &'static str {
    match fault {
        Fault::Kill(kind) | Fault::Pause(kind) | Fault::Terminate(kind) | Fault::Roll(kind) => kind.word(),
        Fault::Cut(link) | Fault::HoldUp(link) | Fault::Slow(link) | Fault::Refuse(link) => link,
    }
}
