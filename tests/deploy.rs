//! `deploy/` names only commands, settings, ports and files that exist, and leaves the room that the defaults need.
//! Also the notifications that the systemd units rely on.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chatting_server::cli::Cli;
use chatting_server::config::Config;
use clap::{CommandFactory as _, Parser as _};

use crate::support::{Folder, NatsServer, Role, Settings, eventually};

const ROLES: [&str; 3] = ["ingest", "delivery", "archiver"];

const SOON: Duration = Duration::from_secs(20);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below deploy/.
fn files() -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![root().join("deploy")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

fn unit(name: &str) -> String {
    read(&format!("deploy/systemd/chatting-server-{name}.service"))
}

/// The value of a directive that appears once in a unit.
fn directive<'a>(unit: &'a str, name: &str) -> &'a str {
    let values: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect();
    let [value] = values.as_slice() else { panic!("{name} is there {} times", values.len()) };
    value
}

/// Whether the key is a setting, or the `…_file` of a secret.
fn is_setting(key: &str) -> bool {
    let (section, member) = key.rsplit_once('.').unwrap();
    let defaults = read("src/defaults.toml");
    let section = defaults.split(&format!("\n[{section}]\n")).nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap();
    let has =
        |member: &str| section.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{member} =")));
    has(member) || member.strip_suffix("_file").is_some_and(has)
}

#[test]
fn every_unit_runs_a_command_that_exists() {
    for name in ROLES.into_iter().chain(["setup"]) {
        let unit = unit(name);
        let command: Vec<&str> = directive(&unit, "ExecStart").split(' ').collect();
        assert_eq!(command[..2], ["/usr/bin/chatting-server", name]);
        assert!(Cli::try_parse_from(&command).is_ok(), "{command:?}");
        let page = directive(&unit, "Documentation").split(' ').next().unwrap();
        assert_eq!(page, format!("man:chatting-server-{name}(1)"));
    }
}

#[test]
fn every_unit_leaves_its_role_the_descriptors_and_the_time_that_the_defaults_need() {
    let config = Config::layered(None, []).unwrap();
    let (ingest, delivery, archiver) = (&config.ingest, &config.delivery, &config.archiver);
    let sockets = delivery.http.max_connections + delivery.max_sessions + delivery.max_unauthenticated;
    let needed = [
        ("ingest", ingest.http.max_connections, ingest.http.grace),
        ("delivery", sockets, delivery.http.grace),
        ("archiver", archiver.http.max_connections, archiver.http.grace),
    ];
    for (role, connections, grace) in needed {
        let unit = unit(role);
        let allowed: usize = directive(&unit, "LimitNOFILE").parse().unwrap();
        assert!(allowed >= connections + 512, "{role}: {allowed} file descriptors");
        let stop: u64 = directive(&unit, "TimeoutStopSec").parse().unwrap();
        assert!(Duration::from_secs(stop) > grace.get() + Duration::from_secs(5), "{role}: {stop} s to stop");
        assert_eq!(directive(&unit, "RestartPreventExitStatus"), "64", "{role}");
    }
}

