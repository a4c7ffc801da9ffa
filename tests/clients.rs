//! The packages in `clients/`: their own tests, alone and against the real system, and the first examples of their
//! READMEs. `browser::package` has the page.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::pipeline::REFUSED;
use crate::support::{SECRET, System, sample, token};

const GATEWAY_SECRET: &str = "a secret of a gateway, of more than 32 bytes";

/// Long enough for a slow machine, short enough to tell a hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn package(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "clients", name].iter().collect()
}

/// The system with a played broadcast in room 1. It believes a gateway that signs.
async fn system() -> System {
    let system = System::start_with(|settings| {
        settings.set("ingest.gateway.mode", "signature").set("ingest.gateway.secret", GATEWAY_SECRET)
    })
    .await;
    let report = system.play(sample(), None, || {}).await;
    assert_eq!(report.archived, sample().len() - REFUSED, "{report}");
    system
}

/// The command, told where the system is.
fn beside(system: &System, mut command: Command) -> Command {
    command
        .env("CHATTING_INGEST", system.ingest.url())
        .env("CHATTING_DELIVERY", system.delivery.url())
        .env("CHATTING_ARCHIVE", system.archiver.url())
        .env("CHATTING_SECRET", SECRET)
        .env("CHATTING_GATEWAY_SECRET", GATEWAY_SECRET);
    command
}

/// Runs it to its end, and gives what it prints.
async fn run(mut command: Command) -> String {
    let ended = command.kill_on_drop(true).output().await.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (printed, errors) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{command:?} ended with {}:\n{printed}{errors}", ended.status);
    format!("{printed}{errors}")
}

/// Runs a program that posts and reads, and kills ingest and delivery meanwhile.
async fn outlives_both_roles(command: Command) {
    let system = System::start().await;
    let mut child = beside(&system, command).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
    let mut kills = [(50, &system.ingest), (120, &system.delivery), (200, &system.ingest)].into_iter().peekable();
    let mut last = String::new();
    while let Some(line) = timeout(PATIENCE, lines.next_line()).await.expect("it goes on").unwrap() {
        if let Some((_, role)) = kills.next_if(|(stored, _)| line == format!("stored {stored}")) {
            role.kill();
            role.start_again().await;
        }
        last = line;
    }
    assert!(child.wait().await.unwrap().success(), "its last line was {last:?}");
    assert_eq!(last, "each message once and in order");
    assert_eq!(kills.next().map(|(stored, _)| stored), None, "not everything was killed");
}

/// The first block of that language in the package's README, for a system at other addresses than those of `dev`.
fn first_example(name: &str, language: &str, system: &System) -> String {
    let readme = std::fs::read_to_string(package(name).join("README.md")).unwrap();
    let block = readme.split(&format!("```{language}\n")).nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    block
        .replace("http://127.0.0.1:8080", &system.ingest.url())
        .replace("http://127.0.0.1:8081", &system.delivery.url())
        .replace("http://127.0.0.1:8082", &system.archiver.url())
}

fn python(arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.args(arguments).env("PYTHONPATH", package("python").join("src")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.current_dir(package("python"));
    command
}

#[tokio::test]
async fn the_python_client_asks_for_what_is_documented_and_retries_as_it_should() {
    let printed = run(python(&["-m", "unittest", "discover", "-s", "tests/unit"])).await;

    assert!(printed.contains("\nOK"), "{printed}");
}

#[tokio::test]
async fn the_python_client_works_with_the_system() {
    let system = system().await;

    let printed = run(beside(&system, python(&["-m", "unittest", "discover", "-s", "tests/system"]))).await;

    assert!(printed.contains("\nOK"), "{printed}");
}

#[tokio::test]
async fn what_the_python_client_posts_it_reads_once_and_in_order_although_both_roles_die() {
    outlives_both_roles(python(&["tests/system/outage.py"])).await;
}

#[tokio::test]
async fn the_first_example_for_python_prints_what_it_posts() {
    let system = system().await;
    let mut command = python(&["-c", &first_example("python", "python", &system)]);
    command.env("TOKEN", token(1, "presenter1"));

    let printed = run(command).await;

    assert!(printed.starts_with("stored as "), "{printed}");
    assert!(printed.ends_with("presenter1: hello\n"), "{printed}");
}

/// `.ci/run` turns the feature on where Node.js is installed.
#[cfg(feature = "node")]
mod javascript {
    use super::*;

    fn node(arguments: &[&str]) -> Command {
        let mut command = Command::new("node");
        command.args(arguments).current_dir(package("web"));
        command
    }

    #[tokio::test]
    async fn the_javascript_client_asks_for_what_is_documented_and_retries_as_it_should() {
        run(node(&["assemble.mjs"])).await;
        let tests = ["api", "openapi", "package"].map(|name| format!("tests/unit/{name}.test.mjs"));
        run(node(&["--test", &tests[0], &tests[1], &tests[2]])).await;
    }

    #[tokio::test]
    async fn the_javascript_client_works_with_the_system() {
        run(node(&["assemble.mjs"])).await;
        let system = system().await;

        run(beside(&system, node(&["--test", "tests/system/system.test.mjs"]))).await;
    }

    #[tokio::test]
    async fn what_the_javascript_client_posts_it_reads_once_and_in_order_although_both_roles_die() {
        run(node(&["assemble.mjs"])).await;
        outlives_both_roles(node(&["tests/system/outage.mjs"])).await;
    }

    #[tokio::test]
    async fn the_first_example_for_javascript_prints_where_its_message_is() {
        let system = system().await;
        let mut command = node(&["--input-type=module", "--eval", &first_example("web", "js", &system)]);
        command.env("TOKEN", token(42, "viewer42"));

        let printed = run(command).await;

        assert!(printed.starts_with("stored as "), "{printed}");
    }
}
