//! Starts the system: the servers of the log and of the archive, then the roles, each behind its proxies.

use std::path::{Path, PathBuf};

use chatting_server::config::Config;
use testkit::{Member, Program, Proxy, Ready, Server, port};

use super::{Kind, Link, NODES, Part, Plan, SECRET, System, start_together};
use crate::disk::Disk;

/// The secret that signs requests to the review hook.
const REVIEW_SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// The number of members in a cluster of the log or the archive.
const MEMBERS: usize = 3;

/// A server's name, the server, and its disk.
type Stored = (String, Server, Option<Disk>);

/// The line of the configuration that makes nats-server sync before an acknowledgement.
const SYNC: &str = "sync_interval: always";

/// Settings other than the defaults: rate limits that no run reaches, and timeouts short enough for a run.
const SETTINGS: [(&str, &str); 14] = [
    ("CHATTING_AUTH__SECRET", SECRET),
    // Everything is behind a gateway. Requests without its headers are authenticated by token.
    ("CHATTING_INGEST__GATEWAY__MODE", "trusted-addresses"),
    ("CHATTING_INGEST__GATEWAY__TRUSTED", "127.0.0.0/8"),
    ("CHATTING_INGEST__ROOM__MESSAGE_RATE__MESSAGES", "100000"),
    ("CHATTING_INGEST__ROOM__MESSAGE_RATE__SECONDS", "1"),
    ("CHATTING_INGEST__LIMITS__MODERATOR_RATE__MESSAGES", "100000"),
    ("CHATTING_INGEST__LIMITS__MODERATOR_RATE__SECONDS", "1"),
    ("CHATTING_INGEST__LIMITS__USER_RATE__MESSAGES", "100000"),
    ("CHATTING_INGEST__LIMITS__USER_RATE__SECONDS", "1"),
    ("CHATTING_INGEST__LIMITS__DECISION_RATE__MESSAGES", "100000"),
    ("CHATTING_INGEST__LIMITS__DECISION_RATE__SECONDS", "1"),
    ("CHATTING_INGEST__LIMITS__READ_RATE__MESSAGES", "100000"),
    ("CHATTING_INGEST__LIMITS__READ_RATE__SECONDS", "1"),
    ("CHATTING_DELIVERY__KEEPALIVE_SECONDS", "3"),
];

/// How long a message waits for a moderator: the shortest allowed time.
const HOLD: &str = "10s";

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

impl System {
    /// Starts the system, and waits until it is ready.
    pub async fn start(plan: &Plan) -> anyhow::Result<System> {
        // Held until the last port is bound.
        let starting = testkit::starting().await?;
        let mut system = System {
            parts: Vec::new(),
            links: Vec::new(),
            ingest: Vec::new(),
            delivery: Vec::new(),
            delivery_direct: Vec::new(),
            archivers: Vec::new(),
            admin: Vec::new(),
            nats: Vec::new(),
            monitoring: Vec::new(),
            mongod: Vec::new(),
            config: Config::layered(None, std::iter::empty()).map_err(|invalid| anyhow::anyhow!("{invalid}"))?,
            folder: plan.folder.clone(),
            damage: plan.damage && !plan.cluster,
            lazy_log: plan.lazy_log,
            binary: plan.binary.clone(),
            environment: Vec::new(),
        };
        let members = if plan.cluster { MEMBERS } else { 1 };
        let nats = system.start_nats(plan, members).await?;
        system.nats.clone_from(&nats);
        let mongod = system.start_mongod(plan, members).await?;
        let rooms = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let rooms_address = rooms.local_addr()?.to_string();
        tokio::spawn(async move { axum::serve(rooms, testkit::room_server()).await });

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
        system.set_up(&[]).await?;

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
                        // Members of a replica set direct the driver past any proxy.
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
                // Several nodes of a role run here, and holds end within a run. An older binary does not know the
                // settings, and does not need them.
                let mut asked = local(own);
                if plan.old_binary.is_none() || node != 1 {
                    asked = local(port::own()?);
                    system.admin.push((name.clone(), asked.clone()));
                    let setting = match kind {
                        Kind::Ingest => "CHATTING_INGEST__ADMIN__LISTEN",
                        Kind::Delivery => "CHATTING_DELIVERY__ADMIN__LISTEN",
                        _ => "CHATTING_ARCHIVER__ADMIN__LISTEN",
                    };
                    environment.push((setting, asked.clone()));
                    if kind == Kind::Ingest {
                        environment.push(("CHATTING_INGEST__HOLD", HOLD.to_owned()));
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
                let ready = Ready::Http(format!("http://{asked}/readyz"));
                let mut server = Server::new(program, ready);
                server.start().await?;
                let (server, clock) = (tokio::sync::Mutex::new(server), clock.map(|(file, _)| file));
                system.parts.push(Part { name, kind, server, disk: None, clock });
            }
        }
        drop(starting);
        Ok(system)
    }

