//! Disk faults: full, hanging, slow, failing, or losing unsynced writes. [`crate::disk`] implements the disk.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use fastrand::Rng;
use jiff::Timestamp;
use testkit::Server;

use super::{GRACE, Making};
use crate::system::{Kind, Part, start_patiently, start_together};

/// The minimum duration of a full disk: long enough for a checkpoint.
const FULL_AT_LEAST: Duration = Duration::from_secs(5);

/// A server that recovers by itself once there is room is ready within this time.
const GOES_ON: Duration = Duration::from_secs(5);

/// How long a slow disk hangs at a time, and then works, in milliseconds.
const HANGS: std::ops::Range<u64> = 100..700;
const WORKS: std::ops::Range<u64> = 20..200;

impl Making<'_> {
    pub(super) async fn fill_disk(&self, kind: Kind, rng: &mut Rng) -> anyhow::Result<()> {
        let part = self.part(kind, rng);
        let mut server = part.server.lock().await;
        self.breaks(vec![part.name.clone()]);
        let disk = part.disk()?;
        disk.fill().await?;
        tokio::time::sleep(self.long + FULL_AT_LEAST).await;
        disk.make_room()?;
        // Some servers recover by themselves. Others are restarted, as an operator would after making room.
        let goes_on = tokio::time::timeout(GOES_ON, server.ready()).await;
        if !matches!(goes_on, Ok(Ok(()))) {
            server.terminate(GRACE).await?;
            start_patiently(part, &mut server).await?;
        }
        Ok(())
    }

    pub(super) async fn stall_disk(&self, kind: Kind, rng: &mut Rng) -> anyhow::Result<()> {
        let part = self.part(kind, rng);
        // The lock keeps other faults from killing a process that hangs in the kernel.
        let _server = part.server.lock().await;
        self.breaks(vec![part.name.clone()]);
        let disk = part.disk()?;
        disk.freeze().await?;
        self.last().await;
        disk.thaw().await
    }

    pub(super) async fn slow_disk(&self, kind: Kind, rng: &mut Rng) -> anyhow::Result<()> {
        let part = self.part(kind, rng);
        let _server = part.server.lock().await;
        self.breaks(vec![part.name.clone()]);
        let (disk, until) = (part.disk()?, Instant::now() + self.long);
        while Instant::now() < until {
            disk.freeze().await?;
            tokio::time::sleep(Duration::from_millis(rng.u64(HANGS))).await;
            disk.thaw().await?;
            tokio::time::sleep(Duration::from_millis(rng.u64(WORKS))).await;
        }
        Ok(())
    }

    pub(super) async fn fail_disk(&self, kind: Kind, rng: &mut Rng) -> anyhow::Result<()> {
        let part = self.part(kind, rng);
        let mut server = part.server.lock().await;
        self.breaks(vec![part.name.clone()]);
        let disk = part.disk()?;
        let failed = Timestamp::now();
        disk.fail().await?;
        self.last().await;
        // An operator who replaces a disk stops the server.
        server.kill()?;
        // While ext4 shuts down, Linux acknowledges some fsyncs whose data are lost. No server can notice. With a
        // single server there is no other copy.
        let is_alone = kind == Kind::Nats && self.system.of(kind).len() == 1;
        let mut since = Vec::new();
        if is_alone {
            since = self.content(&self.store(part)).await?;
            since.retain(|entry| entry.stored >= failed);
        }
        disk.repair().await?;
        if !since.is_empty() {
            self.note_lost(&since, &self.content(&self.store(part)).await?);
        }
        start_patiently(part, &mut server).await
    }

    /// Stops the servers at the same moment, drops the unsynced writes of their disks, and starts them again.
    pub(super) async fn lose_power(&self, parts: &[&Part]) -> anyhow::Result<()> {
        self.breaks(parts.iter().map(|part| part.name.clone()).collect());
        // Locked in order of the parts, so that two faults cannot deadlock.
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
        let start = async |servers: &mut Vec<(bool, &mut Server)>| {
            let mut servers: Vec<&mut Server> = servers.iter_mut().map(|(_, server)| &mut **server).collect();
            start_together(&mut servers).await.context("after a power loss")
        };
        start(&mut stores).await?;
        if self.system.lazy_log {
            // Whole streams may be gone, and no role creates streams.
            self.system.set_up(&[]).await?;
        }
        start(&mut roles).await
    }
}
