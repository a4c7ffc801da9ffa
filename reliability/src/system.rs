//! The system that is to be broken: every server and role a process of its own, and between any two of them, and before
//! every client, a network that fails on demand.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chatting_server::config::Config;
use chatting_server::servers::{self, Member, Program, Proxy, Ready, Server, port};
use web::Secret;
use web::auth::Identity;

use crate::disk::Disk;

/// What its tokens are signed with.
const SECRET: &str = "a secret of the reliability runs, of more than 32 bytes";

/// What questions to the review hook are signed with.
const REVIEW_SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// Tokens outlast any run.
const TOKEN_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// So many of each role.
pub const NODES: usize = 2;

/// So many servers hold the log, and as many the archive, in a cluster.
const MEMBERS: usize = 3;

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

/// A server by its name, with the disk of its own.
type Stored = (String, Server, Option<Disk>);

/// The line of the configuration by which the log is synced before an acknowledgement.
const SYNC: &str = "sync_interval: always";

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

/// Settings beside the defaults: nothing that a run does is to be refused for its rate, and a presenter notices a dead connection before a run is over.
const SETTINGS: [(&str, &str); 10] = [
    ("CHATTING_AUTH__SECRET", SECRET),
    // Everything is behind a gateway; who comes without its headers is known by a token.
    ("CHATTING_INGEST__GATEWAY__MODE", "trusted-addresses"),
    ("CHATTING_INGEST__GATEWAY__TRUSTED", "127.0.0.0/8"),
    ("CHATTING_INGEST__ROOM__MESSAGE_RATE__MESSAGES", "100000"),
    ("CHATTING_INGEST__ROOM__MESSAGE_RATE__SECONDS", "1"),
    ("CHATTING_INGEST__LIMITS__MODERATOR_RATE__MESSAGES", "100000"),
    ("CHATTING_INGEST__LIMITS__MODERATOR_RATE__SECONDS", "1"),
    ("CHATTING_INGEST__LIMITS__USER_RATE__MESSAGES", "100000"),
    ("CHATTING_INGEST__LIMITS__USER_RATE__SECONDS", "1"),
    ("CHATTING_DELIVERY__KEEPALIVE_SECONDS", "3"),
];

/// 1 GiB: what a small disk has room for, and no run fills.
pub const LOG_BYTES: u64 = 1_073_741_824;

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

