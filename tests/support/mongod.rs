//! MongoDB for one test.

use std::time::Duration;

use testkit::{Ready, Server};

use super::servers::Handle;
use super::{Folder, eventually, port};

/// A mongod: a replica set of one member with a primary.
#[derive(Debug)]
pub struct Mongod {
    server: Handle,
    port: u16,
    // Dropped after the server.
    folder: Folder,
}

impl Mongod {
    pub async fn start() -> Mongod {
        Mongod::start_with(&[]).await
    }

    /// With more arguments.
    pub async fn start_with(arguments: &[&str]) -> Mongod {
        let (folder, port) = (Folder::new("mongod"), port());
        let server = testkit::mongod(folder.path(), port, false).await.unwrap();
        let mut program = server.program().clone();
        program.arguments.extend(arguments.iter().map(Into::into));
        let server = Server::new(program, server.ready_when().clone());
        let server = Mongod { server: Handle::new(server), port, folder };
        server.start_again().await;
        server
    }

    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?replicaSet=rs0", self.port)
    }

    /// With a login, and with more options (`&name=value`).
    pub fn uri_of(&self, login: &str, options: &str) -> String {
        format!("mongodb://{login}127.0.0.1:{}/?replicaSet=rs0{options}", self.port)
    }

    /// Stops it, and starts it again with more arguments, until it listens: whether it is ready, a client without a
    /// login or a certificate cannot ask.
    pub async fn restart_with(&self, arguments: &[&str]) {
        let mut server = self.server.take();
        server.terminate(Duration::from_secs(60)).await.unwrap();
        let mut program = server.program().clone();
        program.arguments.extend(arguments.iter().map(Into::into));
        self.server.put(Server::new(program, Ready::Tcp(format!("127.0.0.1:{}", self.port))));
        self.server.start().await;
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Restarts it on the same port with the same data, and waits until it accepts writes.
    pub async fn start_again(&self) {
        self.server.start().await;
    }

    pub fn pause(&self) {
        self.server.pause();
    }

    pub fn resume(&self) {
        self.server.resume();
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
