//! The programs in `examples/`, run as their first comment says against the real system. `browser::` runs the page.

use std::path::PathBuf;

use tokio::process::Command;

use crate::pipeline::REFUSED;
use crate::support::{System, sample, token};

fn path(example: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "examples", example].iter().collect()
}

/// Runs an example in Python with the user's token, and returns its output.
async fn python(example: &str, user: i64, arguments: &[&str]) -> String {
    let mut command = Command::new("python3");
    command.arg(path(example)).args(arguments).env("TOKEN", token(user, "nick"));
    let ended = command.output().await.expect("the examples need python3 on the PATH");
    let (printed, errors) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{example} ended with {}:\n{printed}{errors}", ended.status);
    printed.into_owned()
}

#[tokio::test]
async fn post_and_retry_loses_the_first_answer_and_its_message_stays_one_message() {
    let system = System::start().await;

    let printed = python("post_and_retry.py", 42, &["--ingest", &system.ingest.url(), "--room", "1", "hello"]).await;

    assert!(printed.contains("attempt 1: no answer: the answer was lost (on purpose)"), "{printed}");
    assert!(printed.contains("attempt 2: 202 "), "{printed}");
    assert!(printed.ends_with("one message\n"), "{printed}");
    let stored = crate::log::everything(&crate::support::log(system.settings()).await).await;
    assert_eq!(stored.len(), 1, "{stored:?}");
}

#[tokio::test]
async fn read_export_prints_every_message_once_although_its_connection_breaks() {
    let system = System::start().await;
    let report = system.play(sample(), None, || {}).await;
    assert_eq!(report.archived, sample().len() - REFUSED, "{report}");

    let arguments = ["--archiver", &system.archiver.url(), "--room", "1", "--break-after", "100"];
    let printed = python("read_export.py", 1, &arguments).await;

    assert!(printed.contains("broken: the export broke off: the connection was dropped (on purpose)"), "{printed}");
    assert!(printed.contains(&format!("room 1: {} messages of ", report.archived)), "{printed}");
}

/// presenter.mjs needs Node.js: `.ci/run` turns the feature on where it is installed.
#[cfg(feature = "node")]
mod presenter {
    use std::process::Stdio;
    use std::time::Duration;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
    use tokio::process::{Child, ChildStdout, Command};
    use tokio::time::timeout;

    use super::path;
    use crate::ingest::client;
    use crate::support::{SECRET, System, token};

    /// Long enough for a slow machine, and short enough to detect a hang.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn start(system: &System) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut command = Command::new("node");
        // Node.js 20 has its WebSocket behind this flag. Later versions accept the flag.
        command.args(["--experimental-websocket", "--no-warnings"]).arg(path("presenter.mjs"));
        command.arg(concat!(env!("CARGO_BIN_EXE_chatting-server"), " token --user 1 --nickname presenter1"));
        command.arg(system.delivery.ws_url("/v1/presenter")).env("CHATTING_AUTH__SECRET", SECRET);
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("node is on the PATH");
        let printed = child.stdout.take().expect("its output is piped");
        (child, BufReader::new(printed).lines())
    }

    /// The lines up to the first with this ending.
    async fn until(lines: &mut Lines<BufReader<ChildStdout>>, end: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let line = timeout(PATIENCE, lines.next_line()).await.unwrap_or_else(|_| panic!("no {end:?}: {seen:?}"));
            seen.push(line.unwrap().unwrap_or_else(|| panic!("it ended without {end:?}: {seen:?}")));
            if seen.last().is_some_and(|line| line.trim_end().ends_with(end)) {
                return seen;
            }
        }
    }

    async fn post(system: &System, text: &str) {
        let url = format!("{}/v1/rooms/1/messages", system.ingest.url());
        let body = serde_json::json!({ "text": text });
        let answer = client().post(url).bearer_auth(token(42, "viewer42")).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 202);
    }

    #[tokio::test]
    async fn presenter_prints_every_message_once_although_its_node_dies() {
        let system = System::start().await;
        let (mut example, mut printed) = start(&system);
        let mut lines = until(&mut printed, "[live]").await;

        post(&system, "before").await;
        lines.extend(until(&mut printed, "viewer42: before").await);
        system.delivery.kill();
        post(&system, "meanwhile").await;
        system.delivery.start_again().await;
        lines.extend(until(&mut printed, "viewer42: meanwhile").await);
        let id = i32::try_from(example.id().expect("it runs")).unwrap();
        kill(Pid::from_raw(id), Signal::SIGINT).unwrap();
        let ended = timeout(PATIENCE, example.wait()).await.expect("it ends").unwrap();

        assert!(ended.success(), "{ended}: {lines:?}");
        let messages = lines.iter().filter(|line| line.contains("viewer42: ")).count();
        assert_eq!(messages, 2, "{lines:?}");
    }
}
