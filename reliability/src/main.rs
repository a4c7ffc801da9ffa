//! The command line of the reliability runs: `cargo run -p reliability -- run --minutes 5 --seed 1`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use chatting_server::signals::Signals;
use clap::{Args, Parser, Subcommand};
use reliability::constants::Constants;
use reliability::report::{Ending, Report};
use reliability::run::{Options, run};
use reliability::system::{LOG_BYTES, Plan, binary};
use reliability::{disk, history, planted};

/// Breaks the whole system while chat plays into it, and looks whether anything accepted is lost, repeated or reordered
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts everything, breaks it for a while, and judges what happened
    Run(Box<RunArguments>),
    /// Plants each of our bugs into a copy of the tree, and looks whether a run notices it
    Planted {
        /// Only these, by the names of the patches
        names: Vec<String>,
    },
    /// Judges a history again
    Check {
        /// The history.ndjson of a run
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct RunArguments {
    /// For how long chat plays and things break
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Decides who says what where, and what breaks when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A run of less than a minute with few pauses between the faults, as CI has it
    #[arg(long)]
    short: bool,
    /// The log on three nats-servers, the archive on three mongods
    #[arg(long)]
    cluster: bool,
    /// Into how many streams the log is split, by room
    #[arg(long, default_value_t = 1)]
    partitions: u32,
    /// How large each stream of the log may grow, in bytes; 1000000 is full within a minute
    #[arg(long, default_value_t = LOG_BYTES)]
    log_bytes: u64,
    /// The log and the archive on disks that can be full and lose power: needs Linux and root
    #[arg(long)]
    disks: bool,
    /// The log's servers sync when they like, as nats-server does by default: a power loss takes what was accepted
    #[arg(long)]
    lazy_log: bool,
    /// libfaketime.so.1, by which the clocks of the roles are set
    #[arg(long, value_name = "FILE")]
    clock_library: Option<PathBuf>,
    /// A recording whose texts are said, as NDJSON; may be given several times
    #[arg(long)]
    recording: Vec<PathBuf>,
    /// Posts a second, all together
    #[arg(long, default_value_t = 60.0)]
    rate: f64,
    /// Rooms
    #[arg(long, default_value_t = 8)]
    rooms: i64,
    /// Viewers who write
    #[arg(long, default_value_t = 40)]
    viewers: i64,
    /// Parts of the names of the faults to make, such as "kill nats,half-open"; else all
    #[arg(long, value_delimiter = ',')]
    faults: Vec<String>,
    /// Parts of the names of what plays beside the chat, such as "settings,followed"; else all
    #[arg(long, value_delimiter = ',')]
    plays: Vec<String>,
    /// How long the system's own times are: windows, leases, deadlines
    #[arg(long, value_enum, default_value_t = Constants::Default)]
    constants: Constants,
    /// One fault in three lasts from half a minute to two and a half
    #[arg(long)]
    long: bool,
    /// The log's files lose their end, have a flipped bit, or are replaced by an older copy; not with --cluster
    #[arg(long, conflicts_with = "cluster")]
    damage: bool,
    /// The chatting-server to test; else the one beside this program
    #[arg(long)]
    binary: Option<PathBuf>,
    /// An older chatting-server, which the second node of each role runs
    #[arg(long)]
    old_binary: Option<PathBuf>,
    /// Where everything is kept; else a new temporary folder, kept unless every invariant held
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// The short form: how long, and the milliseconds between two faults.
const SHORT: Duration = Duration::from_secs(40);
const SHORT_CALM: std::ops::Range<u64> = 500..2_500;
const CALM: std::ops::Range<u64> = 1_000..12_000;

fn main() -> anyhow::Result<ExitCode> {
    let command = Arguments::parse().command;
    // Before there are threads.
    if matches!(&command, Command::Run(arguments) if arguments.disks) {
        disk::own_mounts()?;
    }
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        // What is dropped on the way out kills the processes that it started.
        tokio::select! {
            ended = obey(command) => ended,
            () = signals.next() => anyhow::bail!("stopped before the end: nothing was judged"),
        }
    })
}

async fn obey(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(arguments) => make(*arguments).await,
        Command::Planted { names } => planted::all(&names).await,
        Command::Check { file } => {
            let lines = history::read(&file)?;
            Ok(tell(&Report::of(&lines, file.parent().map(PathBuf::from).unwrap_or_default())))
        }
    }
}

async fn make(arguments: RunArguments) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(arguments.rooms >= 1 && arguments.viewers >= 1, "at least one room and one viewer");
    anyhow::ensure!(arguments.rate > 0.0 && arguments.minutes > 0.0, "--rate and --minutes must be more than 0");
    let folder = match &arguments.keep {
        Some(folder) => folder.clone(),
        None => tempfile::Builder::new().prefix("reliability-").tempdir()?.keep(),
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let binary = match arguments.binary {
        Some(binary) => binary,
        None => binary()?,
    };
    let options = Options {
        load: if arguments.short { SHORT } else { Duration::from_secs_f64(arguments.minutes * 60.0) },
        seed: arguments.seed,
        rooms: arguments.rooms,
        viewers: arguments.viewers,
        rate: arguments.rate,
        recordings: arguments.recording,
        calm: if arguments.short { SHORT_CALM } else { CALM },
        faults: arguments.faults,
        plays: arguments.plays,
        lasting: arguments.long,
        plan: Plan {
            folder: folder.clone(),
            binary,
            old_binary: arguments.old_binary,
            cluster: arguments.cluster,
            partitions: arguments.partitions,
            log_bytes: arguments.log_bytes,
            disks: arguments.disks,
            lazy_log: arguments.lazy_log,
            clock_library: arguments.clock_library,
            review: None,
            constants: arguments.constants.settings(arguments.seed),
            damage: arguments.damage,
        },
    };
    let report = run(&options).await?;
    std::fs::write(folder.join("report.txt"), report.to_string())?;
    std::fs::write(folder.join("smallest.ndjson"), report.smallest_history())?;
    let code = tell(&report);
    if report.ending() == Ending::Held && arguments.keep.is_none() {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(code)
}

/// 0: every invariant held; 2: at least one was broken; 3: not everything was shown to hold. (1: the run failed.)
#[allow(clippy::print_stdout, reason = "the answer to the command")]
fn tell(report: &Report) -> ExitCode {
    println!("{report}");
    match report.ending() {
        Ending::Held => ExitCode::SUCCESS,
        Ending::Broken => ExitCode::from(2),
        Ending::Unknown => ExitCode::from(3),
    }
}
