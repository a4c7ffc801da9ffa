//! The roles, as processes of the tested binary.

use std::collections::BTreeMap;
use std::time::Duration;

use testkit::{Program, Ready, Server};

use super::servers::Handle;
use super::{Folder, Issued, Mongod, NatsServer, RoomServer, SECRET, port};

/// The settings of a role, as environment variables.
#[derive(Debug, Clone)]
pub struct Settings(BTreeMap<String, String>);

impl Default for Settings {
    fn default() -> Settings {
        Settings::new()
    }
}

/// Limits that no test reaches, and a log that fits on a nearly full disk.
const UNLIMITED: [(&str, &str); 14] = [
    ("nats.max_size", "1073741824 B"),
    ("nats.append_queue_wait", "10000ms"),
    ("ingest.room.message_rate.messages", "100000"),
    ("ingest.room.message_rate.seconds", "1"),
    ("ingest.limits.moderator_rate.messages", "100000"),
    ("ingest.limits.moderator_rate.seconds", "1"),
    ("ingest.limits.user_rate.messages", "100000"),
    ("ingest.limits.user_rate.seconds", "1"),
    ("ingest.limits.decision_rate.messages", "100000"),
    ("ingest.limits.decision_rate.seconds", "1"),
    ("ingest.limits.report_rate.messages", "100000"),
    ("ingest.limits.report_rate.seconds", "1"),
    ("ingest.limits.read_rate.messages", "100000"),
    ("ingest.limits.read_rate.seconds", "1"),
];

impl Settings {
    pub fn new() -> Settings {
        let settings = Settings(BTreeMap::new()).set("auth.secret", SECRET).set("log.format", "json");
        // Tests write faster than people. Tests of the limits set their own.
        UNLIMITED.iter().fold(settings, |settings, (key, value)| settings.set(key, value))
    }

    pub fn nats(self, nats: &NatsServer) -> Settings {
        self.set("nats.urls", &nats.url())
    }

    pub fn rooms(self, rooms: &RoomServer) -> Settings {
        self.set("ingest.rooms.url", &rooms.url())
    }

    pub fn mongo(self, mongod: &Mongod) -> Settings {
        self.set("archiver.uri", &mongod.uri())
    }

    /// A key as in `defaults.toml`, with its section: `ingest.some_key`.
    pub fn set(mut self, key: &str, value: &str) -> Settings {
        self.0.insert(format!("CHATTING_{}", key.replace('.', "__").to_uppercase()), value.to_owned());
        self
    }

    /// Sets a key that has no value yet.
    fn unless_set(self, key: &str, value: &str) -> Settings {
        if self.has(key) { self } else { self.set(key, value) }
    }

    /// Sets an environment variable that is not a setting.
    pub fn variable(mut self, name: &str, value: &str) -> Settings {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Removes a key, such as `auth.secret`.
    pub fn unset(mut self, key: &str) -> Settings {
        self.0.remove(&format!("CHATTING_{}", key.replace('.', "__").to_uppercase()));
        self
    }

    /// The value of a key that is set.
    pub fn get(&self, key: &str) -> String {
        self.0[&format!("CHATTING_{}", key.replace('.', "__").to_uppercase())].clone()
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains_key(&format!("CHATTING_{}", key.replace('.', "__").to_uppercase()))
    }

    /// The certificate of the role's main listener.
    pub fn certificate(self, role: &str, issued: &Issued) -> Settings {
        self.set(&format!("{role}.tls.cert_file"), &issued.cert).set(&format!("{role}.tls.key_file"), &issued.key)
    }

    /// The configuration that a role reads from them.
    pub fn config(&self) -> chatting_server::config::Config {
        let variables = self.0.iter().map(|(key, value)| (key.into(), value.into()));
        chatting_server::config::Config::layered(None, variables).unwrap()
    }

    /// Sets up the log that they name.
    pub async fn set_up(&self) {
        nats::set_up(&self.config().nats, "test").await.unwrap();
    }

    pub fn variables(&self) -> Vec<(String, String)> {
        self.0.clone().into_iter().collect()
    }
}

/// A running role.
#[derive(Debug)]
pub struct Role {
    server: Handle,
    port: u16,
    admin: u16,
    is_encrypted: bool,
    // Dropped after the server.
    folder: Folder,
}

impl Role {
    /// Sets up the log, starts the role on a free port, and waits until it is ready.
    pub async fn start(role: &str, settings: &Settings) -> Role {
        settings.set_up().await;
        let role = Role::spawn(role, settings);
        role.ready().await;
        role
    }

