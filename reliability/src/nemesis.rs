//! Breaks things, alone and two at a time, in an order that the seed decides: every kind of fault before any comes
//! again, so that a short run too sees most of them.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use chatting_server::servers::{Ready, Server};
use fastrand::Rng;
use nix::sys::signal::Signal;
use tokio_util::sync::CancellationToken;

use crate::history::{Recorder, What};
use crate::system::{Kind, Link, Part, System, start_together};

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
    /// SIGKILL of the server that leads the log, or SIGSTOP, and whole again.
    KillLeader,
    PauseLeader,
    /// SIGKILL of a server that follows, or SIGSTOP, which cuts it off, and whole again.
    KillFollower,
    PauseFollower,
    /// SIGKILL of the primary, or it gives way.
    KillPrimary,
    StepDown,
    /// The other members, and sometimes its clients too, cannot reach a server of the log.
    CutOff,
    /// Nothing more fits on the disk.
    FullDisk(Kind),
    /// What was not synced is gone.
    PowerLoss(Kind),
    /// The same of every server at once, and every role dies with them.
    Blackout,
    /// The clock of a role is set to another time, and back.
    ClockStep(Kind),
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
const STORES: [Kind; 2] = [Kind::Nats, Kind::Mongod];
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
            Fault::KillLeader => "kill leader of the log".to_owned(),
            Fault::PauseLeader => "pause leader of the log".to_owned(),
            Fault::KillFollower => "kill follower of the log".to_owned(),
            Fault::PauseFollower => "pause follower of the log".to_owned(),
            Fault::KillPrimary => "kill primary of mongod".to_owned(),
            Fault::StepDown => "step down primary of mongod".to_owned(),
            Fault::CutOff => "cut off a server of the log".to_owned(),
            Fault::FullDisk(kind) => format!("full disk of {}", kind.word()),
            Fault::PowerLoss(kind) => format!("power loss of {}", kind.word()),
            Fault::Blackout => "power loss of everything".to_owned(),
            Fault::ClockStep(kind) => format!("clock step of {}", kind.word()),
            Fault::Cut(link) => format!("reset {link}"),
            Fault::HoldUp(link) => format!("half-open {link}"),
            Fault::Slow(link) => format!("slow {link}"),
            Fault::Refuse(link) => format!("refuse {link}"),
        }
    }
}

/// What can be broken here whose name contains one of the words; all where there are none.
fn deck(words: &[String], system: &System) -> Vec<Fault> {
    let is_cluster = system.monitoring.len() > 1;
    let has_disks = system.parts.iter().any(|part| part.disk.is_some());
    let has_clocks = system.parts.iter().any(|part| part.clock.is_some());
    let mut possible: Vec<Fault> =
        KINDS.into_iter().flat_map(|kind| [Fault::Kill(kind), Fault::Pause(kind), Fault::Terminate(kind)]).collect();
    possible.extend(ROLES.map(Fault::Roll));
    if is_cluster {
        possible.extend([Fault::KillLeader, Fault::PauseLeader, Fault::KillFollower, Fault::PauseFollower]);
        possible.extend([Fault::KillPrimary, Fault::StepDown, Fault::CutOff]);
        possible.extend([Fault::Roll(Kind::Nats), Fault::Roll(Kind::Mongod)]);
    }
    if has_disks {
        possible.extend(STORES.into_iter().flat_map(|kind| [Fault::FullDisk(kind), Fault::PowerLoss(kind)]));
        possible.push(Fault::Blackout);
    }
    if has_clocks {
        possible.extend(ROLES.map(Fault::ClockStep));
    }
    // Nothing of ours is between the members of a set and who asks them.
    let links = LINKS.into_iter().filter(|link| !is_cluster || *link != "archiver to mongod");
    possible
        .extend(links.flat_map(|link| [Fault::Cut(link), Fault::HoldUp(link), Fault::Slow(link), Fault::Refuse(link)]));
    possible.retain(|fault| words.is_empty() || words.iter().any(|word| fault.name().contains(word)));
    possible
}

/// How long a role or a server may take to stop by itself.
const GRACE: Duration = Duration::from_secs(40);

/// How long a disk is full, at least: checkpoints have to be written meanwhile.
const FULL_AT_LEAST: Duration = Duration::from_secs(5);

/// A server that goes on by itself, once there is room, is ready within this time.
const GOES_ON: Duration = Duration::from_secs(5);

