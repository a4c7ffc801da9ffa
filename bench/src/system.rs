//! The system under test: real servers and the release binary, each a process of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use chatting_server::config::Config;
use conf::Secret;
use testkit::{Member, Program, Ready, Server, port};

use crate::{process, room_server};

/// The secret that signs tokens.
pub(crate) const SECRET: &str = "a secret of the bench, of more than 32 bytes";

/// How long a part gets to stop.
const STOP: Duration = Duration::from_secs(30);

/// A running system. Dropping it kills its processes.
pub(crate) struct System {
    pub(crate) ingest: u16,
    /// The delivery nodes.
    pub(crate) nodes: Vec<Node>,
    /// A server of the log.
    pub(crate) nats: String,
    /// The servers that keep each stream of the log.
    pub(crate) replicas: usize,
    /// Of MongoDB, if there is an archive.
    pub(crate) mongo: Option<String>,
    parts: Vec<Server>,
    _folder: tempfile::TempDir,
}

/// A program that runs one of the roles, such as a profiler:
/// `valgrind --tool=callgrind target/release/chatting-server ingest`.
#[derive(Debug)]
pub(crate) struct Runner {
    /// The role that it runs.
    pub(crate) role: &'static str,
    pub(crate) program: PathBuf,
    /// Its own arguments, before the binary.
    pub(crate) arguments: Vec<OsString>,
    /// Settings of all roles, which a role under it needs beside the usual ones.
    pub(crate) settings: Vec<(&'static str, String)>,
}

/// A delivery node.
pub(crate) struct Node {
    pub(crate) port: u16,
    server: Server,
}

impl Node {
    /// Resident memory, in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        process::memory(self.id()?)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> anyhow::Result<u32> {
        self.server.id().context("the node is not running")
    }

    /// Kills the node with SIGKILL.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.server.kill()
    }
}

impl System {
    pub(crate) async fn start(nodes: usize, archive: bool) -> anyhow::Result<System> {
        System::launch(nodes, archive, 1, None, &[]).await
    }

    /// Starts a system whose log is kept by this many nats-servers, each of them on this machine.
    pub(crate) async fn start_replicated(nodes: usize, archive: bool, replicas: usize) -> anyhow::Result<System> {
        // A stall shows in the latency of the posts that it delays; refused posts would end the run.
        let settings = [("CHATTING_NATS__APPEND_QUEUE_WAIT", "4s".to_owned())];
        System::launch(nodes, archive, replicas, None, &settings).await
    }

