//! The system that is to be broken: every server and role a process of its own, and between any two of them, and before
//! every client, a network that fails on demand. `system/start.rs` starts it.

mod start;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chatting_server::config::Config;
use conf::Secret;
use testkit::{Proxy, Ready, Server};
use web::auth::Identity;

use crate::disk::Disk;

/// What its tokens are signed with.
const SECRET: &str = "a secret of the reliability runs, of more than 32 bytes";

/// Tokens outlast any run.
const TOKEN_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// So many of each role.
pub const NODES: usize = 2;

/// What kind of process a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The log.
    Nats,
    /// The archive's memory.
    Mongod,
    /// A role.
    Ingest,
    /// A role.
    Delivery,
    /// A role.
    Archiver,
}

impl Kind {
    /// As faults and parts call it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Nats => "nats",
            Kind::Mongod => "mongod",
            Kind::Ingest => "ingest",
            Kind::Delivery => "delivery",
            Kind::Archiver => "archiver",
        }
    }
}

/// A process.
#[derive(Debug)]
pub struct Part {
    /// Such as `ingest-0`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// One fault at a time has it in hand.
    pub server: tokio::sync::Mutex<Server>,
    /// What it keeps its data on, where that can fail.
    pub disk: Option<Disk>,
    /// The file that says how far its clock is from ours, where that can be.
    pub clock: Option<PathBuf>,
}

impl Part {
    /// What it keeps its data on.
    pub(crate) fn disk(&self) -> anyhow::Result<&Disk> {
        self.disk.as_ref().with_context(|| format!("{} has no disk of its own", self.name))
    }
}

/// A way from one part, or from clients, to another part.
#[derive(Debug)]
pub struct Link {
    /// Such as `ingest to nats`, the same for all of a kind.
    pub name: &'static str,
    /// The part whose work it disturbs: the one that asks, or the one that clients cannot reach.
    pub part: String,
    /// The part at its end.
    pub to: String,
    /// The network.
    pub proxy: Proxy,
}

/// Everything, running. Dropped, its processes are killed.
#[derive(Debug)]
pub struct System {
    /// Every process.
    pub parts: Vec<Part>,
    /// Every network.
    pub links: Vec<Link>,
    /// Ingest nodes as clients reach them, `http://host:port`.
    pub ingest: Vec<String>,
    /// Delivery nodes as presenters reach them, `ws://host:port`.
    pub delivery: Vec<String>,
    /// The same without a network between.
    pub delivery_direct: Vec<String>,
    /// Archivers, without a network between.
    pub archivers: Vec<String>,
    /// What the log's servers say of themselves, `http://host:port`.
    pub monitoring: Vec<String>,
    /// The archive's servers, `host:port`.
    pub mongod: Vec<String>,
    /// The log and the archive without a network between.
    pub config: Config,
    /// Where everything is kept.
    pub folder: PathBuf,
    /// Whether the log's files may be damaged.
    pub damage: bool,
    /// Whether the log's servers sync when they like, so that a power loss may take whole streams.
    pub lazy_log: bool,
    /// `chatting-server`.
    binary: PathBuf,
    /// The settings of who reaches the log and the archive without a network between.
    environment: Vec<(String, String)>,
}

/// What is to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where everything is kept.
    pub folder: PathBuf,
    /// `chatting-server`.
    pub binary: PathBuf,
    /// An older one, which the second node of each role runs: as in the middle of a rolling update.
    pub old_binary: Option<PathBuf>,
    /// Whether the log and the archive are kept by three servers each.
    pub cluster: bool,
    /// Into how many streams the log is split.
    pub partitions: u32,
    /// How large each may grow.
    pub log_bytes: u64,
    /// Whether servers keep their data on disks that can be full and lose power.
    pub disks: bool,
    /// Whether the log's servers sync when they like, as nats-server does by default.
    pub lazy_log: bool,
    /// libfaketime, by which the roles' clocks can be set.
    pub clock_library: Option<PathBuf>,
    /// Where the review hook listens, if there is one.
    pub review: Option<String>,
    /// Settings of every role beside those of every run.
    pub constants: Vec<(String, String)>,
    /// Whether the log's files may be damaged, and an older log restored: with one server of the log alone.
    pub damage: bool,
}

/// 1 GiB: what a small disk has room for, and no run fills.
pub const LOG_BYTES: u64 = 1_073_741_824;

