//! User-space instructions that one role executes for a message, counted by callgrind. Unlike a time, the count is the
//! same whatever else the machine does, so it shows a change of a few per cent.
//!
//! `cargo build --profile profiling -p chatting-server -p bench && target/profiling/bench instructions ingest`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::system::{Runner, System};
use callgrind::Callgrind;
use load::Load;

mod callgrind;
mod load;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The role that callgrind runs
    role: Role,
    /// Messages that are counted
    #[arg(long, default_value_t = 2_000)]
    messages: usize,
    /// Messages before the count, which fill caches
    #[arg(long, default_value_t = 640)]
    warm_up: usize,
    /// Posters. Each posts again as soon as it has its answer
    #[arg(long, default_value_t = 64)]
    posters: usize,
    /// Posts per second of all posters together. 0: unlimited
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// Rooms. Each has a presenter, unless the archiver is measured
    #[arg(long, default_value_t = 100)]
    rooms: usize,
    /// Count new connections and new tokens as well: each poster begins anew after the warm-up
    #[arg(long)]
    new_connections: bool,
    /// Number of functions to list
    #[arg(long, default_value_t = 40)]
    functions: usize,
    /// Fail if a message takes more instructions than this
    #[arg(long)]
    at_most: Option<u64>,
    /// Keep callgrind's output in this folder, for kcachegrind
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// A role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    Ingest,
    Delivery,
    Archiver,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Ingest => "ingest",
            Role::Delivery => "delivery",
            Role::Archiver => "archiver",
        }
    }
}

#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let role = arguments.role;
    let folder = tempfile::tempdir()?;
    let callgrind = Callgrind::new(arguments.keep.as_deref().unwrap_or(folder.path()), folder.path())?;
    let runner = Runner {
        role: role.name(),
        program: "valgrind".into(),
        arguments: callgrind.arguments(),
        // Under callgrind a role takes a hundred times as long: it would refuse what waits for it, and ask the room
        // server a hundred times as often.
        settings: [("CHATTING_NATS__APPEND_QUEUE_WAIT", "4s"), ("CHATTING_INGEST__ROOMS__LIVE", "200s")]
            .map(|(key, value)| (key, value.to_owned()))
            .into(),
    };
    // A presenter in each room: ingest does more work for a room without one.
    let nodes = usize::from(role != Role::Archiver);
    let system = System::start_under(nodes, role == Role::Archiver, Some(&runner)).await?;
    let id = system.id(role.name())?;
    let mut load = Load::start(&system, arguments).await?;
    load.run(arguments.warm_up).await.context("warming up")?;
    callgrind.count(id).await?;
    load.run(arguments.messages).await?;
    let counted = callgrind.finish(id).await?;

    let a_message = |instructions: u64| instructions / arguments.messages as u64;
    println!("{} executes {} instructions a message.", role.name(), a_message(counted.total));
    for (title, functions) in [("with what they call", &counted.inclusive), ("by themselves", &counted.own)] {
        println!("\n| instructions a message | functions, {title} |\n|---:|---|");
        for function in functions.iter().take(arguments.functions) {
            println!("| {} | `{}` |", a_message(function.instructions), function.name);
        }
    }
    match arguments.at_most {
        Some(most) if a_message(counted.total) > most => anyhow::bail!("more than {most} instructions a message"),
        _ => Ok(()),
    }
}
