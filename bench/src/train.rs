//! Work for a build that is optimised by a profile (`deploy/release --profile-guided`): posts over both surfaces, with
//! sockets and the archive. Then each role is stopped, which writes its profile.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::load::{self, Load, Pace, Target};
use crate::system::System;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The folder for the roles' profiles
    profiles: PathBuf,
    /// Seconds of each load
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Rooms, each with a presenter
    #[arg(long, default_value_t = 100)]
    rooms: usize,
}

/// Many posts at once, and few.
const PACES: [Pace; 3] = [Pace::Closed(64), Pace::Closed(256), Pace::Open(1_000)];

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (duration, rooms) = (Duration::from_secs(arguments.seconds), arguments.rooms);
    let file = arguments.profiles.join("%p.profraw").display().to_string();
    let system = System::start_archiving(1, &[("LLVM_PROFILE_FILE", file)]).await?;
    let mut run = 0;
    for target in [Target::original(&system)?, Target::v1(&system)?] {
        let target = Arc::new(target);
        for pace in PACES {
            run += 1;
            let outcome = load::run(&target, &system, Load::new(run, pace, rooms, duration)).await?;
            anyhow::ensure!(outcome.wrong == 0, "{} messages were lost, doubled or reordered", outcome.wrong);
            eprintln!("{}: {pace}: {:.0} posts/s", target.name, outcome.rate);
        }
    }
    system.stop().await
}
