//! A server: a program, how it is known to be ready, and the process if it runs now.

use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;

use crate::program::{Program, Running};

/// How a server shows that it is ready.
#[derive(Debug, Clone)]
pub enum Ready {
    /// A GET of this URL answers 200.
    Http(String),
    /// The replica set of these members, the server itself the first, has a primary; it is initiated where it is new.
    ReplicaSet(Vec<String>),
}

/// A server that can be started, killed and started again, with the same data and on the same port.
#[derive(Debug)]
pub struct Server {
    program: Program,
    ready: Ready,
    running: Option<Running>,
}

/// A cold machine under load recovers a store within this time.
const START_DEADLINE: Duration = Duration::from_secs(60);

impl Server {
    /// A server that does not run yet.
    pub fn new(program: Program, ready: Ready) -> Server {
        Server { program, ready, running: None }
    }

    /// Its name for messages.
    pub fn name(&self) -> &str {
        &self.program.name
    }

    /// What is started.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// How it is known to be ready.
    pub fn ready_when(&self) -> &Ready {
        &self.ready
    }

    /// Its process id while it runs.
    pub fn id(&self) -> Option<u32> {
        self.running.as_ref().map(Running::id)
    }

    /// Starts it, and does not wait for it.
    pub fn spawn(&mut self) -> anyhow::Result<()> {
        // The port is taken until the old process is gone.
        self.kill()?;
        self.running = Some(self.program.start()?);
        Ok(())
    }

    /// Waits until it is ready.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let running = self.running.as_mut().with_context(|| format!("{} is not started", self.program.name))?;
        match &self.ready {
            Ready::Http(url) => {
                // Without a proxy of the environment, and with a deadline: a server that starts may accept and be silent.
                let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
                let answers = async || client.get(url).send().await.is_ok_and(|answer| answer.status() == 200);
                running.until_ready(START_DEADLINE, answers).await
            }
            Ready::ReplicaSet(members) => {
                let own = members.first().context("a replica set has members")?;
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

    /// An error once it has ended by itself.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.running.as_mut().map_or(Ok(()), Running::check)
    }

    /// How it ended, once it has.
    pub fn exited(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.running.as_mut().map_or(Ok(None), Running::exited)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let running = self.running.as_ref().with_context(|| format!("{} does not run", self.program.name))?;
        running.signal(signal)
    }

    /// Stops it (SIGSTOP) until it gets SIGCONT; returns when it has stopped.
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

    /// Asks it to end (SIGTERM), waits, and after the grace period kills it. None: it did not run.
    pub async fn terminate(&mut self, grace: Duration) -> anyhow::Result<Option<ExitStatus>> {
        match self.running.take() {
            Some(mut running) => Ok(Some(running.terminate(grace).await?)),
            None => Ok(None),
        }
    }
}
