//! `chatting-server dev`: the whole system on one machine, for trying it out and for development. It starts the
//! servers, a stand-in room server and the three roles as processes, restarts any that ends, serves the demo, and stops
//! them in order.

mod demo;
mod folder;
mod parts;
mod play;
mod token;
mod try_it;
mod watch;
mod welcome;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use runtime::Tasks;
use toml::{Table, Value};

use crate::cli::DevArguments;
use crate::config::Config;
use crate::roles::Role;
use crate::signals::Signals;
use testkit::{Program, Ready, Server, port};

use demo::Demo;
use folder::Folder;
use parts::{Kills, Parts};
use welcome::Welcome;

pub use play::play;
pub use token::token;
pub use watch::watch;

/// The time limit for a part to stop: longer than the roles' grace periods.
const GRACE: Duration = Duration::from_secs(20);

/// The addresses of all parts.
#[derive(Debug)]
struct Addresses {
    nats: String,
    mongo: String,
    rooms: u16,
    ingest: Ports,
    delivery: Ports,
    archiver: Ports,
    demo: u16,
}

/// Where a role listens.
#[derive(Debug)]
struct Ports {
    http: u16,
    admin: u16,
}

impl Ports {
    fn choose(http: u16, admin: u16) -> anyhow::Result<Ports> {
        Ok(Ports { http: port::or_own(http)?, admin: port::or_own(admin)? })
    }
}

/// Runs until a signal. Err: a part could not be started.
pub async fn dev(arguments: &DevArguments) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let folder = Folder::open(&arguments.data, arguments.fresh)?;
    let (mut parts, tasks) = (Vec::new(), Tasks::new());
    let run = async {
        let (lives, kills) = start(arguments, &folder, &mut parts, &tasks).await?;
        lives.look_after(&mut parts, kills, &folder).await
    };
    // If `run` is dropped, the parts are stopped below.
    let ended = tokio::select! {
        ended = run => ended,
        panicked = tasks.failed() => Err(panicked.into()),
        () = signals.next() => Ok(()),
    };
    eprintln!("stopping; press Ctrl-C again to kill the remaining processes");
    tokio::select! {
        () = stop(&mut parts) => {}
        // Dropping the stop kills every part.
        () = signals.next() => {}
    }
    drop(parts);
    tasks.finish().await;
    folder.note(std::iter::empty())?;
    ended
}

