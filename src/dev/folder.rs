//! The folder of a development system: its lock, the secret, the roles' configuration, and the servers' data. Only one
//! `dev` uses it at a time. It first stops the processes that a killed one left running.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The folder, locked for as long as this value lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
}

/// The roles' configuration file in the folder.
const CONFIGURATION: &str = "chatting-server.toml";
const SECRET: &str = "secret";
const PROCESSES: &str = "processes";

/// How long a leftover process may take to stop before it is killed.
const GRACE: Duration = Duration::from_secs(15);

/// The configuration that `dev` wrote for its roles.
pub(super) fn configuration(folder: &Path) -> PathBuf {
    folder.join(CONFIGURATION)
}

impl Folder {
    /// Locks the folder, creates it if it does not exist, and stops the processes of an earlier `dev`. `fresh`: also
    /// deletes its data.
    pub(super) fn open(path: &Path, fresh: bool) -> anyhow::Result<Folder> {
        // Independent of the umask: the servers in it require no password, and their data are people's messages.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.with_context(|| format!("cannot create {}", path.display()))?;
        let path = path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
        let metadata = std::fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
        check_owner(&path, &metadata)?;
        // Created by an earlier version, or by hand.
        if metadata.mode() & 0o077 != 0 {
            let owner_only = std::fs::Permissions::from_mode(0o700);
            std::fs::set_permissions(&path, owner_only)
                .with_context(|| format!("cannot protect {}", path.display()))?;
        }
        // Not among the deleted files, so that it is held throughout.
        let lock = path.join("lock");
        let lock = File::create(&lock).with_context(|| format!("cannot write {}", lock.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another `chatting-server dev` is using {}: stop it, or give --data another folder",
                path.display()
            ),
            Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the folder"),
        }
        let folder = Folder { path, lock };
        folder.stop_leftovers();
        if fresh {
            folder.wipe()?;
        }
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Deletes only our own files: the folder may contain others.
    fn wipe(&self) -> anyhow::Result<()> {
        for name in ["nats-server", "mongod", "roles"] {
            let part = self.path.join(name);
            if part.exists() {
                std::fs::remove_dir_all(&part).with_context(|| format!("cannot delete {}", part.display()))?;
            }
        }
        for name in [CONFIGURATION, SECRET, PROCESSES] {
            let file = self.path.join(name);
            if file.exists() {
                std::fs::remove_file(&file).with_context(|| format!("cannot delete {}", file.display()))?;
            }
        }
        Ok(())
    }

    /// The key that signs this folder's tokens. Generated once, so that tokens survive a restart.
    pub(super) fn secret(&self) -> anyhow::Result<String> {
        let file = self.path.join(SECRET);
        if let Some(secret) = read_private(&file)? {
            return Ok(secret.trim().to_owned());
        }
        // 244 random bits from the system's generator.
        let secret = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        write_private(&file, &secret)?;
        Ok(secret)
    }

    /// Writes the configuration of the roles.
    pub(super) fn configure(&self, settings: &toml::Table) -> anyhow::Result<PathBuf> {
        let file = configuration(&self.path);
        let text = format!("# Written by `chatting-server dev` at each start.\n{}", toml::to_string(settings)?);
        write_private(&file, &text)?;
        Ok(file)
    }

    /// Records the running processes, for a successor if this process is killed.
    pub(super) fn note(&self, processes: impl Iterator<Item = u32>) -> anyhow::Result<()> {
        let lines: String = processes.map(|id| format!("{id}\n")).collect();
        write_private(&self.path.join(PROCESSES), &lines)
    }

    fn stop_leftovers(&self) {
        let noted = std::fs::read_to_string(self.path.join(PROCESSES)).unwrap_or_default();
        let here = self.path.display().to_string();
        // The id may have been reused. Our processes have the folder in their arguments; so does this one.
        let is_ours = |id: &i32| !is_this_process(*id) && command_line(*id).is_some_and(|line| line.contains(&here));
        let left: Vec<i32> = noted.lines().filter_map(|id| id.parse().ok()).filter(is_ours).collect();
        if left.is_empty() {
            return;
        }
        tracing::warn!("an earlier `dev` was killed: stopping {} processes that it left", left.len());
        let send = |signal| {
            for id in left.iter().filter(|id| is_ours(id)) {
                // An error means that it has just ended.
                let _ = kill(Pid::from_raw(*id), signal);
            }
        };
        send(Signal::SIGTERM);
        let asked = Instant::now();
        while left.iter().any(is_ours) {
            if asked.elapsed() > GRACE {
                send(Signal::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Folder {
    /// Closing the file is not enough: a child that is being started shares it until its program begins.
    fn drop(&mut self) {
        // On an error the lock ends with this process.
        let _ = self.lock.unlock();
    }
}

/// Whether it is the id of this process or, on Linux, of one of its threads: in a container that is started again, they
/// are the ids that an earlier `dev` gave to its parts.
fn is_this_process(id: i32) -> bool {
    std::process::id().try_into() == Ok(id) || Path::new("/proc/self/task").join(id.to_string()).exists()
}

/// None: the process does not exist or has ended.
fn command_line(id: i32) -> Option<String> {
    if Path::new("/proc/self").exists() {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&line).replace('\0', " "));
    }
    let output = std::process::Command::new("ps").args(["-o", "command=", "-p", &id.to_string()]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Refuses a file that another user owns or can write. None: it does not exist.
fn read_private(file: &Path) -> anyhow::Result<Option<String>> {
    let metadata = match std::fs::symlink_metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    anyhow::ensure!(metadata.is_file(), "{} is not a file: delete it", file.display());
    check_owner(file, &metadata)?;
    anyhow::ensure!(
        metadata.mode() & 0o077 == 0,
        "{} is readable or writable by others (mode {:o}): delete it, and `dev` creates a new one",
        file.display(),
        metadata.mode() & 0o777
    );
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Some(text))
}

fn check_owner(path: &Path, metadata: &std::fs::Metadata) -> anyhow::Result<()> {
    let own = nix::unistd::geteuid().as_raw();
    anyhow::ensure!(
        metadata.uid() == own,
        "{} belongs to user {}, and this is user {own}: give --data a folder of your own",
        path.display(),
        metadata.uid()
    );
    Ok(())
}

/// Writes a file that only its owner can read, whatever existed before.
fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        // Written beside it and renamed: an existing file would keep its mode and its readers.
        let new = file.with_extension("new");
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?.write_all(text.as_bytes())?;
        std::fs::rename(&new, file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path(), false).unwrap();
        let error = Folder::open(place.path(), false).unwrap_err().to_string();
        assert!(error.contains("another `chatting-server dev` is using"), "{error}");
        // As in a child process that is being started.
        let copy = folder.lock.try_clone().unwrap();
        drop(folder);
        Folder::open(place.path(), false).unwrap();
        drop(copy);
    }

    #[test]
    fn the_secret_is_generated_once_and_again_after_a_wipe() {
        let place = tempfile::tempdir().unwrap();
        let secret = |fresh| Folder::open(place.path(), fresh).unwrap().secret().unwrap();
        let first = secret(false);
        assert_eq!(secret(false), first);
        assert_ne!(secret(true), first);
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    fn open_to_all(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_folder_and_its_files_are_readable_by_their_owner_only() {
        let place = tempfile::tempdir().unwrap();
        let (new, old) = (place.path().join("new/folder"), place.path().join("old"));
        std::fs::create_dir(&old).unwrap();
        open_to_all(&old, 0o777);
        for path in [&new, &old] {
            let folder = Folder::open(path, false).unwrap();
            assert_eq!(mode(path), 0o700);
            folder.secret().unwrap();
            // As if left there by someone.
            std::fs::write(path.join(CONFIGURATION), "old").unwrap();
            open_to_all(&path.join(CONFIGURATION), 0o666);
            folder.configure(&toml::Table::new()).unwrap();
            for file in [SECRET, CONFIGURATION] {
                assert_eq!(mode(&path.join(file)), 0o600, "{file}");
            }
        }
        assert_eq!(mode(new.parent().unwrap()), 0o700);
    }

    #[test]
    fn a_secret_file_that_others_can_access_or_that_is_a_link_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path(), false).unwrap();
        let secret = place.path().join(SECRET);
        std::fs::write(&secret, "x".repeat(64)).unwrap();
        for mode in [0o666, 0o606, 0o604, 0o640] {
            open_to_all(&secret, mode);
            let refused = folder.secret().unwrap_err().to_string();
            assert!(refused.contains("readable or writable by others"), "{mode:o}: {refused}");
        }
        open_to_all(&secret, 0o600);
        assert_eq!(folder.secret().unwrap(), "x".repeat(64));
        let planted = place.path().join("planted");
        std::fs::rename(&secret, &planted).unwrap();
        std::os::unix::fs::symlink(&planted, &secret).unwrap();
        assert!(folder.secret().unwrap_err().to_string().contains("is not a file"));
    }

    #[test]
    fn a_wipe_leaves_foreign_files_alone() {
        let place = tempfile::tempdir().unwrap();
        let theirs = place.path().join("thesis.txt");
        std::fs::write(&theirs, "").unwrap();
        Folder::open(place.path(), true).unwrap();
        assert!(theirs.exists());
    }

    #[test]
    fn processes_of_a_killed_dev_are_stopped_and_others_are_not() {
        let place = tempfile::tempdir().unwrap();
        let sleeper = |argument: &str| {
            // Waits for a line that never comes, without a child of its own.
            let mut sleeper = std::process::Command::new("sh");
            sleeper.args(["-c", "read line", argument]).stdin(std::process::Stdio::piped()).spawn().unwrap()
        };
        let here = place.path().canonicalize().unwrap().display().to_string();
        let (mut ours, mut stranger) = (sleeper(&here), sleeper("elsewhere"));
        // A process has no command line for a moment after its start.
        while command_line(ours.id() as i32).is_none_or(|line| !line.contains(&here)) {
            std::thread::yield_now();
        }
        Folder::open(place.path(), false).unwrap().note([ours.id(), stranger.id()].into_iter()).unwrap();
        // It is still in the process table because nothing has waited for it, yet it counts as ended.
        Folder::open(place.path(), false).unwrap();
        assert!(!ours.wait().unwrap().success());
        assert!(stranger.try_wait().unwrap().is_none());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}
