//! User-space instructions that one role executes for a message, counted by callgrind. Unlike a time, the count is the
//! same whatever else the machine does, so it shows a change of a few per cent.
//!
//! `cargo build --profile profiling -p chatting-server -p bench && target/profiling/bench instructions ingest`

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::process;
use crate::system::{Runner, System};
use callgrind::{Callgrind, Dump};
use load::Load;

mod callgrind;
mod load;

/// How long a role is counted without messages.
const IDLE: Duration = Duration::from_secs(3);

/// How long a role must be at rest, and the part of a processor that it may use then, under callgrind.
const REST: Duration = Duration::from_millis(500);
const AT_REST: f64 = 0.08;

/// Longer than it takes.
const MOST_REST: Duration = Duration::from_secs(60);

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The role that callgrind runs
    role: Role,
    #[command(flatten)]
    messages: Messages,
    /// Number of functions to list
    #[arg(long, default_value_t = 40)]
    functions: usize,
    /// Keep callgrind's output in this folder, for kcachegrind
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// The messages that a role handles, and how they come.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Messages {
    /// Messages that are counted
    #[arg(long, default_value_t = 2_000)]
    pub(crate) messages: usize,
    /// Messages before the count, which fill caches
    #[arg(long, default_value_t = 640)]
    pub(crate) warm_up: usize,
    /// Posters. Each posts again as soon as it has its answer
    #[arg(long, default_value_t = 64)]
    pub(crate) posters: usize,
    /// Posts per second of all posters together. 0: unlimited
    #[arg(long, default_value_t = 0)]
    pub(crate) rate: u32,
    /// Append batches of this many messages to the log in place of posts, each once the batch before has arrived:
    /// delivery and the archiver then do the same work in each run. 0: post
    #[arg(long, default_value_t = 0)]
    pub(crate) batch: usize,
    /// Rooms. Each has a presenter, unless the archiver is measured
    #[arg(long, default_value_t = 100)]
    pub(crate) rooms: usize,
    /// Count new connections and new tokens as well: each poster begins anew after the warm-up
    #[arg(long)]
    pub(crate) new_connections: bool,
}

/// A role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Ingest,
    Delivery,
    Archiver,
}

impl Role {
    pub(crate) const ALL: [Role; 3] = [Role::Ingest, Role::Delivery, Role::Archiver];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Ingest => "ingest",
            Role::Delivery => "delivery",
            Role::Archiver => "archiver",
        }
    }
}

#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (role, messages) = (arguments.role, arguments.messages.messages as u64);
    let folder = tempfile::tempdir()?;
    let counted = count(role, &arguments.messages, arguments.keep.as_deref().unwrap_or(folder.path())).await?;
    println!(
        "{} executes {} instructions a message, without the {} a second that it executes without messages.",
        role.name(),
        counted.a_message,
        counted.idle
    );
    let dump = counted.dump;
    for (title, functions) in [("with what they call", dump.inclusive().await?), ("by themselves", dump.own().await?)] {
        println!("\n| instructions a message | functions, {title} |\n|---:|---|");
        for function in functions.iter().take(arguments.functions) {
            println!("| {} | `{}` |", function.instructions / messages, function.name);
        }
    }
    Ok(())
}

/// The instructions of a role for a message.
pub(crate) async fn a_message(role: Role, messages: &Messages) -> anyhow::Result<u64> {
    let folder = tempfile::tempdir()?;
    Ok(count(role, messages, folder.path()).await?.a_message)
}

/// The counts of a role.
struct Counted {
    a_message: u64,
    /// A second, without messages.
    idle: u64,
    /// All that was executed while there were messages.
    dump: Dump,
}

/// Counts, with callgrind's output in `output`.
async fn count(role: Role, messages: &Messages, output: &Path) -> anyhow::Result<Counted> {
    anyhow::ensure!(role != Role::Ingest || messages.batch == 0, "ingest takes posts: leave out --batch");
    let pipes = tempfile::tempdir()?;
    let callgrind = Callgrind::new(output, pipes.path())?;
    let runner = Runner {
        role: role.name(),
        program: "valgrind".into(),
        arguments: callgrind.arguments(),
        // Under callgrind a role takes a hundred times as long: it would refuse what waits for it, and ask the room
        // server a hundred times as often.
        settings: [
            ("CHATTING_NATS__APPEND_QUEUE_WAIT", "20s"),
            ("CHATTING_NATS__APPEND_DEADLINE", "1m"),
            ("CHATTING_INGEST__ROOMS__LIVE", "200s"),
            ("CHATTING_INGEST__ROOMS__DEADLINE", "5s"),
            // The server reserves it, perhaps in memory.
            ("CHATTING_NATS__MAX_SIZE", "256 MiB"),
        ]
        .map(|(key, value)| (key, value.to_owned()))
        .into(),
    };
    // A presenter in each room: ingest does more work for a room without one.
    let nodes = usize::from(role != Role::Archiver);
    let system = System::start_under(nodes, role == Role::Archiver, Some(&runner)).await?;
    let id = system.id(role.name())?;
    let mut load = Load::start(&system, messages).await?;
    load.run(messages.warm_up).await.context("warming up")?;
    rest(id).await?;
    callgrind.count(id).await?;
    // What a role does by the clock is a larger part of the count on a busy machine, where the messages take longer.
    let began = Instant::now();
    sleep(IDLE).await;
    let idle = callgrind.dump(id, 1).await?.total()? as f64 / began.elapsed().as_secs_f64();
    let began = Instant::now();
    load.run(messages.messages).await?;
    rest(id).await?;
    let dump = callgrind.dump(id, 2).await?;
    let executed = dump.total()? as f64 - idle * began.elapsed().as_secs_f64();
    Ok(Counted { a_message: (executed / messages.messages as f64) as u64, idle: idle as u64, dump })
}

/// Waits until the role has done what follows the last message, such as reading it back from the log.
async fn rest(id: u32) -> anyhow::Result<()> {
    let began = Instant::now();
    while began.elapsed() < MOST_REST {
        let before = process::processor(id)?;
        sleep(REST).await;
        if process::processor(id)? - before < REST.as_secs_f64() * AT_REST {
            return Ok(());
        }
    }
    anyhow::bail!("the role is busy {} s after the last message", MOST_REST.as_secs())
}
