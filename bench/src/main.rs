//! Measures the whole pipeline as its users see it, on real servers that it starts itself, with the release binary
//! beside it. It also verifies that everything it sends arrives: a figure for lost messages would be worthless.
//!
//! `cargo build --release --workspace && target/release/bench posts`

#![allow(clippy::disallowed_methods, reason = "tasks are awaited by their handles, or last as long as the program")]

mod archive;
mod attacks;
mod budget;
mod compare;
mod connection;
mod instructions;
mod load;
mod overload;
mod plots;
mod posts;
mod presenter;
mod process;
mod readers;
mod room_server;
mod search;
mod seek;
mod sessions;
mod statistics;
mod sweep;
mod system;
mod texts;
mod train;

use clap::{Parser, Subcommand};

/// Measures the pipeline
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Posts per second, latency of acknowledgements, and latency to the presenter's socket
    Posts(posts::Arguments),
    /// Overload: how fast ingest refuses, how long accepted posts wait, and its memory
    Overload(overload::Arguments),
    /// Many presenters on one delivery node: memory and connect rate; then the node is killed, and all of them
    /// reconnect to another one at once
    Sessions(sessions::Arguments),
    /// Many readers beside the presenter, of one room and of a room each: memory, latency to the last, beside nchan
    Readers(readers::Arguments),
    /// The archiver's catch-up, compared with a bare insert of the same documents
    Archive(archive::Arguments),
    /// The latency of room statistics by the number of messages
    Statistics(statistics::Arguments),
    /// Text searches of a large room, with the text index and without
    Search(search::Arguments),
    /// The latency of dry runs of sweeps by the number of messages
    Sweep(sweep::Arguments),
    /// Seeks in the replay of a long broadcast while the archive grows
    Seek(seek::Arguments),
    /// Attacks at their bounds: the attacked role's memory and health, and what becomes of other users' posts
    Attacks(attacks::Arguments),
    /// Ours beside nchan, a bare HTTP server and a bare append, in turn, with ratios within each round
    Compare(compare::Arguments),
    /// How ours behaves as the rate, posters, rooms, texts, partitions or presenters grow: JSON and SVG of each
    Plots(plots::Arguments),
    /// The bare HTTP server of `compare`: answers each request 200
    #[command(hide = true)]
    Echo { port: u16 },
    /// Instructions that a role executes for a message, counted by callgrind
    Instructions(instructions::Arguments),
    /// The same, compared with the figures in bench/budget.toml: fails if a role takes a tenth more
    Budget(budget::Arguments),
    /// Work for a build that is optimised by a profile, with a binary that writes one
    Train(train::Arguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Posts(arguments) => posts::run(&arguments).await,
        Command::Overload(arguments) => overload::run(&arguments).await,
        Command::Sessions(arguments) => sessions::run(&arguments).await,
        Command::Readers(arguments) => readers::run(&arguments).await,
        Command::Archive(arguments) => archive::run(&arguments).await,
        Command::Statistics(arguments) => statistics::run(&arguments).await,
        Command::Search(arguments) => search::run(&arguments).await,
        Command::Sweep(arguments) => sweep::run(&arguments).await,
        Command::Seek(arguments) => seek::run(&arguments).await,
        Command::Attacks(arguments) => attacks::run(&arguments).await,
        Command::Compare(arguments) => compare::run(&arguments).await,
        Command::Plots(arguments) => plots::run(&arguments).await,
        Command::Echo { port } => compare::echo(port).await,
        Command::Instructions(arguments) => instructions::run(&arguments).await,
        Command::Train(arguments) => train::run(&arguments).await,
        Command::Budget(arguments) => budget::run(&arguments).await,
    }
}