    /// Starts the log's servers. Returns their URLs.
    async fn start_nats(&mut self, plan: &Plan, members: usize) -> anyhow::Result<Vec<String>> {
        let member = || anyhow::Ok(Member { port: port::own()?, monitoring: port::own()?, route: port::own()? });
        let members = (0..members).map(|_| member()).collect::<anyhow::Result<Vec<Member>>>()?;
        self.monitoring = members.iter().map(|member| format!("http://{}", local(member.monitoring))).collect();
        let servers = match members.as_slice() {
            [Member { port, monitoring, .. }] => {
                vec![testkit::nats_server(&plan.folder.join("nats-0"), *port, *monitoring, false).await?]
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
                testkit::nats_cluster(&plan.folder, members, way).await?
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

    /// Starts the archive's servers. Returns their URI.
    async fn start_mongod(&mut self, plan: &Plan, members: usize) -> anyhow::Result<Vec<String>> {
        let ports = (0..members).map(|_| port::own()).collect::<anyhow::Result<Vec<u16>>>()?;
        let mut servers = Vec::new();
        for (number, port) in ports.iter().enumerate() {
            let name = format!("mongod-{number}");
            let folder = plan.folder.join(&name);
            let server = testkit::mongod(&folder, *port, false).await?;
            // The member itself first.
            let set = ports.iter().cycle().skip(number).take(members).map(|port| local(*port)).collect();
            let mut program = server.program().clone();
            let disk = if plan.disks { Some(Disk::create(&folder.join("data")).await?) } else { None };
            if plan.disks {
                // Checkpoints every 3 s in place of every minute: a full disk is noticed at a checkpoint.
                program.arguments.extend(["--syncdelay".into(), "3".into()]);
            }
            servers.push((name, Server::new(program, Ready::ReplicaSet(set)), disk));
        }
        self.run_together(Kind::Mongod, servers).await?;
        self.mongod = ports.into_iter().map(local).collect();
        Ok(self.mongod.clone())
    }

    /// A member of a cluster is ready only when the others run.
    async fn run_together(&mut self, kind: Kind, mut servers: Vec<Stored>) -> anyhow::Result<()> {
        start_together(&mut servers.iter_mut().map(|(_, server, _)| server).collect::<Vec<_>>()).await?;
        for (name, server, disk) in servers {
            self.parts.push(Part { name, kind, server: tokio::sync::Mutex::new(server), disk, clock: None });
        }
        Ok(())
    }

    /// Puts a proxy before a server. Returns its address.
    async fn link(&mut self, name: &'static str, part: &str, to: &str, server: &str) -> String {
        let proxy = Proxy::start(server.to_owned()).await;
        let address = proxy.address().to_string();
        self.links.push(Link { name, part: part.to_owned(), to: to.to_owned(), proxy });
        address
    }
}

/// The file that sets the part's clock, and the environment that makes libfaketime read it at every call.
fn clock(plan: &Plan, name: &str, library: &Path) -> anyhow::Result<(PathBuf, Vec<(&'static str, String)>)> {
    let file = plan.folder.join(format!("{name}.clock"));
    std::fs::write(&file, "+0")?;
    let variables = vec![
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        // The monotonic clock stays true.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    Ok((file, variables))
}
