//! `chatting-server dev` as a newcomer meets it: it starts from an empty folder, prints commands that work, and leaves
//! no process.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use chatting_server::config::Config;
use nix::sys::signal::Signal;
use testkit::{Program, Running};

use crate::support::{Folder, eventually, port};

/// Long enough for a cold start and an orderly stop on a machine that runs other tests.
const PATIENCE: Duration = Duration::from_secs(90);

const BINARY: &str = env!("CARGO_BIN_EXE_chatting-server");

/// A running `dev`, and what it has printed.
pub(crate) struct Dev {
    running: Running,
    output: PathBuf,
}

impl Dev {
    /// Starts it, and waits until it has printed everything.
    pub(crate) async fn start(place: &Folder, arguments: &[&str]) -> Dev {
        let output = place.path().join("printed");
        let _ = std::fs::remove_file(&output);
        let program = Program {
            name: "dev".into(),
            path: BINARY.into(),
            arguments: ["dev", "--data"]
                .iter()
                .map(Into::into)
                .chain([data(place).into()])
                .chain(arguments.iter().map(Into::into))
                .collect(),
            environment: Vec::new(),
            output: output.clone(),
            detached: false,
        };
        let mut dev = Dev { running: program.start().unwrap(), output };
        // A reader can see a part of what one write writes: wait for the end of the text.
        let end = if arguments.contains(&"--verbose") { "dev play samples/" } else { "--verbose prints them here" };
        eventually("dev is ready", PATIENCE, async || {
            dev.running.check().unwrap();
            let printed = dev.printed();
            (printed.contains(end) && printed.ends_with('\n')).then_some(())
        })
        .await;
        dev
    }

    pub(crate) fn printed(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// The URL of the demo.
    pub(crate) fn demo(&self) -> String {
        let printed = self.printed();
        printed.lines().map(str::trim).find(|line| line.starts_with("http://")).unwrap().to_owned()
    }

    /// Messages of room 1 in the archive.
    #[cfg(feature = "browser")]
    pub(crate) async fn archived(&self, place: &Folder) -> usize {
        archived(place).await
    }

    /// The printed process ids, by name. Requires `--verbose`.
    fn processes(&self) -> Vec<(String, u32)> {
        let printed = self.printed();
        let line = printed.lines().find_map(|line| line.trim().strip_prefix("processes")).unwrap();
        let list = line.split('(').next().unwrap().split(", ");
        list.map(|part| {
            let (name, id) = part.trim().split_once(' ').unwrap();
            (name.to_owned(), id.parse().unwrap())
        })
        .collect()
    }

    /// Ctrl-C. Returns the exit code.
    pub(crate) async fn interrupt(&mut self) -> Option<i32> {
        self.running.signal(Signal::SIGINT).unwrap();
        eventually("dev ends", PATIENCE, async || self.running.exited().unwrap()).await.code()
    }
}

fn data(place: &Folder) -> PathBuf {
    // A shell would split it into two words.
    place.path().join("my data")
}

fn config(place: &Folder) -> Config {
    Config::load(Some(&data(place).join("chatting-server.toml"))).unwrap()
}

/// False for a zombie too. The kernel reuses ids soon, also for threads of other processes. Our processes have the
/// folder in their command line.
fn is_running(id: u32, place: &Folder) -> bool {
    let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).contains(&data(place).display().to_string())
}