#[test]
fn every_variable_in_deploy_is_a_setting() {
    let mut seen = 0;
    for path in files() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for rest in text.split("CHATTING_").skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
            if name.contains("__") {
                let key = name.replace("__", ".").to_lowercase();
                assert!(is_setting(&key), "{}: no setting is named {key}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 10, "only {seen} variables were found");
}

#[test]
fn every_key_of_the_configurations_in_deploy_is_a_setting() {
    for file in ["deploy/packages/chatting-server.toml", "deploy/kubernetes/base/chatting-server.toml"] {
        let table: toml::Table = read(file).parse().unwrap();
        let mut tables = vec![(String::new(), table)];
        while let Some((section, table)) = tables.pop() {
            for (member, value) in table {
                let key = if section.is_empty() { member } else { format!("{section}.{member}") };
                match value {
                    toml::Value::Table(table) => tables.push((key, table)),
                    _ => assert!(is_setting(&key), "{file}: no setting is named {key}"),
                }
            }
        }
    }
}

#[test]
fn manifests_image_and_defaults_agree_about_ports() {
    let config = Config::layered(None, []).unwrap();
    let image = read("deploy/container/Dockerfile");
    let policy = read("deploy/kubernetes/base/network-policy.yaml");
    let ports = [
        ("ingest", config.ingest.listen, config.ingest.admin.listen),
        ("delivery", config.delivery.listen, config.delivery.admin.listen),
        ("archiver", config.archiver.listen, config.archiver.admin.listen),
    ];
    for (role, listen, admin) in ports {
        let manifest = read(&format!("deploy/kubernetes/base/{role}.yaml"));
        for (name, variable, port) in
            [("http", "LISTEN", listen.port()), ("admin", "ADMIN__LISTEN", admin.unwrap().port())]
        {
            let container = format!("{{ name: {name}, containerPort: {port} }}");
            assert!(manifest.contains(&container), "{role}.yaml has no {container}");
            let variable = format!("CHATTING_{}__{variable}=0.0.0.0:{port}", role.to_uppercase());
            assert!(image.contains(&variable), "the Dockerfile has no {variable}");
            assert!(policy.contains(&format!("{{ port: {port} }}")), "network-policy.yaml has no port {port}");
        }
        for path in ["/livez", "/readyz"] {
            assert!(
                manifest.contains(&format!("{{ path: {path}, port: admin }}")),
                "{role}.yaml does not probe {path}"
            );
        }
    }
}

#[test]
fn the_cluster_in_kubernetes_has_the_projects_configuration_of_nats() {
    assert_eq!(read("deploy/kubernetes/nats/server.conf"), read("nats/server.conf"));
}

#[test]
fn the_cluster_on_one_machine_has_every_login_of_nats() {
    let run = read("deploy/cluster/run");
    let logins = run.lines().find_map(|line| line.strip_prefix("logins=(")?.strip_suffix(')'));
    let permissions = read("deploy/nats/permissions.conf");
    let users = permissions.lines().filter_map(|line| line.trim().strip_prefix("user: ")?.split(',').next());
    assert_eq!(logins.unwrap().split(' ').collect::<Vec<_>>(), users.collect::<Vec<_>>());
}

#[test]
fn every_script_of_bash_can_be_parsed() {
    for script in ["deploy/cluster/run", "deploy/cluster/configure.sh", "deploy/release"] {
        let output = Command::new("bash").arg("-n").arg(root().join(script)).output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_command_has_a_man_page() {
    let folder = Folder::new("man");
    let status = Command::new(env!("CARGO_BIN_EXE_chatting-server")).arg("man").arg(folder.path()).status().unwrap();
    assert!(status.success());
    for command in Cli::command().get_subcommands() {
        let page = folder.path().join(format!("chatting-server-{}.1", command.get_name()));
        let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(text.contains(".SH SYNOPSIS"), "{text}");
    }
}

#[tokio::test]
async fn the_service_manager_and_a_health_check_are_told_when_a_role_waits_is_ready_and_stops() {
    let (nats, folder) = (NatsServer::start().await, Folder::new("notify"));
    let socket = UnixDatagram::bind(folder.path().join("socket")).unwrap();
    socket.set_nonblocking(true).unwrap();
    let settings = Settings::new().nats(&nats);
    let notify = folder.path().join("socket");
    let role = Role::spawn("delivery", &settings.clone().variable("NOTIFY_SOCKET", notify.to_str().unwrap()));
    let healthcheck = || {
        let admin = role.admin_url().replace("http://", "");
        let asked = settings.clone().set("delivery.admin.listen", &admin).variables();
        let mut command = Command::new(env!("CARGO_BIN_EXE_chatting-server"));
        command.args(["healthcheck", "delivery"]).envs(asked).output().unwrap()
    };
    let mut told = String::new();
    let mut is_told = async |line: &str| {
        eventually(line, SOON, async || {
            let mut datagram = [0; 4_096];
            while let Ok(length) = socket.recv(&mut datagram) {
                told.push_str(std::str::from_utf8(&datagram[..length]).unwrap());
                told.push('\n');
            }
            told.lines().any(|told| told == line).then(|| told.clone())
        })
        .await
    };

    let waiting = is_told("STATUS=not ready: waiting for the log").await;
    assert!(waiting.contains("WATCHDOG=1\n") && !waiting.contains("READY=1"), "{waiting}");
    let unhealthy = healthcheck();
    assert_eq!(unhealthy.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unhealthy.stderr).contains("waiting for the log"), "{unhealthy:?}");

    settings.set_up().await;
    is_told("READY=1").await;
    is_told("STATUS=ready").await;
    let healthy = healthcheck();
    assert_eq!(healthy.status.code(), Some(0), "{healthy:?}");

    assert_eq!(role.terminate().await, 0);
    let all = is_told("STOPPING=1").await;
    assert_eq!(all.matches("READY=1").count(), 1, "{all}");
    assert_eq!(healthcheck().status.code(), Some(1));
}