impl System {
    /// Every part of the kind.
    pub(crate) fn of(&self, kind: Kind) -> Vec<&Part> {
        self.parts.iter().filter(|part| part.kind == kind).collect()
    }

    /// The server that leads the first partition of the log.
    pub(crate) async fn leader(&self) -> anyhow::Result<Option<String>> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(1)).build()?;
        for url in &self.monitoring {
            let Ok(answer) = client.get(format!("{url}/jsz?accounts=1&streams=1")).send().await else { continue };
            let Ok(said) = answer.json::<serde_json::Value>().await else { continue };
            let accounts = said["account_details"].as_array().cloned().unwrap_or_default();
            let streams = accounts.iter().flat_map(|account| account["stream_detail"].as_array().into_iter().flatten());
            for stream in streams.filter(|stream| stream["name"] == "CHAT_0") {
                if let Some(leader) = stream["cluster"]["leader"].as_str() {
                    return Ok(Some(leader.to_owned()));
                }
            }
        }
        Ok(None)
    }

    /// The primary of the archive.
    pub(crate) async fn primary(&self) -> anyhow::Result<Option<String>> {
        let addresses = &self.mongod;
        for address in addresses {
            let asked = tokio::time::timeout(Duration::from_secs(2), archiver::primary_of(address)).await;
            if let Ok(Ok(Some(primary))) = asked {
                let number = addresses.iter().position(|address| *address == primary);
                return Ok(number.map(|number| format!("mongod-{number}")));
            }
        }
        Ok(None)
    }

    /// Tells the log that it was restored from a backup, as `docs/operations/backup-and-restore.md` has it.
    pub(crate) async fn begin_epoch(&self) -> anyhow::Result<()> {
        self.set_up(&["--new-epoch"]).await
    }

    /// `chatting-server setup`.
    pub(crate) async fn set_up(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = tokio::process::Command::new(&self.binary);
        let output = command.arg("setup").args(arguments).envs(self.environment.iter().cloned()).output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "setup {} failed: {said}", arguments.join(" "));
        Ok(())
    }

    /// The archive, without a network between.
    pub async fn archive(&self) -> anyhow::Result<archiver::Archive> {
        Ok(archiver::Archive::connect(&self.config.archiver).await?)
    }
}

/// A role that is started while the log is away is ready once that is back: longer than any fault lasts.
const PATIENCE: Duration = Duration::from_secs(240);

/// Starts it, and again where it ends by itself, and waits until it is ready, for longer than others have to.
pub(crate) async fn start_patiently(part: &Part, server: &mut Server) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut started = server.start().await;
    while let Err(error) = started {
        let why = || format!("{} does not start again", part.name);
        if began.elapsed() > PATIENCE {
            return Err(error).with_context(why);
        }
        started = match server.exited()? {
            Some(_) => server.start().await,
            None => server.ready().await,
        };
    }
    Ok(())
}

/// Starts members of a cluster, and waits until they are ready.
pub(crate) async fn start_together(servers: &mut [&mut Server]) -> anyhow::Result<()> {
    for server in servers.iter_mut() {
        server.spawn()?;
    }
    for server in servers.iter() {
        if let Ready::ReplicaSet(members) = server.ready_when() {
            let accepts = async || tokio::net::TcpStream::connect(&members[0]).await.is_ok();
            while !accepts().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    for server in servers.iter_mut() {
        server.ready().await?;
    }
    Ok(())
}

/// A token of the user; with the scope of moderators if so.
pub fn token(user: i64, moderates: bool) -> String {
    token_with(user, if moderates { &["chat:moderate"] } else { &[] })
}

/// A token with these scopes.
pub fn token_with(user: i64, scopes: &[&str]) -> String {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let (nickname, email) = (format!("user{user}"), format!("user{user}@example.com"));
    let identity = Identity { user_idx: user, nickname, email, scopes };
    web::auth::mint(&Secret::from(SECRET.to_owned()), &identity, TOKEN_LIFETIME)
}

/// The server's binary beside this one, of the same profile.
pub fn binary() -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let binary = here.parent().unwrap_or(Path::new(".")).join("chatting-server");
    anyhow::ensure!(binary.exists(), "{} is not there: cargo build", binary.display());
    binary.canonicalize().context("cannot find the binary")
}