    /// Starts a system with further settings.
    pub(crate) async fn start_with(nodes: usize, settings: &[(&'static str, String)]) -> anyhow::Result<System> {
        System::launch(nodes, false, 1, None, settings).await
    }

    /// Starts a system with an archive and further settings.
    pub(crate) async fn start_archiving(nodes: usize, settings: &[(&'static str, String)]) -> anyhow::Result<System> {
        System::launch(nodes, true, 1, None, settings).await
    }

    /// Starts a system of which one role runs under another program.
    pub(crate) async fn start_under(nodes: usize, archive: bool, runner: Option<&Runner>) -> anyhow::Result<System> {
        System::launch(nodes, archive, 1, runner, runner.map_or(&[], |runner| &runner.settings)).await
    }

    async fn launch(
        nodes: usize,
        archive: bool,
        replicas: usize,
        runner: Option<&Runner>,
        settings: &[(&'static str, String)],
    ) -> anyhow::Result<System> {
        let folder = tempfile::tempdir()?;
        let (mut parts, nats_urls) = log(folder.path(), replicas).await?;
        let (ingest, archiver) = (port::own()?, port::own()?);
        let mut environment = vec![
            ("CHATTING_AUTH__SECRET", SECRET.to_owned()),
            ("CHATTING_NATS__URLS", nats_urls.join(",")),
            ("CHATTING_NATS__REPLICAS", replicas.to_string()),
            ("CHATTING_INGEST__ROOMS__URL", room_server::start().await?),
            // One poster stands for many users.
            ("CHATTING_INGEST__ROOM__MESSAGE_RATE__MESSAGES", "100000".to_owned()),
            ("CHATTING_INGEST__ROOM__MESSAGE_RATE__SECONDS", "1".to_owned()),
            ("CHATTING_INGEST__LIMITS__USER_RATE__MESSAGES", "100000".to_owned()),
            ("CHATTING_INGEST__LIMITS__USER_RATE__SECONDS", "1".to_owned()),
            // One address stands for many, too.
            ("CHATTING_INGEST__HTTP__PROXIES", "127.0.0.0/8".to_owned()),
            ("CHATTING_DELIVERY__HTTP__PROXIES", "127.0.0.0/8".to_owned()),
            ("CHATTING_ARCHIVER__HTTP__PROXIES", "127.0.0.0/8".to_owned()),
            ("CHATTING_INGEST__LISTEN", format!("127.0.0.1:{ingest}")),
            ("CHATTING_INGEST__ADMIN__LISTEN", String::new()),
            ("CHATTING_DELIVERY__ADMIN__LISTEN", String::new()),
            ("CHATTING_ARCHIVER__ADMIN__LISTEN", String::new()),
            ("CHATTING_ARCHIVER__LISTEN", format!("127.0.0.1:{archiver}")),
        ];
        environment.extend_from_slice(settings);
        let mut roles = vec![("ingest", ingest)];
        let mut uri = None;
        if archive {
            let mongo = port::own()?;
            let mut server = testkit::mongod(&folder.path().join("mongod"), mongo, false).await?;
            server.start().await?;
            parts.push(server);
            let address = format!("mongodb://127.0.0.1:{mongo}/?replicaSet=rs0");
            environment.push(("CHATTING_ARCHIVER__URI", address.clone()));
            uri = Some(address);
            roles.push(("archiver", archiver));
        }
        let role = |role: &str, port: u16, own: Option<(&str, String)>| -> anyhow::Result<Server> {
            let (path, arguments) = match runner.filter(|runner| runner.role == role) {
                Some(Runner { program, arguments, .. }) => {
                    let own = [binary()?.into(), OsString::from(role)];
                    (program.clone(), arguments.iter().cloned().chain(own).collect())
                }
                None => (binary()?, vec![role.into()]),
            };
            let program = Program {
                name: role.to_owned(),
                path,
                arguments,
                environment: environment.iter().chain(&own).map(|(key, value)| ((*key).into(), value.into())).collect(),
                output: folder.path().join(format!("{role}-{port}.log")),
                detached: false,
            };
            Ok(Server::new(program, Ready::Http(format!("http://127.0.0.1:{port}/readyz"))))
        };
        set_up(&environment).await?;
        for (name, port) in roles {
            let mut server = role(name, port, None)?;
            server.start().await?;
            parts.push(server);
        }
        let mut started = Vec::new();
        for _ in 0..nodes {
            let port = port::own()?;
            let listen = ("CHATTING_DELIVERY__LISTEN", format!("127.0.0.1:{port}"));
            let mut server = role("delivery", port, Some(listen))?;
            server.start().await?;
            started.push(Node { port, server });
        }
        let nats = nats_urls.into_iter().next().context("the log has no server")?;
        Ok(System { ingest, nodes: started, nats, replicas, mongo: uri, parts, _folder: folder })
    }

    /// Stops the roles, which finish what they have in hand, and then the servers.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let nodes = self.nodes.iter_mut().map(|node| &mut node.server);
        for part in nodes.chain(self.parts.iter_mut().rev()) {
            part.terminate(STOP).await?;
        }
        Ok(())
    }

    /// The process ids of the log's servers.
    pub(crate) fn nats_ids(&self) -> Vec<u32> {
        let servers = self.parts.iter().filter(|part| part.name().starts_with("nats-"));
        servers.filter_map(Server::id).collect()
    }

    /// The process id of the role, the first node of delivery.
    pub(crate) fn id(&self, role: &str) -> anyhow::Result<u32> {
        if role == "delivery" {
            return self.nodes.first().context("there is no node of delivery")?.id();
        }
        let part = self.parts.iter().find(|part| part.name() == role);
        part.and_then(Server::id).with_context(|| format!("{role} does not run"))
    }

    /// Ingest's resident memory, in bytes.
    pub(crate) fn ingest_memory(&self) -> anyhow::Result<u64> {
        process::memory(self.id("ingest")?)
    }

    pub(crate) fn token(&self, user: i64) -> String {
        self.token_with(user, &[])
    }

    /// A token with these scopes.
    pub(crate) fn token_with(&self, user: i64, scopes: &[&str]) -> String {
        let secret = Secret::from(SECRET.to_owned());
        let (nickname, email) = (format!("user{user}"), "user@example.com".to_owned());
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let identity = web::auth::Identity { user_idx: user, nickname, email, scopes, attributes: None, emotes: None };
        web::auth::mint(&secret, &identity, Duration::from_secs(3_600))
    }
}

/// The servers of a log, started, and their URLs. More than one are a cluster.
async fn log(folder: &Path, servers: usize) -> anyhow::Result<(Vec<Server>, Vec<String>)> {
    let member = |_| anyhow::Ok(Member { port: port::own()?, monitoring: port::own()?, route: port::own()? });
    let members = (0..servers).map(member).collect::<anyhow::Result<Vec<Member>>>()?;
    let mut servers = match members.as_slice() {
        [Member { port, monitoring, .. }] => {
            vec![testkit::nats_server(&folder.join("nats-server"), *port, *monitoring, false).await?]
        }
        members => testkit::nats_cluster(folder, members, |_, to| format!("127.0.0.1:{}", members[to].route)).await?,
    };
    // A member is ready only once it knows the others.
    servers.iter_mut().try_for_each(Server::spawn)?;
    for server in &mut servers {
        server.ready().await?;
    }
    Ok((servers, members.iter().map(|member| format!("nats://127.0.0.1:{}", member.port)).collect()))
}

/// A log and an archive, for one archiver after the other. Dropping it kills the servers.
pub(crate) struct Archive {
    pub(crate) nats: Server,
    pub(crate) mongod: Server,
    pub(crate) nats_url: String,
    pub(crate) uri: String,
    /// The archivers' port.
    pub(crate) port: u16,
    folder: tempfile::TempDir,
}

impl Archive {
    pub(crate) async fn start() -> anyhow::Result<Archive> {
        let folder = tempfile::tempdir()?;
        let (nats_port, mongo_port) = (port::own()?, port::own()?);
        let mut nats = testkit::nats_server(&folder.path().join("nats-server"), nats_port, port::own()?, false).await?;
        let mut mongod = testkit::mongod(&folder.path().join("mongod"), mongo_port, false).await?;
        nats.start().await?;
        mongod.start().await?;
        Ok(Archive {
            nats,
            mongod,
            nats_url: format!("nats://127.0.0.1:{nats_port}"),
            uri: format!("mongodb://127.0.0.1:{mongo_port}/?replicaSet=rs0"),
            port: port::own()?,
            folder,
        })
    }

    /// An archiver with these settings, not started yet, and its log.
    pub(crate) async fn archiver(&self, settings: &[(&str, String)]) -> anyhow::Result<Server> {
        let own = [
            ("CHATTING_AUTH__SECRET", SECRET.to_owned()),
            ("CHATTING_NATS__URLS", self.nats_url.clone()),
            ("CHATTING_ARCHIVER__URI", self.uri.clone()),
            ("CHATTING_ARCHIVER__LISTEN", format!("127.0.0.1:{}", self.port)),
            ("CHATTING_ARCHIVER__ADMIN__LISTEN", String::new()),
        ];
        let environment: Vec<(&str, String)> = own.iter().chain(settings).cloned().collect();
        set_up(&environment).await?;
        let program = Program {
            name: "archiver".to_owned(),
            path: binary()?,
            arguments: vec!["archiver".into()],
            environment: environment.into_iter().map(|(key, value)| (key.into(), value)).collect(),
            output: self.folder.path().join("archiver.log"),
            detached: false,
        };
        Ok(Server::new(program, Ready::Http(format!("http://127.0.0.1:{}/readyz", self.port))))
    }
}

/// Sets up the log for roles with these settings.
pub(crate) async fn set_up<K: AsRef<str>>(environment: &[(K, String)]) -> anyhow::Result<()> {
    let environment = environment.iter().map(|(key, value)| (key.as_ref().into(), value.into()));
    let config = Config::layered(None, environment).map_err(|invalid| anyhow::anyhow!("{invalid}"))?;
    nats::set_up(&config.nats, "bench").await?;
    Ok(())
}

/// The build profile: Cargo puts the binaries of one into a folder of its name.
pub(crate) fn profile() -> anyhow::Result<String> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::file_name).context("this binary is in no folder")?;
    Ok(folder.to_string_lossy().into_owned())
}

/// The server's binary beside this one, of the same profile.
pub(crate) fn binary() -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let binary = here.parent().unwrap_or(Path::new(".")).join("chatting-server");
    anyhow::ensure!(binary.exists(), "{} does not exist: run `cargo build --release`", binary.display());
    binary.canonicalize().context("cannot find the binary")
}
