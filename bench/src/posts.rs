//! Measures posts over HTTP to ingest, the fsynced acknowledgement, and the message on the presenter's WebSocket.

use std::time::Duration;

use clap::Args;

use crate::load::{self, Load, Pace};
use crate::system::System;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Seconds of each run
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Runs of each load, interleaved. The median is shown
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Presenters, each connected to a room of its own
    #[arg(long, default_value_t = 100)]
    rooms: usize,
    /// Archive into a MongoDB at the same time
    #[arg(long)]
    archive: bool,
}

/// The loads, in order.
const PACES: [Pace; 5] =
    [Pace::Closed(64), Pace::Closed(256), Pace::Open(2_000), Pace::Open(5_000), Pace::Open(10_000)];

#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut results: Vec<Vec<load::Result>> = PACES.iter().map(|_| Vec::new()).collect();
    for run in 0..arguments.runs {
        let system = System::start(1, arguments.archive).await?;
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
