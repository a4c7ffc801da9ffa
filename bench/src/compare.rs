//! Ours beside others, under the same loads from the same generator. The targets take turns within each round, and
//! ratios are computed within a round: a machine that is slow for a minute is slow for all.
//!
//! nchan keeps messages in memory and checks nothing. The bare HTTP server answers and does nothing else. A bare append
//! is one fsynced JetStream message a post, without HTTP.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use testkit::{Program, Ready, Server, port};

use crate::load::{self, Load, Nginx, Pace, Target};
use crate::system::System;
use table::Results;

mod append;
mod table;

/// Concurrent appends without HTTP: one, whose latency is that of one fsync, and as many as there are posters.
const APPENDERS: [usize; 2] = [1, 64];

/// The connections that a worker of nginx takes: more than there are rooms and posters.
const CONNECTIONS: usize = 4_096;

/// What is compared.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Rounds. Medians are shown
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each load
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Rooms, each with a socket
    #[arg(long, default_value_t = 100)]
    rooms: usize,
    /// Run the archiver and MongoDB beside, on the same cores
    #[arg(long)]
    archive: bool,
    /// nats-servers that keep the log, all of them on this machine: 1, 3 or 5
    #[arg(long, default_value_t = 1)]
    replicas: usize,
    /// Write every figure into this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let system = System::start_replicated(1, arguments.archive, arguments.replicas).await?;
    let nginx = Nginx::start(&folder.path().join("nginx"), CONNECTIONS).await?;
    if nginx.is_none() {
        eprintln!("nginx with nchan is not installed and is left out (Debian: nginx, libnginx-mod-nchan)");
    }
    let (mut echo, echo_port) = bare_http(folder.path())?;
    echo.start().await?;
    let mut targets = vec![Target::original(&system)?, Target::v1(&system)?];
    targets.extend(nginx.as_ref().map(Target::nchan).transpose()?);
    targets.push(Target::echo(&echo, echo_port)?);
    let targets: Vec<Arc<Target>> = targets.into_iter().map(Arc::new).collect();

    let results = compare(arguments, &system, &targets).await;
    // Also after an error: nothing else stops its workers.
    if let Some(nginx) = nginx {
        nginx.stop().await?;
    }
    let results = results?;
    println!("{results}");
    if let Some(file) = &arguments.json {
        std::fs::write(file, results.json()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let wrong = results.wrong_of_ours();
    anyhow::ensure!(wrong == 0, "{wrong} of our messages were lost, repeated or out of order");
    Ok(())
}

async fn compare(arguments: &Arguments, system: &System, targets: &[Arc<Target>]) -> anyhow::Result<Results> {
    let (mut results, mut run) = (Results::default(), 0);
    let (duration, rooms) = (Duration::from_secs(arguments.seconds), arguments.rooms);
    for round in 1..=arguments.rounds {
        for pace in Pace::ALL {
            for target in targets {
                run += 1;
                let (name, load) = (target.name, Load::new(run, pace, rooms, duration));
                let outcome = load::run(target, system, load).await.with_context(|| format!("{name}, {pace}"))?;
                eprintln!("round {round}: {pace}: {name}: {:.0} a second", outcome.rate);
                results.add(pace, name, outcome);
            }
        }
        for posters in APPENDERS {
            let outcome = append::run(system, posters, duration).await.context("the bare append")?;
            let pace = Pace::Closed(posters);
            eprintln!("round {round}: {pace}: {}: {:.0} a second", append::NAME, outcome.rate);
            results.add(pace, append::NAME, outcome);
        }
    }
    Ok(results)
}

/// This program as [`echo`], in its own process.
fn bare_http(folder: &std::path::Path) -> anyhow::Result<(Server, u16)> {
    let port = port::own()?;
    let program = Program {
        name: "bare HTTP".to_owned(),
        path: std::env::current_exe()?,
        arguments: vec!["echo".into(), port.to_string().into()],
        environment: Vec::new(),
        output: folder.join("echo.log"),
        detached: false,
    };
    Ok((Server::new(program, Ready::Http(format!("http://127.0.0.1:{port}/"))), port))
}

/// Answers each request with 200 after its body.
pub(crate) async fn echo(port: u16) -> anyhow::Result<()> {
    async fn answer(request: hyper::Request<Incoming>) -> Result<hyper::Response<Full<Bytes>>, hyper::Error> {
        request.into_body().collect().await?;
        Ok(hyper::Response::new(Full::new(Bytes::from_static(b"{}"))))
    }
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}

/// NaN without values.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
