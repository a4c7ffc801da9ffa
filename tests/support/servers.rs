//! A server of a test, and NATS for one test.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use parking_lot::Mutex;
use testkit::{Member, Proxy, Server};

use super::{Folder, port};

/// A server of a test. Every method takes `&self`, so that one task can kill a server that another one uses.
#[derive(Debug)]
pub(super) struct Handle(Mutex<Server>);

impl Handle {
    pub(super) fn new(server: Server) -> Handle {
        Handle(Mutex::new(server))
    }

    pub(super) fn spawn(&self) {
        self.0.lock().spawn().unwrap();
    }

    pub(super) async fn start(&self) {
        if let Err(error) = self.try_start().await {
            panic!("{error:#}");
        }
    }

    pub(super) async fn try_start(&self) -> anyhow::Result<()> {
        let mut server = self.take();
        let started = server.start().await;
        *self.0.lock() = server;
        started
    }

    pub(super) async fn ready(&self) {
        let mut server = self.take();
        let ready = server.ready().await;
        *self.0.lock() = server;
        if let Err(error) = ready {
            panic!("{error:#}");
        }
    }

    pub(super) fn kill(&self) {
        self.0.lock().kill().unwrap();
    }

    pub(super) fn pause(&self) {
        self.0.lock().pause().unwrap();
    }

    pub(super) fn resume(&self) {
        self.0.lock().signal(Signal::SIGCONT).unwrap();
    }

    pub(super) fn hang_up(&self) {
        self.0.lock().signal(Signal::SIGHUP).unwrap();
    }

    /// The exit code, if it has ended by itself.
    pub(super) fn exited(&self) -> Option<i32> {
        self.0.lock().exited().unwrap()?.code()
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.0.lock().id()
    }

    /// Takes the server out for the time of an await. Nothing else may use it then.
    pub(super) fn take(&self) -> Server {
        let mut server = self.0.lock();
        let program = server.program().clone();
        let ready = server.ready_when().clone();
        std::mem::replace(&mut server, Server::new(program, ready))
    }

    pub(super) fn put(&self, server: Server) {
        *self.0.lock() = server;
    }
}

/// A nats-server with the project's configuration.
#[derive(Debug)]
pub struct NatsServer {
    server: Handle,
    port: u16,
    monitoring: u16,
    // Dropped after the server.
    folder: Folder,
}

impl NatsServer {
    pub async fn start() -> NatsServer {
        NatsServer::start_with(&[]).await
    }

    /// With more arguments.
    pub async fn start_with(arguments: &[&str]) -> NatsServer {
        let (folder, port, monitoring) = (Folder::new("nats-server"), port(), port());
        let server = testkit::nats_server(folder.path(), port, monitoring, false).await.unwrap();
        let mut program = server.program().clone();
        program.arguments.extend(arguments.iter().map(Into::into));
        let server = Server::new(program, server.ready_when().clone());
        let server = NatsServer { server: Handle::new(server), port, monitoring, folder };
        server.start_again().await;
        server
    }

