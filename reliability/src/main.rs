//! The command line of the reliability runs: `cargo run -p reliability -- run --minutes 5 --seed 1`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use chatting_server::signals::Signals;
use clap::{Args, Parser, Subcommand};
use judge::history;
use judge::report::{Ending, Report};
use reliability::constants::Constants;
use reliability::run::{Options, run};
use reliability::system::{LOG_BYTES, Plan, binary};
use reliability::{alerts, disk, planted};

/// Inject faults into the whole system under load, and check that nothing accepted is lost, repeated or reordered
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the system, inject faults, and judge the history
    Run(Box<RunArguments>),
    /// Build the server with each planted bug, and check that a run finds it
    Planted {
        /// Names of patches. Default: all
        names: Vec<String>,
    },
    /// Cause each outage that an alert is for, and ask a real Prometheus which alerts fire
    Alerts(AlertsArguments),
    /// Judge a recorded history again
    Check {
        /// The history.ndjson of a run
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct AlertsArguments {
    /// Prometheus
    #[arg(long, default_value = "prometheus")]
    prometheus: PathBuf,
    /// Divide all times of the rules by this factor
    #[arg(long, default_value_t = 30)]
    factor: u32,
    /// Only outages whose name, or the name of one of whose alerts, contains one of these words. Default: all
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The chatting-server to test. Default: the one beside this program
    #[arg(long)]
    binary: Option<PathBuf>,
    /// The folder of the run. Default: a new temporary folder, which is deleted if every outage raised its alerts
    #[arg(long)]
    keep: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RunArguments {
    /// The minutes of load and faults
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// The seed of load and faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run for 40 s with short pauses between faults, as CI does
    #[arg(long)]
    short: bool,
    /// Use three nats-servers and three mongods
    #[arg(long)]
    cluster: bool,
    /// The number of streams of the log
    #[arg(long, default_value_t = 1)]
    partitions: u32,
    /// The maximum size of each stream, in bytes. 1000000 fills within a minute
    #[arg(long, default_value_t = LOG_BYTES)]
    log_bytes: u64,
    /// Give each server of the log and the archive a disk of its own, which can be full and lose power. Needs Linux and
    /// root
    #[arg(long)]
    disks: bool,
    /// Let the log's servers sync when they choose to, as nats-server does by default: a power loss removes accepted
    /// messages
    #[arg(long)]
    lazy_log: bool,
    /// The path of libfaketime.so.1, to set the clocks of the roles
    #[arg(long, value_name = "FILE")]
    clock_library: Option<PathBuf>,
    /// A recording with texts to post, as NDJSON. May be repeated
    #[arg(long)]
    recording: Vec<PathBuf>,
    /// Posts per second in total
    #[arg(long, default_value_t = 60.0)]
    rate: f64,
    /// The number of rooms
    #[arg(long, default_value_t = 8)]
    rooms: i64,
    /// The number of viewers who post
    #[arg(long, default_value_t = 40)]
    viewers: i64,
    /// Only faults whose name contains one of these words, such as "kill nats,half-open". Default: all
    #[arg(long, value_delimiter = ',')]
    faults: Vec<String>,
    /// Only these activities beside the posts, by words of their names, such as "settings,followed". Default: all
    #[arg(long, value_delimiter = ',')]
    plays: Vec<String>,
    /// The timing settings: windows, leases, deadlines
    #[arg(long, value_enum, default_value_t = Constants::Default)]
    constants: Constants,
    /// Let one fault in three last from 30 s to 150 s
    #[arg(long)]
    long: bool,
    /// Damage the log's files: truncate them, flip a bit, lose the durable readers, or restore an older copy. Not with
    /// --cluster
    #[arg(long, conflicts_with = "cluster")]
    damage: bool,
    /// The chatting-server to test. Default: the one beside this program
    #[arg(long)]
    binary: Option<PathBuf>,
    /// An older chatting-server for the second node of each role
    #[arg(long)]
    old_binary: Option<PathBuf>,
    /// The folder of the run. Default: a new temporary folder, which is deleted if every invariant held
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// The short form: its load, and the milliseconds between two faults.
const SHORT: Duration = Duration::from_secs(40);
const SHORT_CALM: std::ops::Range<u64> = 500..2_500;
const CALM: std::ops::Range<u64> = 1_000..12_000;

fn main() -> anyhow::Result<ExitCode> {
    let command = Arguments::parse().command;
    // Before any thread starts.
    if matches!(&command, Command::Run(arguments) if arguments.disks) {
        disk::own_mounts()?;
    }
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        // Dropping the run kills the processes that it started.
        tokio::select! {
            ended = obey(command) => ended,
            () = signals.next() => anyhow::bail!("stopped before the end; the history was not judged"),
        }
    })
}

async fn obey(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(arguments) => make(*arguments).await,
        Command::Planted { names } => planted::all(&names).await,
        Command::Alerts(arguments) => raise(arguments).await,
        Command::Check { file } => {
            let lines = history::read(&file)?;
            Ok(tell(&Report::of(&lines, file.parent().map(PathBuf::from).unwrap_or_default())))
        }
    }
}

async fn raise(arguments: AlertsArguments) -> anyhow::Result<ExitCode> {
    let folder = folder(arguments.keep.as_deref())?;
    let options = alerts::Options {
        binary: arguments.binary.map_or_else(binary, Ok)?,
        prometheus: arguments.prometheus,
        factor: arguments.factor,
        only: arguments.only,
        folder: folder.clone(),
    };
    let code = alerts::all(&options).await?;
    if code == ExitCode::SUCCESS && arguments.keep.is_none() {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(code)
}

/// The folder of a run: this one, or a new temporary one.
fn folder(kept: Option<&Path>) -> anyhow::Result<PathBuf> {
    let folder = match kept {
        Some(folder) => folder.to_owned(),
        None => tempfile::Builder::new().prefix("reliability-").tempdir()?.keep(),
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

async fn make(arguments: RunArguments) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(arguments.rooms >= 1 && arguments.viewers >= 1, "--rooms and --viewers must be at least 1");
    anyhow::ensure!(arguments.rate > 0.0 && arguments.minutes > 0.0, "--rate and --minutes must be more than 0");
    let folder = folder(arguments.keep.as_deref())?;
    let binary = arguments.binary.map_or_else(binary, Ok)?;
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

/// The exit code: 0 if every invariant held, 2 if one was violated, 3 if the history is inconclusive. (1: the run
/// failed.)
#[allow(clippy::print_stdout, reason = "the answer to the command")]
fn tell(report: &Report) -> ExitCode {
    println!("{report}");
    match report.ending() {
        Ending::Held => ExitCode::SUCCESS,
        Ending::Broken => ExitCode::from(2),
        Ending::Unknown => ExitCode::from(3),
    }
}
