//! A temporary folder, kept if its test fails.

use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

use super::deadline::Deadline;

/// The memory file system of Linux. Servers fsync everything, which costs milliseconds on a disk and nothing here.
/// Tests kill processes, never the machine, so a killed server finds in memory what it would find on a disk.
const MEMORY: &str = "/dev/shm";

/// 8 GiB: a JetStream server offers three quarters of the free space, and a test's streams reserve up to 5 GiB of it.
const ENOUGH: u64 = 8 << 30;

/// A temporary folder.
#[derive(Debug)]
pub struct Folder {
    name: String,
    folder: Option<tempfile::TempDir>,
    /// A deadline for each test: everything that a test starts has a folder. None: no test uses it now.
    deadline: Option<Deadline>,
}

impl Folder {
    /// An empty folder. The name is for the message with its path.
    pub fn new(name: &str) -> Folder {
        let folder = tempfile::Builder::new().prefix(&format!("chatting-{name}-")).tempdir_in(parent()).unwrap();
        Folder { name: name.to_owned(), folder: Some(folder), deadline: Some(Deadline::start()) }
    }

    pub fn path(&self) -> &Path {
        self.folder.as_ref().expect("the folder is there until it is dropped").path()
    }

    /// It outlives its test.
    pub(super) fn end_test(&mut self) {
        self.deadline = None;
    }

    /// The calling test uses it from now on.
    pub(super) fn begin_test(&mut self) {
        self.deadline = Some(Deadline::start());
    }
}

/// `$TMPDIR` where it is set, else memory where there is enough, else the system's temporary folder.
fn parent() -> PathBuf {
    let is_enough = statvfs(MEMORY).is_ok_and(|space| space.f_bavail * space.f_frsize >= ENOUGH);
    if is_enough && std::env::var_os("TMPDIR").is_none() { MEMORY.into() } else { std::env::temp_dir() }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            eprintln!("what {} wrote is kept in {}", self.name, folder.keep().display());
        }
    }
}
