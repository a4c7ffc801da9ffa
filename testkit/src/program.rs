//! Programs, and the processes that they run as. Output goes to a file. A process is killed when its owner drops it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A program to start, any number of times.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its name in messages.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Environment variables in addition to the inherited ones.
    pub environment: Vec<(String, String)>,
    /// The file to which its output is appended.
    pub output: PathBuf,
    /// Whether the terminal's Ctrl-C does not reach it. Its owner then stops programs in an order of its own.
    pub detached: bool,
}

/// A running program.
#[derive(Debug)]
pub struct Running {
    name: String,
    output: PathBuf,
    child: Child,
}

/// A program that ended unexpectedly.
#[derive(Debug, thiserror::Error)]
#[error("{name} ended ({status}); the end of its output, {output}:\n{last}")]
pub struct Stopped {
    name: String,
    status: ExitStatus,
    output: String,
    last: String,
}

/// The pause between two looks at a program that starts or stops.
const POLL: Duration = Duration::from_millis(20);

impl Program {
    /// Starts it.
    pub fn start(&self) -> anyhow::Result<Running> {
        let output = || -> std::io::Result<File> { OpenOptions::new().create(true).append(true).open(&self.output) };
        let opened = || output().with_context(|| format!("cannot write {}", self.output.display()));
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(opened()?)
            .stderr(opened()?);
        if self.detached {
            command.process_group(0);
        }
        let child = command.spawn().with_context(|| format!("cannot start {}", self.path.display()))?;
        Ok(Running { name: self.name.clone(), output: self.output.clone(), child })
    }
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended. None: it still runs.
    pub fn exited(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// An error once it has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.exited()? {
            None => Ok(()),
            Some(status) => Err(Stopped {
                name: self.name.clone(),
                status,
                output: self.output.display().to_string(),
                last: last_lines(&self.output, 15),
            }
            .into()),
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill(self.pid()?, signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Stops it (SIGSTOP) and waits until it has stopped: on a busy machine its threads continue for a moment.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGSTOP)?;
        #[cfg(target_os = "linux")]
        {
            use nix::sys::wait::{Id, WaitPidFlag, waitid};
            // WNOWAIT: the status stays available to later waits.
            let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
            waitid(Id::Pid(self.pid()?), flags).with_context(|| format!("cannot wait until {} stops", self.name))?;
        }
        Ok(())
    }

    fn pid(&self) -> anyhow::Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id()).context("a process id has 31 bits")?))
    }

    /// Kills it (SIGKILL) and waits for its end.
    pub fn kill(&mut self) -> anyhow::Result<ExitStatus> {
        // An error means that it has ended already. The wait returns its status.
        let _ = self.child.kill();
        Ok(self.child.wait()?)
    }

    /// Asks it to end (SIGTERM) and waits. After the grace period it is killed.
    pub async fn terminate(&mut self, grace: Duration) -> anyhow::Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        self.signal(Signal::SIGTERM)?;
        let asked = Instant::now();
        while asked.elapsed() < grace {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(POLL).await;
        }
        tracing::warn!(name = self.name, "killed {}, which did not stop within {} s", self.name, grace.as_secs());
        self.kill()
    }

    /// Waits until the probe reports it ready. Err: it ended before, or the deadline passed.
    pub async fn until_ready(&mut self, deadline: Duration, probe: impl AsyncFn() -> bool) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            self.check()?;
            if probe().await {
                return Ok(());
            }
            anyhow::ensure!(
                started.elapsed() < deadline,
                "{} was not ready within {} s; the end of its output, {}:\n{}",
                self.name,
                deadline.as_secs(),
                self.output.display(),
                last_lines(&self.output, 15)
            );
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // There is no one to report an error to.
        let _ = self.kill();
    }
}

fn last_lines(file: &Path, count: usize) -> String {
    let text = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