async fn run(arguments: &[&str], place: &Folder) -> Output {
    let mut command = Command::new(BINARY);
    command.args(arguments).arg("--data").arg(data(place)).current_dir(env!("CARGO_MANIFEST_DIR"));
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

async fn archived(place: &Folder) -> usize {
    let archive = archiver::Archive::connect(&config(place).archiver).await.unwrap();
    archive.room(1.try_into().unwrap()).await.unwrap().len()
}

/// The words of a printed curl line: the URL, the headers, the body.
async fn curl(line: &str) -> reqwest::Response {
    let mut words = line.trim().split('\'');
    let url = words.next().unwrap().split_whitespace().nth(2).unwrap().to_owned();
    let quoted: Vec<&str> = line.trim().split('\'').skip(1).step_by(2).collect();
    let client = testkit::client().build().unwrap();
    let mut request = client.post(url);
    let (body, headers) = quoted.split_last().unwrap();
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    request.body(body.to_string()).send().await.unwrap()
}

#[tokio::test]
async fn dev_starts_from_an_empty_folder_prints_working_commands_and_leaves_no_process() {
    let place = Folder::new("dev");
    let mut dev = Dev::start(&place, &["--verbose"]).await;
    let printed = dev.printed();
    let curls: Vec<&str> = printed.lines().filter(|line| line.trim().starts_with("curl -i")).collect();
    assert_eq!(curl(curls[0]).await.status(), 200);

    // As a shell parses the line.
    let line = printed.lines().find(|line| line.contains("dev watch")).unwrap();
    let words = shell_words::split(line).unwrap();
    assert_eq!(words[words.len() - 1], data(&place).display().to_string());
    let watch = Program {
        name: "watch".into(),
        path: words[0].clone().into(),
        arguments: words[1..].iter().map(Into::into).collect(),
        environment: Vec::new(),
        output: place.path().join("watched"),
        detached: false,
    };
    let mut watching = watch.start().unwrap();
    let watched = || std::fs::read_to_string(&watch.output).unwrap_or_default();
    let sees = async |text: &str| watched().contains(text).then_some(());
    eventually("what was said before is shown", PATIENCE, async || sees("viewer42: 안녕하세요").await).await;
    let said: serde_json::Value = curl(curls[1]).await.json().await.unwrap();
    assert_eq!(said["presenter"], "reconnecting", "who watches is not the presenter");
    eventually("what is said now is shown", PATIENCE, async || sees("viewer42: hello").await).await;

    let verifier = web::auth::Verifier::new(&config(&place).auth).unwrap();
    let token = run(&["token", "--user", "7"], &place).await;
    let identity = verifier.verify(String::from_utf8(token.stdout).unwrap().trim()).await.unwrap();
    assert_eq!((identity.user_idx, identity.nickname.as_str()), (7, "user7"));
    let token = run(&["token", "--user", "7", "--nickname", "별명", "--scope", "chat:read"], &place).await;
    let token = String::from_utf8(token.stdout).unwrap();
    let identity = verifier.verify(token.trim()).await.unwrap();
    assert_eq!((identity.user_idx, identity.nickname.as_str()), (7, "별명"));
    assert!(identity.has_scope("chat:read") && !identity.has_scope("chat:moderate"));
    for hours in ["745", "5124095576030431", "18446744073709551615"] {
        let refused = run(&["token", "--user", "7", "--hours", hours], &place).await;
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && message.contains("auth.max_lifetime"), "{hours}: {message}");
    }
    assert!(run(&["token", "--user", "7", "--hours", "744"], &place).await.status.success());
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(data(&place)).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);

    let moderators = printed.lines().skip_while(|line| !line.contains("chat:moderate")).nth(1).unwrap();
    assert!(verifier.verify(moderators.trim()).await.unwrap().has_scope("chat:moderate"));

    let played = run(&["dev", "play", "samples/evening.ndjson", "--speed", "max"], &place).await;
    let report = String::from_utf8_lossy(&played.stdout);
    assert!(played.status.success(), "{report}{}", String::from_utf8_lossy(&played.stderr));
    assert!(report.contains("accepted   369") && report.contains("archived   369"), "{report}");
    for code in ["text_empty", "text_too_long"] {
        let told = report.lines().find(|line| line.contains(code)).unwrap_or_else(|| panic!("no {code}: {report}"));
        assert!(told.contains("(line"), "{told}");
    }
    // The presenter of the play held the room meanwhile, and no session was replaced.
    eventually("the play is shown", PATIENCE, async || sees("하루: ").await).await;
    watching.check().unwrap();
    assert!(!watched().contains("closed"), "{}", watched());
    drop(watching);

    let processes = dev.processes();
    assert_eq!(processes.len(), 5, "{processes:?}");
    assert!(processes.iter().all(|(_, id)| is_running(*id, &place)), "{processes:?}");
    assert_eq!(dev.interrupt().await, Some(0), "{}", dev.printed());
    let left: Vec<_> = processes.iter().filter(|(_, id)| is_running(*id, &place)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn data_survive_a_restart_and_fresh_wipes_them() {
    let place = Folder::new("dev");
    let mut dev = Dev::start(&place, &["--verbose"]).await;
    let printed = dev.printed();
    let line = printed.lines().find(|line| line.trim().starts_with("curl -i")).unwrap();
    assert_eq!(curl(line).await.status(), 200);
    eventually("it is archived", PATIENCE, async || (archived(&place).await == 1).then_some(())).await;
    let secret = secret(&place);
    assert_eq!(dev.interrupt().await, Some(0));

    let mut dev = Dev::start(&place, &[]).await;
    assert_eq!(archived(&place).await, 1);
    assert_eq!(self::secret(&place), secret);
    assert_eq!(dev.interrupt().await, Some(0));

    let mut dev = Dev::start(&place, &["--fresh"]).await;
    assert_eq!(archived(&place).await, 0);
    assert_ne!(self::secret(&place), secret);
    assert_eq!(dev.interrupt().await, Some(0));
}

fn secret(place: &Folder) -> String {
    std::fs::read_to_string(data(place).join("secret")).unwrap()
}

#[tokio::test]
async fn dev_prints_one_short_screen_and_its_demo_kills_and_plays_for_its_own_page_only() {
    let place = Folder::new("dev");
    let mut dev = Dev::start(&place, &[]).await;
    let printed = dev.printed();
    let screen: Vec<&str> = printed.lines().skip_while(|line| !line.is_empty()).collect();
    assert!(screen.len() <= 12 && !printed.contains("eyJ") && !printed.contains("curl -i"), "{printed}");

    let (url, client) = (dev.demo(), testkit::client().build().unwrap());
    let page = client.get(&url).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    assert!(page.text().await.unwrap().contains("<title>chatting-server demo</title>"));
    for path in ["demo.js", "ledger.js", "demo.css", "icon.svg"] {
        assert_eq!(client.get(format!("{url}/{path}")).send().await.unwrap().status(), 200, "{path}");
    }
    for path in ["nothing.js", "..%2F..%2Fdemo.rs"] {
        assert_eq!(client.get(format!("{url}/{path}")).send().await.unwrap().status(), 404, "{path}");
    }
    let state = async || -> serde_json::Value {
        client.get(format!("{url}/api/state?after=0")).send().await.unwrap().json().await.unwrap()
    };
    let post = async |path: &str, body: serde_json::Value, headers: &[(&str, &str)]| {
        let mut request = client.post(format!("{url}/api/{path}")).json(&body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status()
    };
    let kill = serde_json::json!({ "downMs": 0 });
    let own = [("origin", url.as_str())];
    let foreign = [("origin", "http://evil.example")];
    let rebound = [("host", "evil.example"), ("origin", "http://evil.example")];
    for refused in [foreign.as_slice(), &rebound, &[]] {
        assert_eq!(post("parts/ingest/kill", kill.clone(), refused).await, 403, "{refused:?}");
    }
    assert_eq!(post("parts/nobody/kill", kill.clone(), &own).await, 404);
    assert_eq!(post("parts/ingest/kill", serde_json::json!({ "downMs": 60_001 }), &own).await, 400);
    assert_eq!(post("play", serde_json::json!({ "running": true, "speed": 0 }), &own).await, 400);
    assert!(state().await["parts"].as_array().unwrap().iter().all(|part| part["state"] == "running"));

    assert_eq!(post("parts/ingest/kill", kill, &own).await, 202);
    eventually("ingest is back", PATIENCE, async || {
        (state().await["parts"].as_array()?.iter().find(|part| part["name"] == "ingest")?["backAfterMs"]).as_u64()
    })
    .await;
    assert_eq!(post("play", serde_json::json!({ "running": true, "speed": 100 }), &own).await, 204);
    let accepted = eventually("messages are accepted", PATIENCE, async || {
        let messages = state().await["accepted"]["messages"].as_array()?.len();
        (messages > 0).then_some(messages)
    })
    .await;
    assert_eq!(post("play", serde_json::json!({ "running": false, "speed": 1 }), &own).await, 204);
    eventually("they are archived", PATIENCE, async || (archived(&place).await >= accepted).then_some(())).await;
    assert_eq!(dev.interrupt().await, Some(0));
}

#[tokio::test]
async fn dev_restarts_killed_parts_and_cleans_up_after_a_killed_dev() {
    let place = Folder::new("dev");
    let mut dev = Dev::start(&place, &["--verbose"]).await;
    let processes = dev.processes();
    let (_, ingest) = processes.iter().find(|(name, _)| name == "ingest").unwrap();
    kill(*ingest);
    eventually("ingest is back", PATIENCE, async || dev.printed().contains("ingest is back").then_some(())).await;

    dev.running.kill().unwrap();
    let left: Vec<_> = processes.iter().filter(|(name, id)| name != "ingest" && is_running(*id, &place)).collect();
    assert_eq!(left.len(), 4, "{left:?}");
    let mut dev = Dev::start(&place, &["--verbose"]).await;
    assert!(left.iter().all(|(_, id)| !is_running(*id, &place)), "{left:?}");
    assert_eq!(dev.interrupt().await, Some(0));
}

fn kill(id: u32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(id.try_into().unwrap()), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_second_dev_in_the_same_folder_is_refused() {
    let place = Folder::new("dev");
    let _dev = chatting_server_lock(&data(&place));
    let second = run(&["dev"], &place).await;
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("another `chatting-server dev` is using"), "{said}");
}

fn chatting_server_lock(data: &Path) -> std::fs::File {
    std::fs::create_dir_all(data).unwrap();
    let lock = std::fs::File::create(data.join("lock")).unwrap();
    lock.lock().unwrap();
    lock
}

#[tokio::test]
async fn a_mongod_store_moves_to_another_port() {
    let place = Folder::new("mongod");
    for _ in 0..2 {
        let mut mongod = testkit::mongod(place.path(), port(), false).await.unwrap();
        mongod.start().await.unwrap();
        mongod.terminate(PATIENCE).await.unwrap();
    }
}