async fn start(
    arguments: &DevArguments,
    folder: &Folder,
    parts: &mut Vec<Server>,
    tasks: &Tasks,
) -> anyhow::Result<(Arc<Parts>, Kills)> {
    // Keeps another `dev` from finding the same ports free until they are bound.
    let _starting = testkit::starting().await?;
    let nats = match &arguments.nats {
        Some(url) => url.clone(),
        None => {
            let (port, monitoring) = (port::or_own(4222)?, port::or_own(8222)?);
            let server = testkit::nats_server(&folder.path().join("nats-server"), port, monitoring, true).await?;
            begin(server, folder, parts).await?;
            format!("nats://127.0.0.1:{port}")
        }
    };
    let mongo = match &arguments.mongo {
        Some(uri) => uri.clone(),
        None => {
            let port = port::or_own(27017)?;
            let server = testkit::mongod(&folder.path().join("mongod"), port, true).await?;
            begin(server, folder, parts).await?;
            format!("mongodb://127.0.0.1:{port}/?replicaSet=rs0")
        }
    };
    let addresses = Addresses {
        nats,
        mongo,
        rooms: port::or_own(8090)?,
        ingest: Ports::choose(8080, 9080)?,
        delivery: Ports::choose(8081, 9081)?,
        archiver: Ports::choose(8082, 9082)?,
        demo: port::or_own(8070)?,
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", addresses.rooms)).await;
    let listener = listener.context("cannot listen for the stand-in room server")?;
    tasks.spawn_until_stop("stand-in room server", async move {
        axum::serve(listener, testkit::room_server()).await.expect("axum retries when it cannot accept");
    });

    let secret = folder.secret()?;
    let configuration = folder.configure(&settings(&addresses, &secret))?;
    let config = Config::load(Some(&configuration))?;
    nats::set_up(&config.nats, "chatting-server dev").await.context("cannot set up the log")?;
    for role in [Role::Ingest, Role::Delivery, Role::Archiver] {
        let server = role_server(role, &addresses, &configuration, folder)?;
        begin(server, folder, parts).await?;
    }
    let (secret, (lives, kills)) = (secret.into(), Parts::of(parts));
    let people = try_it::people(&secret);
    let examples = try_it::examples(&addresses, &people, &arguments.data);
    let welcome = Welcome { addresses: &addresses, folder: folder.path(), parts, people: &people, examples: &examples };
    let welcome = welcome.text(arguments.verbose)?;
    Demo { addresses, secret, data: arguments.data.clone(), parts: Arc::clone(&lives) }.serve(tasks).await?;
    welcome::print(&welcome)?;
    Ok((lives, kills))
}

/// Starts a part. It is in `parts` first, so that it is stopped in any case.
async fn begin(server: Server, folder: &Folder, parts: &mut Vec<Server>) -> anyhow::Result<()> {
    eprintln!("starting {}", server.name());
    parts.push(server);
    let server = parts.last_mut().expect("it was pushed just now");
    server.spawn()?;
    folder.note(parts.iter().filter_map(Server::id))?;
    parts.last_mut().expect("it was pushed just now").ready().await
}

fn role_server(role: Role, addresses: &Addresses, configuration: &Path, folder: &Folder) -> anyhow::Result<Server> {
    let name = role.name();
    let output = folder.path().join("roles");
    std::fs::create_dir_all(&output).with_context(|| format!("cannot create {}", output.display()))?;
    let port = match role {
        Role::Ingest => addresses.ingest.http,
        Role::Delivery => addresses.delivery.http,
        Role::Archiver => addresses.archiver.http,
    };
    let program = Program {
        name: name.to_owned(),
        path: std::env::current_exe().context("cannot find the path of this program")?,
        arguments: vec![name.into(), "--config".into(), configuration.into()],
        environment: Vec::new(),
        output: output.join(format!("{name}.log")),
        detached: true,
    };
    Ok(Server::new(program, Ready::Http(format!("http://127.0.0.1:{port}/readyz"))))
}

/// The settings that differ from the defaults.
fn settings(addresses: &Addresses, secret: &str) -> Table {
    let listen = |port: u16| Value::String(format!("127.0.0.1:{port}"));
    let section = |members: Vec<(&str, Value)>| {
        Value::Table(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    };
    let text = |text: &str| Value::String(text.to_owned());
    let url = |role: &Ports| Value::String(format!("http://127.0.0.1:{}", role.http));
    let rooms = section(vec![("url", Value::String(format!("http://127.0.0.1:{}", addresses.rooms)))]);
    // Users of a recording played at ten times its speed post at ten times their rate.
    let rate = || section(vec![("messages", Value::Integer(1_000)), ("seconds", Value::Integer(1))]);
    let room = section(vec![("message_rate", rate())]);
    let limits = section(vec![
        ("moderator_rate", rate()),
        ("user_rate", rate()),
        ("decision_rate", rate()),
        ("read_rate", rate()),
    ]);
    let admin = |role: &Ports| ("admin", section(vec![("listen", listen(role.admin))]));
    let ingest = vec![
        ("listen", listen(addresses.ingest.http)),
        admin(&addresses.ingest),
        ("rooms", rooms),
        ("room", room),
        ("limits", limits),
    ];
    // 1 GiB: nats-server refuses a stream larger than the free disk space.
    let nats = vec![("urls", Value::Array(vec![text(&addresses.nats)])), ("max_size", text("1 GiB"))];
    let sections = [
        ("auth", section(vec![("secret", text(secret))])),
        ("nats", section(nats)),
        ("ingest", section(ingest)),
        ("delivery", section(vec![("listen", listen(addresses.delivery.http)), admin(&addresses.delivery)])),
        (
            "archiver",
            section(vec![
                ("listen", listen(addresses.archiver.http)),
                admin(&addresses.archiver),
                ("uri", text(&addresses.mongo)),
                (
                    "console",
                    section(vec![("ingest_url", url(&addresses.ingest)), ("delivery_url", url(&addresses.delivery))]),
                ),
            ]),
        ),
    ];
    sections.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Roles first, so that their servers stay available while they stop; then the servers.
async fn stop(parts: &mut [Server]) {
    while_stopping(parts.iter_mut().filter(|part| is_role(part))).await;
    while_stopping(parts.iter_mut().filter(|part| !is_role(part))).await;
}

async fn while_stopping<'a>(parts: impl Iterator<Item = &'a mut Server>) {
    let stopping = parts.map(async |part: &mut Server| {
        if let Err(error) = part.terminate(GRACE).await {
            eprintln!("{} could not be stopped: {error:#}", part.name());
        }
    });
    futures_util::future::join_all(stopping).await;
}

fn is_role(part: &Server) -> bool {
    [Role::Ingest, Role::Delivery, Role::Archiver].iter().any(|role| role.name() == part.name())
}