/// By how many seconds a clock is set at most: an hour.
const FARTHEST_STEP: u32 = 3_600;

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
        let possible = deck(words, &system);
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
            Fault::Kill(_) | Fault::KillLeader | Fault::KillFollower | Fault::KillPrimary => {
                let part = self.victim(fault, rng).await?;
                let mut server = part.server.lock().await;
                breaks(vec![part.name.clone()]);
                server.kill()?;
                if rng.bool() {
                    tokio::time::sleep(long.min(Duration::from_secs(4))).await;
                }
                server.start().await.with_context(|| format!("{} does not start again", part.name))?;
            }
            Fault::Pause(_) | Fault::PauseLeader | Fault::PauseFollower => {
                let part = self.victim(fault, rng).await?;
                let server = part.server.lock().await;
                breaks(vec![part.name.clone()]);
                server.pause()?;
                tokio::time::sleep(long).await;
                server.signal(Signal::SIGCONT)?;
            }
            Fault::StepDown => {
                let part = self.victim(fault, rng).await?;
                let server = part.server.lock().await;
                breaks(vec![part.name.clone()]);
                if let Ready::ReplicaSet(members) = server.ready_when() {
                    // It has lost its office to somebody else meanwhile: that is what was wanted.
                    let _ = archiver::step_down(&members[0]).await;
                }
            }
            Fault::CutOff => {
                let server = self.victim(fault, rng).await?.name.clone();
                breaks(vec![server.clone()]);
                let (clients_too, silently) = (rng.bool(), rng.bool());
                let is_cut = |link: &&Link| {
                    let is_route = link.name == "nats to nats";
                    link.to == server && (is_route || clients_too) || is_route && link.part == server
                };
                let links: Vec<&Link> = self.system.links.iter().filter(is_cut).collect();
                for link in &links {
                    if silently { link.proxy.hold_up() } else { link.proxy.refuse() }
                }
                tokio::time::sleep(long).await;
                links.iter().for_each(|link| link.proxy.release());
            }
            Fault::FullDisk(kind) => {
                let part = self.part(kind, rng);
                let mut server = part.server.lock().await;
                breaks(vec![part.name.clone()]);
                let disk = part.disk()?;
                disk.fill().await?;
                tokio::time::sleep(long + FULL_AT_LEAST).await;
                disk.make_room()?;
                // Some go on by themselves; the others are started again, as whoever made the room does.
                let goes_on = tokio::time::timeout(GOES_ON, server.ready()).await;
                if !matches!(goes_on, Ok(Ok(()))) {
                    server.terminate(GRACE).await?;
                    server.start().await.with_context(|| format!("{} does not start again", part.name))?;
                }
            }
            Fault::PowerLoss(kind) => {
                let part = self.part(kind, rng);
                breaks(vec![part.name.clone()]);
                self.lose_power(&[part]).await?;
            }
            Fault::Blackout => {
                let all: Vec<&Part> = self.system.parts.iter().collect();
                breaks(all.iter().map(|part| part.name.clone()).collect());
                self.lose_power(&all).await?;
            }
            Fault::ClockStep(kind) => {
                let part = self.part(kind, rng);
                let file = part.clock.as_ref().context("its clock cannot be set")?;
                breaks(vec![part.name.clone()]);
                let (seconds, sign) = (rng.u32(1..FARTHEST_STEP), if rng.bool() { '+' } else { '-' });
                set_clock(file, &format!("{sign}{seconds}"))?;
                // Half of the time it also starts by the wrong clock.
                if rng.bool() {
                    restart(part).await?;
                }
                tokio::time::sleep(long).await;
                set_clock(file, "+0")?;
            }
            Fault::Terminate(kind) => {
                let part = self.part(kind, rng);
                breaks(vec![part.name.clone()]);
                restart(part).await?;
            }
            Fault::Roll(kind) => {
                let parts = self.parts(kind);
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

    /// Stops them at one moment, takes from their disks what was not synced, and starts them again.
    async fn lose_power(&self, parts: &[&Part]) -> anyhow::Result<()> {
        // In the order of the parts, as nobody else holds more than one.
        let mut servers = Vec::new();
        for part in parts {
            servers.push((*part, part.server.lock().await));
        }
        for (_, server) in &servers {
            server.pause()?;
        }
        for part in parts.iter().filter(|part| part.disk.is_some()) {
            part.disk()?.capture().await?;
        }
        for (part, server) in &mut servers {
            server.kill()?;
            if part.disk.is_some() {
                part.disk()?.lose().await?;
            }
        }
        let servers = servers.iter_mut().map(|(part, server)| (part.disk.is_some(), &mut **server));
        let (mut stores, mut roles): (Vec<_>, Vec<_>) = servers.partition(|(is_store, _)| *is_store);
        for servers in [&mut stores, &mut roles] {
            let mut servers: Vec<&mut Server> = servers.iter_mut().map(|(_, server)| &mut **server).collect();
            start_together(&mut servers).await.context("after a power loss")?;
        }
        Ok(())
    }

    /// Whom it hits.
    async fn victim(&self, fault: Fault, rng: &mut Rng) -> anyhow::Result<&Part> {
        let asked = match fault {
            Fault::Kill(kind) | Fault::Pause(kind) => return Ok(self.part(kind, rng)),
            Fault::KillLeader | Fault::PauseLeader => self.leader().await?,
            Fault::CutOff if rng.bool() => self.leader().await?,
            Fault::KillPrimary | Fault::StepDown => self.primary().await?,
            _ => {
                let leader = self.leader().await?;
                let followers: Vec<&Part> =
                    self.parts(Kind::Nats).into_iter().filter(|part| Some(&part.name) != leader.as_ref()).collect();
                return Ok(followers[rng.usize(..followers.len())]);
            }
        };
        let kind = if matches!(fault, Fault::KillPrimary | Fault::StepDown) { Kind::Mongod } else { Kind::Nats };
        let found = self.parts(kind).into_iter().find(|part| Some(&part.name) == asked.as_ref());
        // Nobody leads at the moment, because of another fault.
        Ok(found.unwrap_or_else(|| self.part(kind, rng)))
    }

    /// The server that leads the first partition of the log.
    async fn leader(&self) -> anyhow::Result<Option<String>> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(1)).build()?;
        for url in &self.system.monitoring {
            let Ok(answer) = client.get(format!("{url}/jsz?accounts=1&streams=1")).send().await else { continue };
            let Ok(said) = answer.json::<serde_json::Value>().await else { continue };
            let accounts = said["account_details"].as_array().cloned().unwrap_or_default();
            let streams = accounts.iter().flat_map(|account| account["stream_detail"].as_array().into_iter().flatten());
            for stream in streams.filter(|stream| stream["name"] == "CHAT_0") {
                if let Some(leader) = stream["cluster"]["leader"].as_str() {
                    return Ok(Some(leader.to_owned()));
                }
            }
        }
        Ok(None)
    }

    async fn primary(&self) -> anyhow::Result<Option<String>> {
        let addresses = &self.system.mongod;
        for address in addresses {
            let asked = tokio::time::timeout(Duration::from_secs(2), archiver::primary_of(address)).await;
            if let Ok(Ok(Some(primary))) = asked {
                let number = addresses.iter().position(|address| *address == primary);
                return Ok(number.map(|number| format!("mongod-{number}")));
            }
        }
        Ok(None)
    }

    fn parts(&self, kind: Kind) -> Vec<&Part> {
        self.system.parts.iter().filter(|part| part.kind == kind).collect()
    }

    fn part(&self, kind: Kind, rng: &mut Rng) -> &Part {
        let parts = self.parts(kind);
        parts[rng.usize(..parts.len())]
    }

    fn link(&self, name: &str, rng: &mut Rng) -> &Link {
        let links: Vec<&Link> = self.system.links.iter().filter(|link| link.name == name).collect();
        links[rng.usize(..links.len())]
    }
}

