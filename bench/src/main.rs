//! Measures the whole pipeline as its users see it: posts over HTTP to ingest, fsynced acknowledgement, the message on
//! the presenter's WebSocket. It starts its own nats-server (with the project's configuration), room server, ingest and
//! delivery, all release builds on this machine, and looks for every message it posted.
//!
//! `cargo build --release && cargo run --release -p bench`

mod load;
mod room_server;
mod screen;
mod system;

use std::time::Duration;

use clap::Parser;

use crate::load::{Load, Pace};
use crate::system::System;

/// Measures posts a second, the time to the acknowledgement, and the time to the presenter's socket
#[derive(Debug, Parser)]
struct Arguments {
    /// Seconds of each run
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Runs of each load, interleaved; the median is shown
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Presenters, each connected to its own room
    #[arg(long, default_value_t = 100)]
    rooms: usize,
    /// Archive into a MongoDB beside it
    #[arg(long)]
    archive: bool,
}

/// What is offered, one after the other.
const PACES: [Pace; 5] =
    [Pace::Closed(64), Pace::Closed(256), Pace::Open(2_000), Pace::Open(5_000), Pace::Open(10_000)];

#[tokio::main]
#[allow(clippy::print_stdout, reason = "the answer to the command")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut results: Vec<Vec<load::Result>> = PACES.iter().map(|_| Vec::new()).collect();
    for run in 0..arguments.runs {
        let system = System::start(arguments.archive).await?;
        for (pace, results) in PACES.iter().zip(&mut results) {
            let load = Load { pace: *pace, rooms: arguments.rooms, duration: Duration::from_secs(arguments.seconds) };
            let result = load.run(&system).await?;
            eprintln!("run {}: {pace}: {result}", run + 1);
            results.push(result);
        }
    }
    println!("| load | posts/s | post → ack p50 / p99 ms | post → socket p50 / p99 ms | lost, doubled, reordered |");
    println!("|---|---|---|---|---|");
    for (pace, mut results) in PACES.iter().zip(results) {
        results.sort_by(|one, other| one.posts_a_second.total_cmp(&other.posts_a_second));
        let wrong: usize = results.iter().map(|result| result.wrong).sum();
        let median = &results[results.len() / 2];
        println!("| {pace} | {median} | {wrong} |");
    }
    Ok(())
}
