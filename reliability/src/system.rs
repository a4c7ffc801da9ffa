//! The system under test: every server and role is a process, with a proxy between any two of them and before every
//! client. `system/start.rs` starts it.

mod start;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chatting_server::config::Config;
use conf::Secret;
use testkit::{Proxy, Ready, Server};
use web::auth::Identity;

use crate::disk::Disk;

/// The secret that signs tokens.
const SECRET: &str = "a secret of the reliability runs, of more than 32 bytes";

/// Longer than any run.
const TOKEN_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The number of nodes of each role.
pub const NODES: usize = 2;

/// The kind of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The log.
    Nats,
    /// The archive's database.
    Mongod,
    /// A role.
    Ingest,
    /// A role.
    Delivery,
    /// A role.
    Archiver,
}

impl Kind {
    /// The word in the names of faults and parts.
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
    /// Held by at most one fault at a time.
    pub server: tokio::sync::Mutex<Server>,
    /// Its disk, if disks can fail in this run.
    pub disk: Option<Disk>,
    /// The file with its clock offset, if clocks can be set in this run.
    pub clock: Option<PathBuf>,
}

impl Part {
    /// Its disk. Err: it has none.
    pub(crate) fn disk(&self) -> anyhow::Result<&Disk> {
        self.disk.as_ref().with_context(|| format!("{} has no disk of its own", self.name))
    }
}

/// A network path from a part, or from clients, to another part.
#[derive(Debug)]
pub struct Link {
    /// Such as `ingest to nats`: the same for every node.
    pub name: &'static str,
    /// The part that a fault of this link affects: the caller, or the node that clients cannot reach.
    pub part: String,
    /// The part that is called.
    pub to: String,
    /// The proxy on the path.
    pub proxy: Proxy,
}

/// The running system. Dropping it kills its processes.
#[derive(Debug)]
pub struct System {
    /// Every process.
    pub parts: Vec<Part>,
    /// Every network path.
    pub links: Vec<Link>,
    /// The ingest nodes for clients, `http://host:port`.
    pub ingest: Vec<String>,
    /// The delivery nodes for presenters, `ws://host:port`.
    pub delivery: Vec<String>,
    /// The delivery nodes without a proxy.
    pub delivery_direct: Vec<String>,
    /// The archivers without a proxy.
    pub archivers: Vec<String>,
    /// The nodes' listeners for operators: the name of the part, and `host:port`.
    pub admin: Vec<(String, String)>,
    /// The log's servers without a proxy, `host:port`.
    pub nats: Vec<String>,
    /// The monitoring endpoints of the log's servers, `http://host:port`.
    pub monitoring: Vec<String>,
    /// The archive's servers, `host:port`.
    pub mongod: Vec<String>,
    /// A configuration that reaches the log and the archive without a proxy.
    pub config: Config,
    /// The folder of the run.
    pub folder: PathBuf,
    /// Whether the log's files may be damaged.
    pub damage: bool,
    /// Whether the log's servers sync when they choose to, so that a power loss may remove whole streams.
    pub lazy_log: bool,
    /// `chatting-server`.
    binary: PathBuf,
    /// The environment that reaches the log and the archive without a proxy.
    environment: Vec<(String, String)>,
}

/// The system to start.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The folder of the run.
    pub folder: PathBuf,
    /// `chatting-server`.
    pub binary: PathBuf,
    /// An older server for the second node of each role, as during a rolling update.
    pub old_binary: Option<PathBuf>,
    /// Whether the log and the archive have three servers each.
    pub cluster: bool,
    /// The number of streams of the log.
    pub partitions: u32,
    /// The maximum size of each stream, in bytes.
    pub log_bytes: u64,
    /// Whether servers have disks of their own, which can be full and lose power.
    pub disks: bool,
    /// Whether the log's servers sync when they choose to, as nats-server does by default.
    pub lazy_log: bool,
    /// libfaketime, to set the clocks of the roles.
    pub clock_library: Option<PathBuf>,
    /// The address of the review hook, if any.
    pub review: Option<String>,
    /// Further settings of every role.
    pub constants: Vec<(String, String)>,
    /// Whether the log's files may be damaged, or restored from a backup. Only with a single log server.
    pub damage: bool,
}

/// 1 GiB: fits on a small disk, and no run fills it.
pub const LOG_BYTES: u64 = 1_073_741_824;

impl System {
    /// The parts of a kind.
    pub(crate) fn of(&self, kind: Kind) -> Vec<&Part> {
        self.parts.iter().filter(|part| part.kind == kind).collect()
    }

    /// The server that leads the log's first partition.
    pub(crate) async fn leader(&self) -> anyhow::Result<Option<String>> {
        let client = testkit::client().timeout(Duration::from_secs(1)).build()?;
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

    /// The primary of the replica set.
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

    /// Declares that the log was restored from a backup, as in `docs/operations/backup-and-restore.md`.
    pub(crate) async fn begin_epoch(&self) -> anyhow::Result<()> {
        self.set_up(&["--new-epoch"]).await
    }

    /// Runs `chatting-server setup`.
    pub(crate) async fn set_up(&self, arguments: &[&str]) -> anyhow::Result<()> {
        self.command(&[&["setup"], arguments].concat(), &[]).await
    }

    /// Runs `chatting-server` with these arguments and further variables of the environment.
    pub(crate) async fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<()> {
        let mut command = tokio::process::Command::new(&self.binary);
        let command = command.args(arguments).envs(self.environment.iter().cloned()).envs(variables.iter().copied());
        let output = command.output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{} failed: {said}", arguments.join(" "));
        Ok(())
    }

    /// The archive, without a proxy.
    pub async fn archive(&self) -> anyhow::Result<archiver::Archive> {
        Ok(archiver::Archive::connect(&self.config.archiver).await?)
    }
}

/// A role that starts without the log is ready once the log is back: longer than any fault.
const PATIENCE: Duration = Duration::from_secs(240);

/// Starts a part, restarts it if it ends by itself, and waits until it is ready, for longer than usual.
pub(crate) async fn start_patiently(part: &Part, server: &mut Server) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut started = server.start().await;
    while let Err(error) = started {
        let why = || format!("{} does not restart", part.name);
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

/// Starts the members of a cluster, and waits until they are ready.
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

/// A user's token, with a moderator's scope if `moderates`.
pub fn token(user: i64, moderates: bool) -> String {
    token_with(user, if moderates { &["chat:moderate"] } else { &[] })
}

/// A user's token with these scopes.
pub fn token_with(user: i64, scopes: &[&str]) -> String {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let (nickname, email) = (format!("user{user}"), format!("user{user}@example.com"));
    let identity = Identity { user_idx: user, nickname, email, scopes, attributes: None, emotes: None };
    web::auth::mint(&Secret::from(SECRET.to_owned()), &identity, TOKEN_LIFETIME)
}

/// The server's binary beside this one, of the same profile.
pub fn binary() -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let binary = here.parent().unwrap_or(Path::new(".")).join("chatting-server");
    anyhow::ensure!(binary.exists(), "{} does not exist: run `cargo build`", binary.display());
    binary.canonicalize().context("cannot find the binary")
}