/// SIGTERM, and started again.
async fn restart(part: &Part) -> anyhow::Result<()> {
    let mut server = part.server.lock().await;
    server.terminate(GRACE).await?;
    server.start().await.with_context(|| format!("{} does not start again", part.name))
}

/// At once: whoever looks at the clock never finds half a file.
fn set_clock(file: &Path, offset: &str) -> anyhow::Result<()> {
    let new = file.with_extension("new");
    std::fs::write(&new, offset)?;
    std::fs::rename(new, file).context("cannot set the clock")
}

/// What a fault has in hand.
fn target(fault: Fault) -> &'static str {
    match fault {
        Fault::Kill(kind) | Fault::Pause(kind) | Fault::Terminate(kind) | Fault::Roll(kind) => kind.word(),
        Fault::KillLeader | Fault::PauseLeader | Fault::KillFollower | Fault::PauseFollower => Kind::Nats.word(),
        Fault::KillPrimary | Fault::StepDown => Kind::Mongod.word(),
        Fault::CutOff => Kind::Nats.word(),
        Fault::FullDisk(kind) | Fault::PowerLoss(kind) | Fault::ClockStep(kind) => kind.word(),
        Fault::Blackout => "everything",
        Fault::Cut(link) | Fault::HoldUp(link) | Fault::Slow(link) | Fault::Refuse(link) => link,
    }
}
