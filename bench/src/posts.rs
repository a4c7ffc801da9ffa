//! Measures posts over HTTP to ingest, the fsynced acknowledgement, and the message on the presenter's WebSocket.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::load::{self, Load, Outcome, Pace, Target};
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

#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (duration, rooms) = (Duration::from_secs(arguments.seconds), arguments.rooms);
    let mut outcomes: Vec<Vec<Outcome>> = Pace::ALL.iter().map(|_| Vec::new()).collect();
    for round in 1..=arguments.runs {
        let system = System::start(1, arguments.archive).await?;
        let target = Arc::new(Target::original(&system)?);
        for (run, (pace, outcomes)) in (1..).zip(Pace::ALL.into_iter().zip(&mut outcomes)) {
            let outcome = load::run(&target, &system, Load::new(run, pace, rooms, duration)).await?;
            eprintln!("run {round}: {pace}: {:.0} posts/s", outcome.rate);
            outcomes.push(outcome);
        }
    }
    println!("| load | posts/s | post → ack p50 / p99 ms | post → socket p50 / p99 ms | lost, doubled, reordered |");
    println!("|---|---|---|---|---|");
    for (pace, mut outcomes) in Pace::ALL.into_iter().zip(outcomes) {
        outcomes.sort_by(|one, other| one.rate.total_cmp(&other.rate));
        let wrong: u64 = outcomes.iter().map(|outcome| outcome.wrong).sum();
        let Outcome { rate, answered, arrived, .. } = &outcomes[outcomes.len() / 2];
        let ms = |(p50, p99): (u64, u64)| format!("{:.2} / {:.2}", p50 as f64 / 1_000.0, p99 as f64 / 1_000.0);
        println!("| {pace} | {rate:.0} | {} | {} | {wrong} |", ms(*answered), arrived.map(ms).unwrap_or_default());
    }
    Ok(())
}
