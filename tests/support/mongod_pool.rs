//! Mongods whose tests have ended, for later tests. A start computes for most of a second, largely to calibrate a clock.
//!
//! A later test gets a mongod only as new: every earlier client is gone, every database is dropped, and parameters,
//! users and the replica set are as at the start. Otherwise the mongod is killed.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ServerAddress};
use parking_lot::Mutex;
use testkit::Server;

use super::servers::Handle;
use super::{Folder, port};

/// A running mongod, and what it was like at its start.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) server: Handle,
    pub(super) port: u16,
    as_started: Document,
    // Dropped after the server.
    pub(super) folder: Folder,
}

/// The idle mongods.
#[derive(Debug)]
pub(super) struct Pool(Mutex<Idle>);

/// Of all tests of this process.
pub(super) static POOL: Pool = Pool::new();

#[derive(Debug)]
struct Idle {
    instances: Vec<Instance>,
    janitor: Option<Janitor>,
}

/// The name of the pool's own connections.
const NAME: &str = "pool";

/// 5 s: the processes of the earlier test have been killed, and the kernel closes their connections.
const LEAVE: Duration = Duration::from_secs(5);

/// With more databases than this, a start costs less than dropping them.
const MOST_DATABASES: usize = 8;

impl Pool {
    const fn new() -> Pool {
        Pool(Mutex::new(Idle { instances: Vec::new(), janitor: None }))
    }

    /// A mongod that is as new. None: a new one must be started.
    pub(super) async fn take(&self) -> Option<Instance> {
        loop {
            let mut instance = self.0.lock().take()?;
            match instance.renew().await {
                Ok(true) => {
                    instance.folder.begin_test();
                    return Some(instance);
                }
                Ok(false) => {}
                Err(error) => eprintln!("a mongod of an earlier test is not used again: {error}"),
            }
        }
    }

    /// Keeps the mongod of a test that has ended.
    pub(super) fn put(&self, mut instance: Instance) {
        instance.folder.end_test();
        self.0.lock().put(instance);
    }
}

impl Idle {
    fn take(&mut self) -> Option<Instance> {
        let instance = self.instances.pop();
        self.tell();
        instance
    }

    fn put(&mut self, instance: Instance) {
        self.instances.push(instance);
        self.janitor.get_or_insert_with(Janitor::start);
        self.tell();
    }

    fn tell(&self) {
        let process = |instance: &Instance| instance.server.id().expect("an idle mongod runs");
        if let Some(janitor) = &self.janitor {
            janitor.watch(self.instances.iter().map(|instance| (process(instance), instance.folder.path())));
        }
    }
}

impl Instance {
    /// A new one, with these arguments beside its own.
    pub(super) async fn start(arguments: &[&str]) -> Instance {
        let (folder, port) = (Folder::new("mongod"), port());
        let server = testkit::mongod(folder.path(), port, false).await.unwrap();
        let mut program = server.program().clone();
        program.arguments.extend(arguments.iter().map(Into::into));
        let server = Handle::new(Server::new(program, server.ready_when().clone()));
        server.start().await;
        let client = connect(port).unwrap();
        let as_started = settings(&client).await.unwrap();
        client.shutdown().await;
        Instance { server, port, as_started, folder }
    }

    /// Removes what the earlier test has left. False: something cannot be removed.
    async fn renew(&self) -> mongodb::error::Result<bool> {
        let client = connect(self.port)?;
        let renewed = self.renew_by(&client).await;
        client.shutdown().await;
        renewed
    }

