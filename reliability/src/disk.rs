//! A disk of a server's own, which can be full, hang and fail, and which loses what nobody had synced when the power fails: an ext4 file
//! system in an image file. The image has what the file system gave to its device; what is only in the kernel's memory,
//! because no fsync asked for it and no writeback came yet, is not in it. A copy of the image, taken while the server is
//! stopped, is the disk after a power loss. (It is kinder than a disk that lies about its own cache.)
//!
//! Mounting takes root. The mounts are in a namespace of this program's own, so that they are gone with it.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

/// 4 GiB, of which the image takes only what is written: room for a log of 1 GiB, of which nats-server wants to be sure.
const BYTES: u64 = 4 << 30;

/// The file that takes what is left.
const BALLOON: &str = "balloon";

/// Set for a program whose mounts are its own.
const OWN_MOUNTS: &str = "RELIABILITY_OWN_MOUNTS";

/// Begins this program again, where need be, with mounts that are nobody else's and end with it.
pub fn own_mounts() -> anyhow::Result<()> {
    if std::env::var_os(OWN_MOUNTS).is_some() {
        return Ok(());
    }
    let mut again = std::process::Command::new("unshare");
    again.args(["--mount", "--propagation", "private", "--"]).arg(std::env::current_exe()?);
    let error = again.args(std::env::args_os().skip(1)).env(OWN_MOUNTS, "yes").exec();
    Err(error).context("disks that fail take Linux, util-linux and root: without them leave out --disks")
}

/// A file system.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    at: PathBuf,
}

/// Runs the program to its end.
async fn run(program: &str, arguments: &[&OsStr]) -> anyhow::Result<()> {
    let output = Command::new(program).args(arguments).output().await;
    let output = output.with_context(|| format!("cannot run {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments:?} failed: {said}");
    Ok(())
}

impl Disk {
    /// A new one under that folder, which is created.
    pub(crate) async fn create(at: &Path) -> anyhow::Result<Disk> {
        std::fs::create_dir_all(at).with_context(|| format!("cannot create {}", at.display()))?;
        let image = at.with_extension("ext4");
        File::create(&image)?.set_len(BYTES)?;
        // No blocks are kept back for root, who we are.
        run("mkfs.ext4", &["-q".as_ref(), "-m".as_ref(), "0".as_ref(), image.as_ref()]).await?;
        let disk = Disk { image, at: at.to_owned() };
        disk.mount().await?;
        Ok(disk)
    }

    async fn mount(&self) -> anyhow::Result<()> {
        // What is not synced waits for half a minute, as it may on a large machine: the default is 5 s.
        run("mount", &["-o".as_ref(), "loop,commit=30".as_ref(), self.image.as_ref(), self.at.as_ref()]).await
    }

    /// Nothing more can be written.
    pub(crate) async fn fill(&self) -> anyhow::Result<()> {
        let balloon = self.at.join(BALLOON);
        let (mut end, mut piece) = (0, BYTES);
        // Ever smaller pieces, down to a block.
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

    /// There is room again.
    pub(crate) fn make_room(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.at.join(BALLOON)).context("cannot make room on the disk")
    }

    /// Whatever writes from now on waits for [`Disk::thaw`].
    pub(crate) async fn freeze(&self) -> anyhow::Result<()> {
        run("fsfreeze", &["--freeze".as_ref(), self.at.as_ref()]).await
    }

    /// It goes on.
    pub(crate) async fn thaw(&self) -> anyhow::Result<()> {
        run("fsfreeze", &["--unfreeze".as_ref(), self.at.as_ref()]).await
    }

    /// The file system behaves as after an error that it cannot deal with: it takes no more writes, and what was not
    /// synced stays unwritten, whatever an fsync hoped.
    pub(crate) async fn fail(&self) -> anyhow::Result<()> {
        run("mount", &["-o".as_ref(), "remount,abort".as_ref(), self.at.as_ref()]).await
    }

    /// As whoever puts a failed disk into service again: checked, and mounted. Whoever writes is dead meanwhile.
    pub(crate) async fn repair(&self) -> anyhow::Result<()> {
        run("umount", &[self.at.as_ref()]).await?;
        // 1: it was repaired.
        let checked = Command::new("e2fsck").args(["-p", "-f"]).arg(&self.image).output().await?;
        let said = String::from_utf8_lossy(&checked.stdout);
        ensure!(matches!(checked.status.code(), Some(0 | 1)), "the disk cannot be repaired: {said}");
        self.mount().await
    }

    /// What the device has now, kept for [`Disk::lose`]. Whoever writes is stopped meanwhile (SIGSTOP).
    pub(crate) async fn capture(&self) -> anyhow::Result<()> {
        run("cp", &["--sparse=always".as_ref(), self.image.as_ref(), self.captured().as_ref()]).await
    }

    /// Whatever did not reach the device by [`Disk::capture`] is gone. Whoever writes is dead meanwhile.
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
        // A run that ends in the middle of a fault; otherwise it is not frozen, and says so.
        let _ = std::process::Command::new("fsfreeze").arg("-u").arg(&self.at).stderr(Stdio::null()).status();
        // Lazily: it is gone once nothing uses it, at the latest with this program.
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