impl System {
    /// Starts everything, and waits until it is ready.
    pub async fn start(plan: &Plan) -> anyhow::Result<System> {
        // Until the last port is taken.
        let starting = servers::starting().await?;
        let mut system = System {
            parts: Vec::new(),
            links: Vec::new(),
            ingest: Vec::new(),
            delivery: Vec::new(),
            delivery_direct: Vec::new(),
            archivers: Vec::new(),
            monitoring: Vec::new(),
            mongod: Vec::new(),
            config: Config::layered(None, std::iter::empty()).map_err(|invalid| anyhow::anyhow!("{invalid}"))?,
            folder: plan.folder.clone(),
            damage: plan.damage && !plan.cluster,
            binary: plan.binary.clone(),
            environment: Vec::new(),
        };
        let members = if plan.cluster { MEMBERS } else { 1 };
        let nats = system.start_nats(plan, members).await?;
        let mongod = system.start_mongod(plan, members).await?;
        let rooms = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let rooms_address = rooms.local_addr()?.to_string();
        tokio::spawn(async move { axum::serve(rooms, servers::room_server()).await });

        let log_urls = |addresses: &[String]| {
            let urls: Vec<String> = addresses.iter().map(|address| format!("nats://{address}")).collect();
            urls.join(",")
        };
        let set = format!("mongodb://{}/?replicaSet=rs0", mongod.join(","));
        let replicas = members.to_string();
        let direct = [
            ("CHATTING_NATS__URLS", log_urls(&nats)),
            ("CHATTING_NATS__REPLICAS", replicas.clone()),
            ("CHATTING_NATS__PARTITIONS", plan.partitions.to_string()),
            ("CHATTING_NATS__MAX_BYTES", plan.log_bytes.to_string()),
            ("CHATTING_ARCHIVER__URI", set.clone()),
        ];
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        system.environment = SETTINGS.iter().map(owned).chain(plan.constants.iter().cloned()).collect();
        system.environment.extend(direct.map(|(key, value)| (key.to_owned(), value)));
        let environment = system.environment.iter().map(|(key, value)| (key.into(), value.into()));
        system.config = Config::layered(None, environment).map_err(|wrong| anyhow::anyhow!("{wrong}"))?;

        for kind in [Kind::Ingest, Kind::Delivery, Kind::Archiver] {
            for node in 0..NODES {
                let (role, name, own) = (kind.word(), format!("{}-{node}", kind.word()), port::own()?);
                let to_nats = match kind {
                    Kind::Ingest => "ingest to nats",
                    Kind::Delivery => "delivery to nats",
                    _ => "archiver to nats",
                };
                let mut log = Vec::new();
                for (number, server) in nats.iter().enumerate() {
                    log.push(system.link(to_nats, &name, &format!("nats-{number}"), server).await);
                }
                let mut environment = vec![
                    ("CHATTING_NATS__URLS", log_urls(&log)),
                    ("CHATTING_NATS__REPLICAS", replicas.clone()),
                    ("CHATTING_NATS__PARTITIONS", plan.partitions.to_string()),
                    ("CHATTING_NATS__MAX_BYTES", plan.log_bytes.to_string()),
                ];
                match kind {
                    Kind::Ingest => {
                        environment.push(("CHATTING_INGEST__LISTEN", local(own)));
                        let rooms = system.link("ingest to rooms", &name, "rooms", &rooms_address).await;
                        environment.push(("CHATTING_INGEST__ROOMS__URL", format!("http://{rooms}")));
                        if let Some(hook) = &plan.review {
                            let hook = system.link("ingest to review", &name, "review", hook).await;
                            environment.push(("CHATTING_INGEST__REVIEW__URL", format!("http://{hook}/review")));
                            environment.push(("CHATTING_INGEST__REVIEW__SECRET", REVIEW_SECRET.to_owned()));
                            environment.push(("CHATTING_INGEST__REVIEW__DEADLINE_MS", "1000".to_owned()));
                        }
                        let url = system.link("client to ingest", &name, &name, &local(own)).await;
                        system.ingest.push(format!("http://{url}"));
                    }
                    Kind::Delivery => {
                        environment.push(("CHATTING_DELIVERY__LISTEN", local(own)));
                        let url = system.link("presenter to delivery", &name, &name, &local(own)).await;
                        system.delivery.push(format!("ws://{url}"));
                        system.delivery_direct.push(format!("ws://{}", local(own)));
                    }
                    _ => {
                        environment.push(("CHATTING_ARCHIVER__LISTEN", local(own)));
                        // The members of a set send the driver past any network of ours.
                        let uri = match mongod.as_slice() {
                            [one] => {
                                let uri = system.link("archiver to mongod", &name, "mongod-0", one).await;
                                format!("mongodb://{uri}/?directConnection=true")
                            }
                            _ => set.clone(),
                        };
                        environment.push(("CHATTING_ARCHIVER__URI", uri));
                        system.archivers.push(format!("http://{}", local(own)));
                    }
                }
                let clock = plan.clock_library.as_deref().map(|library| clock(plan, &name, library)).transpose()?;
                if let Some((_, variables)) = &clock {
                    environment.extend(variables.iter().cloned());
                }
                let settings = SETTINGS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
                let own_settings = environment.into_iter().map(|(key, value)| (key.to_owned(), value));
                let program = Program {
                    name: name.clone(),
                    path: plan.old_binary.as_ref().filter(|_| node == 1).unwrap_or(&plan.binary).clone(),
                    arguments: vec![role.into()],
                    environment: settings.chain(plan.constants.iter().cloned()).chain(own_settings).collect(),
                    output: plan.folder.join(format!("{name}.log")),
                    detached: false,
                };
                let ready = Ready::Http(format!("http://{}/readyz", local(own)));
                let mut server = Server::new(program, ready);
                server.start().await?;
                let (server, clock) = (tokio::sync::Mutex::new(server), clock.map(|(file, _)| file));
                system.parts.push(Part { name, kind, server, disk: None, clock });
            }
        }
        drop(starting);
        Ok(system)
    }

