//! Process faults: kills, pauses, restarts and clock steps, of one process, of all of a role, or of two members of
//! three.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use fastrand::Rng;
use nix::sys::signal::Signal;
use testkit::{Ready, Server};

use super::fault::Fault;
use super::{GRACE, Making};
use crate::system::{Kind, Link, Part, start_patiently, start_together};

/// The largest clock step in seconds: an hour.
const FARTHEST_STEP: u32 = 3_600;

/// The longest downtime of a server that is killed and restarted soon.
const AWAY: Duration = Duration::from_secs(4);

impl Making<'_> {
    pub(super) async fn kill(&self, rng: &mut Rng) -> anyhow::Result<()> {
        let part = self.victim(rng).await?;
        let mut server = part.server.lock().await;
        self.breaks(vec![part.name.clone()]);
        server.kill()?;
        if rng.bool() || self.lasts {
            tokio::time::sleep(if self.lasts { self.long } else { self.long.min(AWAY) }).await;
        }
        start_patiently(part, &mut server).await
    }

    pub(super) async fn pause(&self, rng: &mut Rng) -> anyhow::Result<()> {
        self.pause_together(vec![self.victim(rng).await?]).await
    }

    pub(super) async fn terminate(&self, kind: Kind, rng: &mut Rng) -> anyhow::Result<()> {
        let part = self.part(kind, rng);
        self.breaks(vec![part.name.clone()]);
        restart(part).await
    }

    pub(super) async fn roll(&self, kind: Kind) -> anyhow::Result<()> {
        let parts = self.system.of(kind);
        self.breaks(parts.iter().map(|part| part.name.clone()).collect());
        for part in parts {
            restart(part).await?;
        }
        Ok(())
    }

    pub(super) async fn step_down(&self, rng: &mut Rng) -> anyhow::Result<()> {
        let part = self.victim(rng).await?;
        let server = part.server.lock().await;
        self.breaks(vec![part.name.clone()]);
        if let Ready::ReplicaSet(members) = server.ready_when() {
            // Another member may have become the primary meanwhile, which is just as good.
            let _ = archiver::step_down(&members[0]).await;
        }
        Ok(())
    }

    /// Kills all of them at once, and starts them at once.
    pub(super) async fn kill_together(&self, parts: Vec<&Part>) -> anyhow::Result<()> {
        let mut servers = Vec::new();
        for part in &parts {
            servers.push(part.server.lock().await);
        }
        self.breaks(parts.iter().map(|part| part.name.clone()).collect());
        for server in &mut servers {
            server.kill()?;
        }
        tokio::time::sleep(if self.lasts { self.long } else { self.long.min(2 * AWAY) }).await;
        if parts.iter().any(|part| matches!(part.kind, Kind::Nats | Kind::Mongod)) {
            let mut servers: Vec<&mut Server> = servers.iter_mut().map(|server| &mut **server).collect();
            return start_together(&mut servers).await;
        }
        for (part, server) in parts.iter().zip(&mut servers) {
            start_patiently(part, server).await?;
        }
        Ok(())
    }

    pub(super) async fn pause_together(&self, parts: Vec<&Part>) -> anyhow::Result<()> {
        let mut servers = Vec::new();
        for part in &parts {
            servers.push(part.server.lock().await);
        }
        self.breaks(parts.iter().map(|part| part.name.clone()).collect());
        for server in &servers {
            server.pause()?;
        }
        self.last().await;
        // Clients have given up on their requests meanwhile, but the proxy has not: it keeps connecting to a node whose
        // backlog is full, and would deliver requests up to a minute late.
        let is_asked = |link: &&Link| link.name == "client to ingest" && parts.iter().any(|part| part.name == link.to);
        self.system.links.iter().filter(is_asked).for_each(|link| link.proxy.cut());
        for server in &servers {
            server.signal(Signal::SIGCONT)?;
        }
        Ok(())
    }

    pub(super) async fn step_clock(&self, kind: Kind, rng: &mut Rng) -> anyhow::Result<()> {
        let part = self.part(kind, rng);
        let file = part.clock.as_ref().context("its clock cannot be set")?;
        self.breaks(vec![part.name.clone()]);
        let (seconds, sign) = (rng.u32(1..FARTHEST_STEP), if rng.bool() { '+' } else { '-' });
        set_clock(file, &format!("{sign}{seconds}"))?;
        // Half of the time it also starts with the wrong clock.
        if rng.bool() {
            restart(part).await?;
        }
        self.last().await;
        set_clock(file, "+0")
    }

    /// A majority of the members of a cluster.
    pub(super) fn quorum(&self, kind: Kind, rng: &mut Rng) -> Vec<&Part> {
        let mut parts = self.system.of(kind);
        let left = rng.usize(..parts.len());
        parts.remove(left);
        parts
    }

    /// The part that the fault affects.
    pub(super) async fn victim(&self, rng: &mut Rng) -> anyhow::Result<&Part> {
        let asked = match self.fault {
            Fault::Kill(kind) | Fault::Pause(kind) => return Ok(self.part(kind, rng)),
            Fault::KillLeader | Fault::PauseLeader => self.system.leader().await?,
            Fault::CutOff if rng.bool() => self.system.leader().await?,
            Fault::KillPrimary | Fault::StepDown => self.system.primary().await?,
            _ => {
                let leader = self.system.leader().await?;
                let members = self.system.of(Kind::Nats).into_iter();
                let followers: Vec<&Part> = members.filter(|part| Some(&part.name) != leader.as_ref()).collect();
                return Ok(followers[rng.usize(..followers.len())]);
            }
        };
        let is_primary = matches!(self.fault, Fault::KillPrimary | Fault::StepDown);
        let kind = if is_primary { Kind::Mongod } else { Kind::Nats };
        let found = self.system.of(kind).into_iter().find(|part| Some(&part.name) == asked.as_ref());
        // There may be no leader at the moment, because of another fault.
        Ok(found.unwrap_or_else(|| self.part(kind, rng)))
    }
}

/// SIGTERM, then a restart.
pub(super) async fn restart(part: &Part) -> anyhow::Result<()> {
    let mut server = part.server.lock().await;
    server.terminate(GRACE).await?;
    start_patiently(part, &mut server).await
}

/// Atomic: a reader of the clock file never finds half of it.
fn set_clock(file: &Path, offset: &str) -> anyhow::Result<()> {
    let new = file.with_extension("new");
    std::fs::write(&new, offset)?;
    std::fs::rename(new, file).context("cannot set the clock")
}
