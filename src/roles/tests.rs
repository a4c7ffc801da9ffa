//! How a role ends.

use runtime::{Panicked, Tasks};

use super::*;

/// As the owner of the task gets it.
async fn panicked(task: &'static str) -> Panicked {
    let tasks = Tasks::new();
    tasks.spawn(task, async { panic!("as planned") });
    tasks.failed().await
}

#[tokio::test]
async fn a_panic_in_a_background_task_ends_its_role_with_70_and_a_line_that_names_the_task() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines = tracing_subscriber::fmt().json().with_writer(Arc::new(file.reopen().unwrap())).finish();
    let _installed = tracing::subscriber::set_default(lines);
    let ends: [(Role, &str, anyhow::Error); 4] = [
        (Role::Ingest, "replay", ingest::Error::Panicked(panicked("replay").await).into()),
        (Role::Delivery, "saver", delivery::Error::Failed(panicked("saver").await.to_string()).into()),
        (Role::Archiver, "sweep", archiver::Error::from(panicked("sweep").await).into()),
        (Role::Archiver, "tail", nats::Error::from(panicked("tail").await).into()),
    ];

    for (role, task, error) in ends {
        assert_eq!(exit_code(role, Err(error)), ExitCode::from(SOFTWARE), "{task}");

        let log = std::fs::read_to_string(file.path()).unwrap();
        let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        assert_eq!((&last["level"], &last["fields"]["role"]), (&"ERROR".into(), &role.name().into()), "{last}");
        let error = last["fields"]["error"].as_str().unwrap();
        assert!(error.contains(&format!("the background task {task:?} panicked")), "{last}");
    }
    assert_eq!(exit_code(Role::Ingest, Ok(())), ExitCode::SUCCESS);
}