    /// The log's servers; the answer is where they are.
    async fn start_nats(&mut self, plan: &Plan, members: usize) -> anyhow::Result<Vec<String>> {
        let member = || anyhow::Ok(Member { port: port::own()?, monitoring: port::own()?, route: port::own()? });
        let members = (0..members).map(|_| member()).collect::<anyhow::Result<Vec<Member>>>()?;
        self.monitoring = members.iter().map(|member| format!("http://{}", local(member.monitoring))).collect();
        let servers = match members.as_slice() {
            [Member { port, monitoring, .. }] => {
                vec![servers::nats_server(&plan.folder.join("nats-0"), *port, *monitoring, false).await?]
            }
            members => {
                let mut ways = Vec::new();
                for from in 0..members.len() {
                    for (to, member) in members.iter().enumerate() {
                        let (part, to) = (format!("nats-{from}"), format!("nats-{to}"));
                        ways.push(self.link("nats to nats", &part, &to, &local(member.route)).await);
                    }
                }
                let way = |from: usize, to: usize| ways[from * members.len() + to].clone();
                servers::nats_cluster(&plan.folder, members, way).await?
            }
        };
        let mut named = Vec::new();
        for (number, server) in servers.into_iter().enumerate() {
            let name = format!("nats-{number}");
            let folder = plan.folder.join(&name);
            if plan.lazy_log {
                let file = folder.join("server.conf");
                let configuration = std::fs::read_to_string(&file)?;
                anyhow::ensure!(configuration.contains(SYNC), "{} has no line `{SYNC}`", file.display());
                std::fs::write(&file, configuration.replace(SYNC, ""))?;
            }
            let disk = if plan.disks { Some(Disk::create(&folder.join("store")).await?) } else { None };
            named.push((name, server, disk));
        }
        self.run_together(Kind::Nats, named).await?;
        Ok(members.into_iter().map(|member| local(member.port)).collect())
    }

    /// The archive's servers; the answer is where they are.
    async fn start_mongod(&mut self, plan: &Plan, members: usize) -> anyhow::Result<Vec<String>> {
        let ports = (0..members).map(|_| port::own()).collect::<anyhow::Result<Vec<u16>>>()?;
        let mut servers = Vec::new();
        for (number, port) in ports.iter().enumerate() {
            let name = format!("mongod-{number}");
            let folder = plan.folder.join(&name);
            let server = servers::mongod(&folder, *port, false).await?;
            // Itself first, then the others.
            let set = ports.iter().cycle().skip(number).take(members).map(|port| local(*port)).collect();
            let mut program = server.program().clone();
            let disk = if plan.disks { Some(Disk::create(&folder.join("data")).await?) } else { None };
            if plan.disks {
                // Writes checkpoints every few seconds, in place of every minute: a full disk is noticed then.
                program.arguments.extend(["--syncdelay".into(), "3".into()]);
            }
            servers.push((name, Server::new(program, Ready::ReplicaSet(set)), disk));
        }
        self.run_together(Kind::Mongod, servers).await?;
        self.mongod = ports.into_iter().map(local).collect();
        Ok(self.mongod.clone())
    }

    /// Members of a cluster are ready only when the others are there.
    async fn run_together(&mut self, kind: Kind, mut servers: Vec<Stored>) -> anyhow::Result<()> {
        start_together(&mut servers.iter_mut().map(|(_, server, _)| server).collect::<Vec<_>>()).await?;
        for (name, server, disk) in servers {
            self.parts.push(Part { name, kind, server: tokio::sync::Mutex::new(server), disk, clock: None });
        }
        Ok(())
    }

    /// A network to the server; the answer is where it begins.
    async fn link(&mut self, name: &'static str, part: &str, to: &str, server: &str) -> String {
        let proxy = Proxy::start(server.to_owned()).await;
        let address = proxy.address().to_string();
        self.links.push(Link { name, part: part.to_owned(), to: to.to_owned(), proxy });
        address
    }

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

    /// Tells the log that it was restored from a backup, as `docs/operations.md` has it.
    pub(crate) async fn begin_epoch(&self) -> anyhow::Result<()> {
        let mut command = tokio::process::Command::new(&self.binary);
        let output = command.args(["setup", "--new-epoch"]).envs(self.environment.iter().cloned()).output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "setup --new-epoch failed: {said}");
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

/// The file that sets the part's clock, and the variables by which libfaketime reads it at every look at the clock.
fn clock(plan: &Plan, name: &str, library: &Path) -> anyhow::Result<(PathBuf, Vec<(&'static str, String)>)> {
    let file = plan.folder.join(format!("{name}.clock"));
    std::fs::write(&file, "+0")?;
    let variables = vec![
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        // How long something takes stays true.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    Ok((file, variables))
}

/// A token of the user; with the scope of moderators if so.
pub fn token(user: i64, moderates: bool) -> String {
    let scopes = if moderates { vec!["chat:moderate".to_owned()] } else { Vec::new() };
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
