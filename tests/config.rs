//! `chatting-server config`, and secrets in files, as an operator uses them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::{Folder, Mongod, NatsServer, Role, RoomServer, SECRET, Settings};

fn config(arguments: &[&str], settings: &Settings) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatting-server"));
    command.arg("config").args(arguments).envs(settings.variables()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Writes a file that only its owner can read. Returns its path.
fn secret(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn show_prints_toml_without_secrets_and_a_wrong_configuration_is_64() {
    let shown = config(&["show"], &Settings::new());
    let (shown, code) = (text(&shown.stdout), shown.status.code());
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("secret = \"(set)\"  # CHATTING_AUTH__SECRET in the environment"), "{shown}");
    assert!(shown.contains("partitions = 1  # default") && !shown.contains(SECRET), "{shown}");

    let headers = Settings::new().set("otlp.headers", "authorization=hunter2");
    let shown = text(&config(&["show"], &headers).stdout);
    assert!(shown.contains("headers = \"(set)\"  # CHATTING_OTLP__HEADERS") && !shown.contains("hunter2"), "{shown}");

    let wrong = config(&["show"], &Settings::new().set("nats.no_such_key", "1"));
    assert!(wrong.status.code() == Some(64) && text(&wrong.stderr).contains("nats.no_such_key"));
}

#[test]
fn docs_describes_every_setting_with_its_default_and_its_variable() {
    let docs = text(&config(&["docs"], &Settings::new()).stdout);
    for told in
        ["### `nats.max_age`\n\n- default `\"24h\"`, variable `CHATTING_NATS__MAX_AGE`\n\nAge at", "## [auth.jwks]"]
    {
        assert!(docs.contains(told), "{told}: {docs}");
    }
}

#[tokio::test]
async fn the_file_that_init_writes_overwrites_none_and_is_accepted_by_every_role() {
    let (folder, nothing) = (Folder::new("init"), Settings::new().unset("auth.secret"));
    let file = folder.path().join("chatting.toml").to_str().unwrap().to_owned();
    let written = config(&["init", &file], &nothing);
    assert!(written.status.success() && text(&written.stdout).contains("check --config"), "{written:?}");
    let again = config(&["init", &file], &nothing);
    assert!(again.status.code() == Some(1) && text(&again.stderr).contains(&file), "{again:?}");
    assert_eq!(std::fs::read(&file).unwrap(), config(&["init"], &nothing).stdout);

    // The values that an operator must set: secrets and addresses.
    secret(folder.path(), "auth.secret", &format!("{SECRET}\n"));
    let (nats, mongod, rooms) = tokio::join!(NatsServer::start(), Mongod::start(), RoomServer::start());
    secret(folder.path(), "mongodb.uri", &mongod.uri());
    let decided = std::fs::read_to_string(&file).unwrap();
    let decided = decided.replace("/etc/chatting-server", folder.path().to_str().unwrap());
    std::fs::write(&file, decided).unwrap();
    let here = nothing.nats(&nats).rooms(&rooms).set("nats.replicas", "1");
    let mut setup = Command::new(env!("CARGO_BIN_EXE_chatting-server"));
    let setup = setup.args(["setup", "--config", &file]).envs(here.variables()).output().unwrap();
    assert!(setup.status.success(), "{setup:?}");
    for role in ["ingest", "delivery", "archiver"] {
        let role = Role::spawn_with(role, &here, &["--config", &file]);
        role.ready().await;
        assert_eq!(role.terminate().await, 0, "{}", role.log());
        assert!(!role.log().contains(SECRET), "{}", role.log());
    }
}

#[tokio::test]
async fn a_role_warns_about_a_world_readable_secret_and_refuses_a_missing_file() {
    let (folder, nats) = (Folder::new("secrets"), NatsServer::start().await);
    let path = secret(folder.path(), "auth.secret", SECRET);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let settings = Settings::new().unset("auth.secret").nats(&nats);
    let role = Role::start("delivery", &settings.clone().set("auth.secret_file", &path)).await;
    assert!(role.log().contains(&format!("chmod o= {path}")), "{}", role.log());

    let away = Role::spawn("delivery", &settings.set("auth.secret_file", "/no/such/file"));
    assert_eq!(away.exit_code(std::time::Duration::from_secs(20)).await, 64, "{}", away.log());
    assert!(away.log().contains("auth.secret_file") && away.log().contains("cannot read /no/such/file"));
}