    async fn renew_by(&self, client: &Client) -> mongodb::error::Result<bool> {
        let began = Instant::now();
        while has_other_clients(client).await? {
            if began.elapsed() > LEAVE {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let databases = database_names(client).await?;
        if databases.len() > MOST_DATABASES || settings(client).await? != self.as_started {
            return Ok(false);
        }
        for database in databases {
            client.database(&database).drop().await?;
        }
        Ok(database_names(client).await?.is_empty())
    }
}

fn connect(port: u16) -> mongodb::error::Result<Client> {
    let options = ClientOptions::builder()
        .hosts(vec![ServerAddress::Tcp { host: "127.0.0.1".to_owned(), port: Some(port) }])
        .direct_connection(true)
        .app_name(NAME.to_owned())
        .server_selection_timeout(LEAVE)
        .build();
    Client::with_options(options)
}

/// Whether anyone else is connected, idle or not.
async fn has_other_clients(client: &Client) -> mongodb::error::Result<bool> {
    let operations = doc! { "$currentOp": { "allUsers": true, "idleConnections": true } };
    let others = doc! { "$match": { "client": { "$exists": true }, "appName": { "$ne": NAME } } };
    let mut others = client.database("admin").aggregate([operations, others]).await?;
    Ok(others.try_next().await?.is_some())
}

/// The databases of tests.
async fn database_names(client: &Client) -> mongodb::error::Result<Vec<String>> {
    let names = client.list_database_names().await?;
    Ok(names.into_iter().filter(|name| !["admin", "config", "local"].contains(&name.as_str())).collect())
}

/// What a test could change beside its databases: parameters, the members of the set, its elections, users and roles.
async fn settings(client: &Client) -> mongodb::error::Result<Document> {
    let admin = client.database("admin");
    let mut parameters = admin.run_command(doc! { "getParameter": "*" }).await?;
    // Parts of every answer.
    for member in ["$clusterTime", "operationTime"] {
        parameters.remove(member);
    }
    let set = admin.run_command(doc! { "replSetGetConfig": 1 }).await?;
    let hello = admin.run_command(doc! { "hello": 1 }).await?;
    let mut people = admin.list_collection_names().await?;
    people.retain(|name| ["system.users", "system.roles"].contains(&name.as_str()));
    Ok(doc! {
        "parameters": parameters,
        "set": set.get_document("config").cloned().unwrap_or_default(),
        "election": hello.get("electionId").cloned(),
        "people": people,
    })
}

/// A shell that ends the idle mongods after the end of this process, which drops nothing that is static.
#[derive(Debug)]
struct Janitor {
    /// Its standard input ends with this process.
    shell: Child,
    /// A line for each: the process id and the folder.
    list: PathBuf,
}

const SWEEP: &str = r#"
cat >/dev/null
while read -r process folder; do
    kill -KILL "$process"
    # Once more if the process was still writing.
    rm -rf "$folder" || rm -rf "$folder"
done <"$0"
rm "$0"
"#;

impl Janitor {
    fn start() -> Janitor {
        let (_, list) = tempfile::NamedTempFile::with_prefix("chatting-idle-").unwrap().keep().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", SWEEP]).arg(&list).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // The terminal's Ctrl-C ends this process, not the one that cleans up after it.
        let shell = shell.process_group(0).spawn().unwrap();
        Janitor { shell, list }
    }

    /// From now on it watches these, by process and folder, and no others.
    fn watch<'a>(&self, idle: impl Iterator<Item = (u32, &'a Path)>) {
        let lines: String = idle.map(|(process, folder)| format!("{process} {}\n", folder.display())).collect();
        std::fs::write(&self.list, lines).unwrap();
    }
}

#[tokio::test]
async fn a_mongod_is_used_again_without_what_the_earlier_test_stored() {
    let (pool, instance) = (Pool::new(), Instance::start(&[]).await);
    let port = instance.port;
    let client = connect(port).unwrap();
    let database = client.database("chatting");
    database.collection("chatting_log").insert_one(doc! { "message": "of the earlier test" }).await.unwrap();
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    client.shutdown().await;
    pool.put(instance);
    let again = pool.take().await.expect("it is as new");
    assert_eq!(again.port, port);
    let client = connect(port).unwrap();
    assert!(database_names(&client).await.unwrap().is_empty());
    let profile = client.database("chatting").run_command(doc! { "profile": -1 }).await.unwrap();
    assert_eq!(profile.get_i32("was").unwrap(), 0);
}

#[tokio::test]
async fn a_mongod_with_other_parameters_or_users_or_after_an_election_is_not_used_again() {
    let user = doc! { "createUser": "somebody", "pwd": "secret", "roles": [] };
    let changes = [
        doc! { "setParameter": 1, "ttlMonitorSleepSecs": 7 },
        user,
        doc! { "replSetStepDown": 1, "secondaryCatchUpPeriodSecs": 0, "force": true },
    ];
    for change in changes {
        let (pool, instance) = (Pool::new(), Instance::start(&[]).await);
        let client = connect(instance.port).unwrap();
        client.database("admin").run_command(change.clone()).await.unwrap();
        client.shutdown().await;
        // After a step-down it is elected again.
        instance.server.ready().await;
        pool.put(instance);
        assert!(pool.take().await.is_none(), "it is used again after {change}");
    }
}

#[tokio::test]
async fn a_mongod_to_which_the_earlier_test_is_connected_is_not_used_again() {
    let (pool, instance) = (Pool::new(), Instance::start(&[]).await);
    let _connected = tokio::net::TcpStream::connect(("127.0.0.1", instance.port)).await.unwrap();
    pool.put(instance);
    assert!(pool.take().await.is_none());
}

#[tokio::test]
async fn what_is_idle_at_the_end_of_the_tests_is_killed_with_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (mut idle, mut lent) = (sleeper(), sleeper());
    let mut janitor = Janitor::start();
    let (of_idle, of_lent) = ((idle.id(), folder.path()), (lent.id(), Path::new("/nowhere")));
    janitor.watch([of_idle, of_lent].into_iter());
    janitor.watch([of_idle].into_iter());
    drop(janitor.shell.stdin.take());
    assert!(janitor.shell.wait().unwrap().success());
    assert_eq!(idle.wait().unwrap().signal(), Some(9));
    assert!(!folder.path().exists() && !janitor.list.exists());
    assert!(lent.try_wait().unwrap().is_none(), "what was taken out of the pool is not the janitor's");
    lent.kill().unwrap();
    lent.wait().unwrap();
}

/// A process that runs for longer than any test.
#[cfg(test)]
fn sleeper() -> Child {
    Command::new("sleep").arg("3600").spawn().unwrap()
}