    /// With further lines of configuration, the files that they include, and the variables that they name.
    pub async fn start_configured(lines: &str, included: &[(&str, &str)], environment: &[(&str, &str)]) -> NatsServer {
        let (folder, port, monitoring) = (Folder::new("nats-server"), port(), port());
        let server = testkit::nats_server(folder.path(), port, monitoring, false).await.unwrap();
        let mut program = server.program().clone();
        program.environment.extend(environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        for (name, content) in included {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let server = Handle::new(Server::new(program, server.ready_when().clone()));
        let server = NatsServer { server, port, monitoring, folder };
        server.configure(lines);
        server.start_again().await;
        server
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// With TLS, to that name of this machine.
    pub fn tls_url(&self, host: &str) -> String {
        format!("tls://{host}:{}", self.port)
    }

    /// With a login in the address.
    pub fn url_of(&self, user: &str, password: &str) -> String {
        format!("nats://{user}:{password}@127.0.0.1:{}", self.port)
    }

    /// The monitoring endpoint.
    pub fn monitoring_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitoring)
    }

    /// Adds to the configuration of a stopped server.
    pub fn configure(&self, lines: &str) {
        append(&self.folder.path().join("server.conf"), lines);
    }

    /// Rewrites an included file, and lets the server read its configuration again.
    pub fn reload(&self, included: &str, lines: &str) {
        std::fs::write(self.folder.path().join(included), lines).unwrap();
        self.server.hang_up();
    }

    /// What it tells of its connections, their users included.
    pub async fn connections(&self) -> String {
        let url = format!("http://127.0.0.1:{}/connz?auth=1", self.monitoring);
        let client = testkit::client().build().unwrap();
        client.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Restarts it on the same port with the same data, and waits until it answers.
    pub async fn start_again(&self) {
        self.server.start().await;
    }

    /// Copies the store of a stopped server.
    pub fn backup(&self) -> Folder {
        let backup = Folder::new("nats-server-backup");
        copy(&self.folder.path().join("store"), &backup.path().join("store"));
        backup
    }

    /// Restores the store of a stopped server.
    pub fn restore(&self, backup: &Folder) {
        let store = self.folder.path().join("store");
        std::fs::remove_dir_all(&store).unwrap();
        copy(&backup.path().join("store"), &store);
    }

    /// Restores these streams of a stopped server.
    pub fn restore_streams(&self, backup: &Folder, streams: &[&str]) {
        for stream in streams {
            let folder = Path::new("store/jetstream/$G/streams").join(stream);
            let store = self.folder.path().join(&folder);
            std::fs::remove_dir_all(&store).unwrap();
            copy(&backup.path().join(&folder), &store);
        }
    }

    /// Flips a byte in the middle of the last block of a stream of a stopped server, as a failing disk does. After a
    /// restart everything behind that byte is gone.
    pub fn spoil(&self, stream: &str) {
        let last = self.last_block(stream);
        let mut bytes = std::fs::read(&last).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        std::fs::write(last, bytes).unwrap();
    }

    /// SIGTERM, and waits for the end. The server leaves an index of its store.
    pub async fn stop(&self) {
        let mut server = self.server.take();
        server.terminate(Duration::from_secs(60)).await.unwrap();
        self.server.put(server);
    }

    /// Cuts this many bytes off the last block of a stream of a stopped server.
    pub fn truncate(&self, stream: &str, bytes: u64) {
        let last = std::fs::OpenOptions::new().write(true).open(self.last_block(stream)).unwrap();
        last.set_len(last.metadata().unwrap().len() - bytes).unwrap();
    }

    fn last_block(&self, stream: &str) -> PathBuf {
        let blocks = self.folder.path().join("store/jetstream/$G/streams").join(stream).join("msgs");
        let is_block = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "blk");
        let number = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap();
        let files = std::fs::read_dir(blocks).unwrap().map(|entry| entry.unwrap().path());
        files.filter(is_block).max_by_key(number).unwrap()
    }

    pub fn pause(&self) {
        self.server.pause();
    }

    pub fn resume(&self) {
        self.server.resume();
    }
}

/// A cluster of three nats-servers, each with every stream.
#[derive(Debug)]
pub struct NatsCluster {
    servers: Vec<Handle>,
    members: Vec<Member>,
    /// From the first to the second.
    routes: Vec<(usize, usize, Proxy)>,
    // Dropped after the servers.
    _folder: Folder,
}

impl NatsCluster {
    pub async fn start() -> NatsCluster {
        let folder = Folder::new("nats-cluster");
        let member = |_| Member { port: port(), monitoring: port(), route: port() };
        let members: Vec<Member> = (0..3).map(member).collect();
        let mut routes = Vec::new();
        for from in 0..3 {
            for (to, member) in members.iter().enumerate() {
                routes.push((from, to, Proxy::start(format!("127.0.0.1:{}", member.route)).await));
            }
        }
        let way = |from: usize, to: usize| routes[3 * from + to].2.address().to_string();
        let servers = testkit::nats_cluster(folder.path(), &members, way).await.unwrap();
        let servers: Vec<Handle> = servers.into_iter().map(Handle::new).collect();
        // A member is ready only once it knows the others.
        servers.iter().for_each(Handle::spawn);
        for server in &servers {
            server.ready().await;
        }
        NatsCluster { servers, members, routes, _folder: folder }
    }

    /// The URL of one member.
    pub fn url(&self, member: usize) -> String {
        format!("nats://127.0.0.1:{}", self.members[member].port)
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&self, member: usize) {
        self.servers[member].kill();
    }

    /// Cuts the member off from the others. Clients reach all of them.
    pub fn cut_off(&self, member: usize) {
        let routes = self.routes.iter().filter(|(from, to, _)| [*from, *to].contains(&member));
        routes.for_each(|(.., route)| route.hold_up());
    }

    /// Restores the network between the members.
    pub fn join(&self) {
        self.routes.iter().for_each(|(.., route)| route.release());
    }

    /// Restarts the member on the same ports with the same data, without waiting.
    pub fn spawn(&self, member: usize) {
        self.servers[member].spawn();
    }

    /// Waits until the member has caught up with the others.
    pub async fn ready(&self, member: usize) {
        self.servers[member].ready().await;
    }
}

fn append(file: &Path, lines: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
    file.write_all(lines.as_bytes()).unwrap();
}

/// Copies a folder recursively.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
