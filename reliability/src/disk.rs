//! A server's own disk, which can be full, hang, fail, or lose unsynced writes in a power loss: an ext4 file system in
//! an image file. The image has what the file system wrote to its device. Writes that are only in the kernel's memory,
//! before an fsync or writeback, are not in it. A copy of the image, taken while the server is stopped, is therefore
//! the disk after a power loss. (A disk that lies about its own cache is worse.)
//!
//! Mounting requires root. The mounts are in a mount namespace of this program, and end with it.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

/// 4 GiB, sparse: room for a log of 1 GiB, which nats-server wants to reserve.
const BYTES: u64 = 4 << 30;

/// The file that fills the disk.
const BALLOON: &str = "balloon";

/// Set once the program has its own mount namespace.
const OWN_MOUNTS: &str = "RELIABILITY_OWN_MOUNTS";

/// Restarts this program in a mount namespace of its own, if it has none.
pub fn own_mounts() -> anyhow::Result<()> {
    if std::env::var_os(OWN_MOUNTS).is_some() {
        return Ok(());
    }
    let mut again = std::process::Command::new("unshare");
    again.args(["--mount", "--propagation", "private", "--"]).arg(std::env::current_exe()?);
    let error = again.args(std::env::args_os().skip(1)).env(OWN_MOUNTS, "yes").exec();
    Err(error).context("--disks needs Linux, util-linux and root; run without it otherwise")
}

/// A disk.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    at: PathBuf,
}

/// Runs a program to its end.
async fn run(program: &str, arguments: &[&OsStr]) -> anyhow::Result<()> {
    let output = Command::new(program).args(arguments).output().await;
    let output = output.with_context(|| format!("cannot run {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments:?} failed: {said}");
    Ok(())
}

impl Disk {
    /// Creates a disk in that folder, which is created too.
    pub(crate) async fn create(at: &Path) -> anyhow::Result<Disk> {
        std::fs::create_dir_all(at).with_context(|| format!("cannot create {}", at.display()))?;
        let image = at.with_extension("ext4");
        File::create(&image)?.set_len(BYTES)?;
        // Without blocks reserved for root: the servers run as root.
        run("mkfs.ext4", &["-q".as_ref(), "-m".as_ref(), "0".as_ref(), image.as_ref()]).await?;
        let disk = Disk { image, at: at.to_owned() };
        disk.mount().await?;
        Ok(disk)
    }

    async fn mount(&self) -> anyhow::Result<()> {
        // Unsynced writes may wait for 30 s, as on a large machine. The default is 5 s.
        run("mount", &["-o".as_ref(), "loop,commit=30".as_ref(), self.image.as_ref(), self.at.as_ref()]).await
    }

    /// Fills the disk.
    pub(crate) async fn fill(&self) -> anyhow::Result<()> {
        let balloon = self.at.join(BALLOON);
        let (mut end, mut piece) = (0, BYTES);
        // In ever smaller pieces, down to a block.
        while piece >= 4096 {
            let (offset, length) = (end.to_string(), piece.to_string());
            let place = ["--offset".as_ref(), offset.as_ref(), "--length".as_ref(), length.as_ref(), balloon.as_ref()];
            match run("fallocate", &place).await {
                Ok(()) => end += piece,
                Err(_) => piece /= 2,
            }
        }
        ensure!(end > 0, "the disk under {} cannot be filled", self.at.display());
        Ok(())
    }

    /// Makes room again.
    pub(crate) fn make_room(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.at.join(BALLOON)).context("cannot make room on the disk")
    }

    /// Blocks all writes until [`Disk::thaw`].
    pub(crate) async fn freeze(&self) -> anyhow::Result<()> {
        run("fsfreeze", &["--freeze".as_ref(), self.at.as_ref()]).await
    }

    /// Unblocks writes.
    pub(crate) async fn thaw(&self) -> anyhow::Result<()> {
        run("fsfreeze", &["--unfreeze".as_ref(), self.at.as_ref()]).await
    }

    /// Makes the file system fail as after a fatal error: it takes no more writes, and unsynced writes are lost,
    /// whatever fsync reported.
    pub(crate) async fn fail(&self) -> anyhow::Result<()> {
        run("mount", &["-o".as_ref(), "remount,abort".as_ref(), self.at.as_ref()]).await
    }

    /// Checks and mounts a failed disk again, as an operator would. The server must be dead.
    pub(crate) async fn repair(&self) -> anyhow::Result<()> {
        run("umount", &[self.at.as_ref()]).await?;
        // 1: errors were corrected.
        let checked = Command::new("e2fsck").args(["-p", "-f"]).arg(&self.image).output().await?;
        let said = String::from_utf8_lossy(&checked.stdout);
        ensure!(matches!(checked.status.code(), Some(0 | 1)), "the disk cannot be repaired: {said}");
        self.mount().await
    }

    /// Copies the device for [`Disk::lose`]. The server must be stopped (SIGSTOP).
    pub(crate) async fn capture(&self) -> anyhow::Result<()> {
        run("cp", &["--sparse=always".as_ref(), self.image.as_ref(), self.captured().as_ref()]).await
    }

    /// Drops everything that had not reached the device at [`Disk::capture`]. The server must be dead.
    pub(crate) async fn lose(&self) -> anyhow::Result<()> {
        run("umount", &[self.at.as_ref()]).await?;
        std::fs::rename(self.captured(), &self.image)?;
        self.mount().await
    }

    fn captured(&self) -> PathBuf {
        self.image.with_extension("captured")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Needed if a run ends during a fault. Otherwise the disk is not frozen, and this fails harmlessly.
        let _ = std::process::Command::new("fsfreeze").arg("-u").arg(&self.at).stderr(Stdio::null()).status();
        // A lazy unmount: it takes effect when nothing uses the disk, at the latest at the end of this program.
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
