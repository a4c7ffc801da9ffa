//! MongoDB for one test.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::{Ready, Server};

use super::mongod_pool::{Instance, POOL};
use super::servers::Handle;
use super::{Folder, eventually, port};

/// A mongod: a replica set of one member with a primary.
#[derive(Debug)]
pub struct Mongod {
    /// None: a later test may have it now.
    instance: Option<Instance>,
    /// Whether a later test may have it: it was started without arguments, and never stopped or paused.
    is_reusable: AtomicBool,
}

impl Mongod {
    pub async fn start() -> Mongod {
        Mongod::start_with(&[]).await
    }

    /// With more arguments.
    pub async fn start_with(arguments: &[&str]) -> Mongod {
        let is_reusable = AtomicBool::new(arguments.is_empty());
        if arguments.is_empty()
            && let Some(instance) = POOL.take().await
        {
            return Mongod { instance: Some(instance), is_reusable };
        }
        Mongod { instance: Some(Instance::start(arguments).await), is_reusable }
    }

    pub fn uri(&self) -> String {
        self.uri_of("", "")
    }

    /// With a login, and with more options (`&name=value`).
    pub fn uri_of(&self, login: &str, options: &str) -> String {
        format!("mongodb://{login}127.0.0.1:{}/?replicaSet=rs0{options}", self.instance().port)
    }

    /// Stops it, and starts it again with more arguments, until it listens: whether it is ready, a client without a
    /// login or a certificate cannot ask.
    pub async fn restart_with(&self, arguments: &[&str]) {
        let handle = self.own();
        let mut server = handle.take();
        server.terminate(Duration::from_secs(60)).await.unwrap();
        let mut program = server.program().clone();
        program.arguments.extend(arguments.iter().map(Into::into));
        handle.put(Server::new(program, Ready::Tcp(format!("127.0.0.1:{}", self.instance().port))));
        handle.start().await;
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&self) {
        self.own().kill();
    }

    /// Restarts it on the same port with the same data, and waits until it accepts writes.
    pub async fn start_again(&self) {
        self.own().start().await;
    }

    pub fn pause(&self) {
        self.own().pause();
    }

    pub fn resume(&self) {
        self.own().resume();
    }

    fn instance(&self) -> &Instance {
        self.instance.as_ref().expect("it is there until it is dropped")
    }

    /// The process, which no later test gets.
    fn own(&self) -> &Handle {
        self.is_reusable.store(false, Ordering::Relaxed);
        &self.instance().server
    }
}

impl Drop for Mongod {
    fn drop(&mut self) {
        // A failed test keeps its folder.
        if *self.is_reusable.get_mut()
            && !std::thread::panicking()
            && let Some(instance) = self.instance.take()
        {
            POOL.put(instance);
        }
    }
}

/// A replica set of three mongods.
#[derive(Debug)]
pub struct MongodSet {
    members: Vec<String>,
    servers: Vec<Handle>,
    // Dropped after the servers.
    _folder: Folder,
}

impl MongodSet {
    pub async fn start() -> MongodSet {
        let folder = Folder::new("mongod-set");
        let ports = [port(), port(), port()];
        let local = |port: &u16| format!("127.0.0.1:{port}");
        let members: Vec<String> = ports.iter().map(local).collect();
        let mut servers = Vec::new();
        for (number, port) in ports.iter().enumerate() {
            let server = testkit::mongod(&folder.path().join(number.to_string()), *port, false).await.unwrap();
            // Itself first, then the others.
            let set = members.iter().cycle().skip(number).take(3).cloned().collect();
            servers.push(Handle::new(Server::new(server.program().clone(), Ready::ReplicaSet(set))));
        }
        // The first member initiates the set, and needs the others to be running.
        servers.iter().for_each(Handle::spawn);
        for member in &members {
            eventually("a mongod listens", Duration::from_secs(60), async || {
                tokio::net::TcpStream::connect(member).await.ok()
            })
            .await;
        }
        for server in &servers {
            server.ready().await;
        }
        MongodSet { members, servers, _folder: folder }
    }

    pub fn uri(&self) -> String {
        format!("mongodb://{}/?replicaSet=rs0", self.members.join(","))
    }

    /// The address of a member, host:port.
    pub fn member(&self, number: usize) -> &str {
        &self.members[number]
    }

    pub fn kill(&self, member: usize) {
        self.servers[member].kill();
    }
}
