//! The attacked system: both servers and the three roles, with their defaults, and the archive to check afterwards.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use conf::Secret;
use futures_util::TryStreamExt as _;
use mongodb::Client;
use mongodb::bson::{Document, doc};
use testkit::{Program, Ready, Server, port};

use crate::system::{self, SECRET};
use crate::{process, room_server};

/// The time for the archiver to write all accepted posts.
const PATIENCE: Duration = Duration::from_secs(120);

/// A role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Ingest,
    Delivery,
    Archiver,
}

impl Role {
    const ALL: [Role; 3] = [Role::Ingest, Role::Delivery, Role::Archiver];

    pub(super) fn name(self) -> &'static str {
        match self {
            Role::Ingest => "ingest",
            Role::Delivery => "delivery",
            Role::Archiver => "archiver",
        }
    }
}

/// A running system. Dropping it kills its processes.
pub(super) struct World {
    /// In the order of [`Role::ALL`].
    roles: Vec<Running>,
    pub(super) database: mongodb::Database,
    // Dropped after the roles, in this order.
    _servers: [Server; 2],
    _folder: tempfile::TempDir,
}

struct Running {
    port: u16,
    admin: u16,
    server: Server,
}

impl World {
    pub(super) async fn start(binary: Option<PathBuf>) -> anyhow::Result<World> {
        let binary = binary.map_or_else(system::binary, Ok)?;
        let folder = tempfile::tempdir()?;
        let (nats_port, mongo_port) = (port::own()?, port::own()?);
        let mut nats = testkit::nats_server(&folder.path().join("nats-server"), nats_port, port::own()?, false).await?;
        let mut mongod = testkit::mongod(&folder.path().join("mongod"), mongo_port, false).await?;
        nats.start().await?;
        mongod.start().await?;
        let uri = format!("mongodb://127.0.0.1:{mongo_port}/?replicaSet=rs0");
        let mut environment = vec![
            ("CHATTING_AUTH__SECRET".to_owned(), SECRET.to_owned()),
            ("CHATTING_NATS__URLS".to_owned(), format!("nats://127.0.0.1:{nats_port}")),
            ("CHATTING_INGEST__ROOMS__URL".to_owned(), room_server::start().await?),
            ("CHATTING_ARCHIVER__URI".to_owned(), uri.clone()),
            // Less than the default of 16 GiB, which not every machine has. No attack fills this much.
            ("CHATTING_NATS__MAX_BYTES".to_owned(), (4_u64 << 30).to_string()),
        ];
        let mut ports = Vec::new();
        for role in Role::ALL {
            let (port, admin) = (port::own()?, port::own()?);
            let section = format!("CHATTING_{}", role.name().to_uppercase());
            environment.push((format!("{section}__LISTEN"), format!("127.0.0.1:{port}")));
            environment.push((format!("{section}__ADMIN__LISTEN"), format!("127.0.0.1:{admin}")));
            ports.push((port, admin));
        }
        system::set_up(&environment).await?;
        let mut roles = Vec::new();
        for (role, (port, admin)) in Role::ALL.into_iter().zip(ports) {
            let program = Program {
                name: role.name().to_owned(),
                path: binary.clone(),
                arguments: vec![role.name().into()],
                environment: environment.clone(),
                output: folder.path().join(format!("{}.log", role.name())),
                detached: false,
            };
            let mut server = Server::new(program, Ready::Http(format!("http://127.0.0.1:{port}/readyz")));
            server.start().await?;
            roles.push(Running { port, admin, server });
        }
        let database = Client::with_uri_str(&uri).await?.database("chatting");
        Ok(World { roles, database, _servers: [nats, mongod], _folder: folder })
    }

    /// The port of the main listener.
    pub(super) fn port(&self, role: Role) -> u16 {
        self.roles[role as usize].port
    }

    /// The port of the admin listener.
    pub(super) fn admin_port(&self, role: Role) -> u16 {
        self.roles[role as usize].admin
    }

    /// Resident memory in bytes.
    pub(super) fn memory(&self, role: Role) -> anyhow::Result<u64> {
        process::memory(self.id(role)?).with_context(|| format!("{} has ended", role.name()))
    }

    /// CPU seconds so far.
    pub(super) fn processor(&self, role: Role) -> anyhow::Result<f64> {
        process::processor(self.id(role)?)
    }

    fn id(&self, role: Role) -> anyhow::Result<u32> {
        self.roles[role as usize].server.id().with_context(|| format!("{} does not run", role.name()))
    }

    /// The number of these messages that are not in the archive, after the archiver had time to write them.
    pub(super) async fn missing(&self, ids: &[String]) -> anyhow::Result<usize> {
        let messages = self.database.collection::<Document>("chatting_log");
        let (began, mut missing) = (Instant::now(), ids.iter().collect::<HashSet<_>>());
        loop {
            let sought: Vec<&&String> = missing.iter().collect();
            let found = messages.find(doc! { "_id": { "$in": sought } }).projection(doc! { "_id": 1 }).await?;
            let found: Vec<Document> = found.try_collect().await?;
            let found: HashSet<&str> = found.iter().filter_map(|document| document.get_str("_id").ok()).collect();
            missing.retain(|id| !found.contains(id.as_str()));
            if missing.is_empty() || began.elapsed() > PATIENCE {
                return Ok(missing.len());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// The user's token, valid for an hour.
pub(super) fn token(user: i64) -> String {
    let (nickname, email) = (format!("user{user}"), "user@example.com".to_owned());
    let identity =
        web::auth::Identity { user_idx: user, nickname, email, scopes: Vec::new(), attributes: None, emotes: None };
    web::auth::mint(&Secret::from(SECRET.to_owned()), &identity, Duration::from_secs(3_600))
}
