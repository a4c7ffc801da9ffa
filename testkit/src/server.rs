//! A server: its program, the check for its readiness, and its process while it runs.

use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;

use crate::client;
use crate::program::{Program, Running};

/// How a server shows that it is ready.
#[derive(Debug, Clone)]
pub enum Ready {
    /// A GET of this URL answers 200.
    Http(String),
    /// It accepts connections at this address.
    Tcp(String),
    /// The replica set of these members, of which the server is the first, has a primary. A new set is initiated.
    ReplicaSet(Vec<String>),
}

/// A server that can be killed and restarted with the same data and on the same port.
#[derive(Debug)]
pub struct Server {
    program: Program,
    ready: Ready,
    running: Option<Running>,
}

/// 60 s: recovery of a store on a slow machine under load.
const START_DEADLINE: Duration = Duration::from_secs(60);

impl Server {
    /// A server that is not started.
    pub fn new(program: Program, ready: Ready) -> Server {
        Server { program, ready, running: None }
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.program.name
    }

    /// Its program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Its readiness check.
    pub fn ready_when(&self) -> &Ready {
        &self.ready
    }

    /// Its process id while it runs.
    pub fn id(&self) -> Option<u32> {
        self.running.as_ref().map(Running::id)
    }

    /// Starts it without waiting.
    pub fn spawn(&mut self) -> anyhow::Result<()> {
        // Its port is in use until the old process has ended.
        self.kill()?;
        self.running = Some(self.program.start()?);
        Ok(())
    }

    /// Waits until it is ready.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let running = self.running.as_mut().with_context(|| format!("{} is not started", self.program.name))?;
        match &self.ready {
            Ready::Http(url) => {
                // The deadline is for a starting server that accepts but does not answer.
                let client = client().timeout(Duration::from_secs(2)).build()?;
                let answers = async || client.get(url).send().await.is_ok_and(|answer| answer.status() == 200);
                running.until_ready(START_DEADLINE, answers).await
            }
            Ready::Tcp(address) => {
                let accepts = async || tokio::net::TcpStream::connect(address).await.is_ok();
                running.until_ready(START_DEADLINE, accepts).await
            }
            Ready::ReplicaSet(members) => {
                let own = members.first().context("the replica set has no members")?;
                let accepts = async || tokio::net::TcpStream::connect(own).await.is_ok();
                running.until_ready(START_DEADLINE, accepts).await?;
                archiver::initiate_replica_set(members).await.context("cannot initiate the replica set")
            }
        }
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.spawn()?;
        self.ready().await
    }

    /// Err: it has ended by itself.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.running.as_mut().map_or(Ok(()), Running::check)
    }

    /// How it ended. None: it runs, or was not started.
    pub fn exited(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.running.as_mut().map_or(Ok(None), Running::exited)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let running = self.running.as_ref().with_context(|| format!("{} does not run", self.program.name))?;
        running.signal(signal)
    }

    /// Stops it (SIGSTOP) until it gets SIGCONT, and waits until it has stopped.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.running.as_ref().with_context(|| format!("{} does not run", self.program.name))?.pause()
    }

    /// Kills it (SIGKILL) and waits for its end.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut running) = self.running.take() {
            running.kill()?;
        }
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits. After the grace period it is killed. None: it did not run.
    pub async fn terminate(&mut self, grace: Duration) -> anyhow::Result<Option<ExitStatus>> {
        match self.running.take() {
            Some(mut running) => Ok(Some(running.terminate(grace).await?)),
            None => Ok(None),
        }
    }
}