    /// Starts it without waiting.
    pub fn spawn(role: &str, settings: &Settings) -> Role {
        Role::spawn_with(role, settings, &[])
    }

    /// The same with further arguments.
    pub fn spawn_with(role: &str, settings: &Settings, arguments: &[&str]) -> Role {
        let (folder, port, admin) = (Folder::new(role), port(), port());
        let own = |port: u16| format!("127.0.0.1:{port}");
        let settings = settings.clone().set(&format!("{role}.listen"), &own(port));
        let settings = settings.unless_set(&format!("{role}.admin.listen"), &own(admin));
        let program = Program {
            name: role.to_owned(),
            path: env!("CARGO_BIN_EXE_chatting-server").into(),
            arguments: std::iter::once(role).chain(arguments.iter().copied()).map(Into::into).collect(),
            environment: settings.variables(),
            output: folder.path().join("output.log"),
            detached: false,
        };
        // Without TLS the main listener tells, too: not every test has the other one to itself.
        let is_encrypted = settings.has(&format!("{role}.tls.cert_file"));
        let asked = if is_encrypted { admin } else { port };
        let server = Handle::new(Server::new(program, Ready::Http(format!("http://127.0.0.1:{asked}/readyz"))));
        server.spawn();
        Role { server, port, admin, is_encrypted, folder }
    }

    /// Waits until `GET /readyz` answers 200.
    pub async fn ready(&self) {
        self.server.ready().await;
    }

    pub fn url(&self) -> String {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// SIGHUP: it reads its configuration again.
    pub fn hang_up(&self) {
        self.server.hang_up();
    }

    /// Waits until its log has the text.
    pub async fn says(&self, text: &str) {
        let said = async || self.log().contains(text).then_some(());
        super::eventually(&format!("the log says {text:?}"), Duration::from_secs(30), said).await;
    }

    /// The URL of the admin listener.
    pub fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin)
    }

    /// The URL of a WebSocket. The path begins with a slash.
    pub fn ws_url(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }

    pub fn id(&self) -> Option<u32> {
        self.server.id()
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// SIGTERM. Waits for the end and returns the exit code.
    pub async fn terminate(&self) -> i32 {
        let mut server = self.server.take();
        let status = server.terminate(Duration::from_secs(60)).await.unwrap();
        self.server.put(server);
        status.expect("the role runs").code().expect("the role ends by itself, within a minute")
    }

    /// Waits for the end of a role that ends by itself, and returns the exit code.
    pub async fn exit_code(&self, deadline: Duration) -> i32 {
        super::eventually("the role ends", deadline, async || self.server.exited()).await
    }

    pub fn pause(&self) {
        self.server.pause();
    }

    pub fn resume(&self) {
        self.server.resume();
    }

    /// Restarts it on the same port, and waits until it is ready.
    pub async fn start_again(&self) {
        self.server.start().await;
    }

    /// Restarts it without waiting.
    pub fn spawn_again(&self) {
        self.server.spawn();
    }

    /// Restarts it as a service manager does: again if it ends by itself before it is ready.
    pub async fn start_as_a_service(&self) {
        for _ in 0..5 {
            if self.server.try_start().await.is_ok() {
                return;
            }
        }
        panic!("it does not get ready:\n{}", self.log());
    }

    /// Its output so far.
    pub fn log(&self) -> String {
        let output = std::fs::read(self.folder.path().join("output.log")).unwrap_or_default();
        String::from_utf8_lossy(&output).into_owned()
    }
}
