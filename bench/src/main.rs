//! Measures the whole pipeline as its users see it, on real servers that it starts itself, with the release binary
//! beside it. Whatever it sends it also looks for: a figure for messages that were lost is worth nothing.
//!
//! `cargo build --release --workspace && target/release/bench posts`

mod archive;
mod attacks;
mod instructions;
mod load;
mod overload;
mod posts;
mod presenter;
mod process;
mod room_server;
mod screen;
mod seek;
mod sessions;
mod statistics;
mod system;

use clap::{Parser, Subcommand};

/// Measures the pipeline
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Posts a second, the time to the acknowledgement, and the time to the presenter's socket
    Posts(posts::Arguments),
    /// More posts than ingest can take: how soon it refuses, how long the others wait, and its memory
    Overload(overload::Arguments),
    /// Many presenters on one delivery node: memory and connect rate; then the node is killed, and all of them come
    /// back to another at once
    Sessions(sessions::Arguments),
    /// The archiver catching up, against a bare insert of the same documents
    Archive(archive::Arguments),
    /// How long the statistics of a room take, by the number of its messages
    Statistics(statistics::Arguments),
    /// Seeking in the replay of a long broadcast while the archive grows
    Seek(seek::Arguments),
    /// Attacks at their bounds: the attacked role's memory and health, and what becomes of other users' posts
    Attacks(attacks::Arguments),
    /// Instructions that a role executes for a message, counted by callgrind
    Instructions(instructions::Arguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Posts(arguments) => posts::run(&arguments).await,
        Command::Overload(arguments) => overload::run(&arguments).await,
        Command::Sessions(arguments) => sessions::run(&arguments).await,
        Command::Archive(arguments) => archive::run(&arguments).await,
        Command::Statistics(arguments) => statistics::run(&arguments).await,
        Command::Seek(arguments) => seek::run(&arguments).await,
        Command::Attacks(arguments) => attacks::run(&arguments).await,
        Command::Instructions(arguments) => instructions::run(&arguments).await,
    }
}
