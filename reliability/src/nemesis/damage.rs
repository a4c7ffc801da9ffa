//! Damages the log: its last file is truncated or has a flipped bit when its server starts, or the whole store is
//! restored from an older copy. Servers started on copies of the store before and after show which events were lost.
//! Only these are excused. Or the server forgets its durable readers, so that archivers read a whole stream again.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use chat::PresenterIdx;
use fastrand::Rng;
use judge::history::{LostEvent, Observation};
use nats::Entry;
use testkit::{Server, port};
use tokio::process::Command;

use super::fault::Fault;
use super::{GRACE, Making};
use crate::readings;
use crate::system::{Kind, Part, start_patiently};

/// The bytes that are cut off: at most a few hundred batches.
const CUT_BYTES: std::ops::Range<u64> = 1..8_000;

/// The flipped bit is within this distance of the end.
const FLIP_WITHIN_BYTES: u64 = 20_000;

/// How long after the backup the log is restored to it, at most.
const NEWER_AT_MOST: Duration = Duration::from_secs(10);

impl Making<'_> {
    pub(super) async fn damage_log(&self, rng: &mut Rng) -> anyhow::Result<()> {
        let part = self.part(Kind::Nats, rng);
        let mut server = part.server.lock().await;
        self.breaks(vec![part.name.clone()]);
        stop(&mut server, rng).await?;
        let store = self.store(part);
        let before = self.content(&store).await?;
        let file = last_file(&random_stream(&store, rng)?)?;
        let bytes = std::fs::metadata(&file)?.len();
        ensure!(bytes > 0, "{} is empty", file.display());
        let opened = OpenOptions::new().read(true).write(true).open(&file)?;
        if self.fault == Fault::Truncate {
            opened.set_len(bytes.saturating_sub(rng.u64(CUT_BYTES)))?;
        } else {
            let at = bytes - rng.u64(1..=bytes.min(FLIP_WITHIN_BYTES));
            let mut byte = [0];
            opened.read_exact_at(&mut byte, at)?;
            byte[0] ^= 1 << rng.u32(..8);
            opened.write_all_at(&byte, at)?;
        }
        opened.sync_all()?;
        self.note_lost(&before, &self.content(&store).await?);
        start_patiently(part, &mut server).await
    }

    pub(super) async fn forget_readers(&self, rng: &mut Rng) -> anyhow::Result<()> {
        let part = self.part(Kind::Nats, rng);
        let mut server = part.server.lock().await;
        self.breaks(vec![part.name.clone()]);
        stop(&mut server, rng).await?;
        std::fs::remove_dir_all(random_stream(&self.store(part), rng)?.join("obs"))?;
        start_patiently(part, &mut server).await
    }

    pub(super) async fn restore_log(&self, rng: &mut Rng) -> anyhow::Result<()> {
        let part = self.part(Kind::Nats, rng);
        let mut server = part.server.lock().await;
        self.breaks(vec![part.name.clone()]);
        stop(&mut server, rng).await?;
        let (store, backup) = (self.store(part), tempfile::tempdir()?);
        copy(&store, backup.path()).await?;
        start_patiently(part, &mut server).await?;
        tokio::time::sleep(self.long.min(NEWER_AT_MOST)).await;
        stop(&mut server, rng).await?;
        let before = self.content(&store).await?;
        for entry in std::fs::read_dir(store.join("jetstream"))? {
            std::fs::remove_dir_all(entry?.path())?;
        }
        copy(backup.path(), &store).await?;
        self.note_lost(&before, &self.content(&store).await?);
        start_patiently(part, &mut server).await?;
        self.system.begin_epoch().await
    }

    pub(super) fn store(&self, part: &Part) -> PathBuf {
        self.system.folder.join(&part.name).join("store")
    }

    /// The events that a server finds in a copy of the store.
    pub(super) async fn content(&self, store: &Path) -> anyhow::Result<Vec<Entry>> {
        let folder = tempfile::tempdir()?;
        copy(store, &folder.path().join("store")).await?;
        let starting = testkit::starting().await?;
        let (own, monitoring) = (port::own()?, port::own()?);
        let mut server = testkit::nats_server(folder.path(), own, monitoring, false).await?;
        server.start().await?;
        drop(starting);
        let mut config = self.system.config.nats.clone();
        config.urls = vec![format!("nats://127.0.0.1:{own}").into()];
        readings::log(&config).await
    }

    /// Records the events that are no longer at their position.
    pub(super) fn note_lost(&self, before: &[Entry], after: &[Entry]) {
        // The epoch may have changed.
        let place = |entry: &Entry| (entry.id, entry.position.sequence, entry.position.index);
        let there: HashSet<_> = after.iter().map(place).collect();
        for entry in before.iter().filter(|entry| readings::is_shown(entry) && !there.contains(&place(entry))) {
            let Entry { id, position, .. } = *entry;
            let room = entry.presenter.map(PresenterIdx::get);
            self.recorder.note(Observation::Lost(LostEvent { fault: self.number, room, id, position }));
        }
    }
}

/// Kills or terminates a server.
async fn stop(server: &mut Server, rng: &mut Rng) -> anyhow::Result<()> {
    if rng.bool() { server.kill() } else { server.terminate(GRACE).await.map(drop) }
}

/// The folder of a random stream of the log.
fn random_stream(store: &Path, rng: &mut Rng) -> anyhow::Result<PathBuf> {
    let streams = std::fs::read_dir(store.join("jetstream/$G/streams")).context("the store has no streams")?;
    let mut folders = Vec::new();
    for stream in streams {
        let stream = stream?;
        if stream.file_name().to_string_lossy().starts_with("CHAT_") {
            folders.push(stream.path());
        }
    }
    folders.sort();
    ensure!(!folders.is_empty(), "the store has no stream of the log");
    Ok(folders.swap_remove(rng.usize(..folders.len())))
}

/// The last file of a stream's messages.
fn last_file(stream: &Path) -> anyhow::Result<PathBuf> {
    let mut last = None;
    for file in std::fs::read_dir(stream.join("msgs"))? {
        let file = file?.path();
        let is_block = file.extension().is_some_and(|extension| extension == "blk");
        let number = file.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let Some(number) = number.filter(|_| is_block) {
            last = last.max(Some((number, file)));
        }
    }
    last.map(|(_, file)| file).context("the stream has no file")
}

/// Copies everything in a folder into one that may exist.
async fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    let output = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).output().await.context("cannot run cp")?;
    ensure!(output.status.success(), "cannot copy {}: {}", from.display(), String::from_utf8_lossy(&output.stderr));
    Ok(())
}
