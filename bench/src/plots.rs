//! Measures how the system behaves as one thing grows (the rate, posters, rooms, texts, partitions, presenters), and draws
//! it: a JSON and an SVG of each plot. Points take turns within a round, so that a machine that is slow for a minute is
//! slow for all of them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::process;
use crate::system::profile;
use plot::{Axis, Measured, Plot};

mod draw;
mod measure;
mod plot;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Plots to make. All, if none is named
    names: Vec<Name>,
    /// Rounds. The plots show their medians, and the range
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each load
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// One round of 1 s a load, and no more than 1,000 presenters: to see whether all of it works
    #[arg(long)]
    quick: bool,
    /// Draw from the JSON files that are there, and measure nothing
    #[arg(long)]
    draw: bool,
    /// The folder of the plots
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lab/plots"))]
    folder: PathBuf,
}

/// A plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    Rate,
    Posters,
    Rooms,
    Size,
    Partitions,
    Presenters,
    Memory,
}

impl Name {
    fn file(self) -> &'static str {
        match self {
            Name::Rate => "latency-over-rate",
            Name::Posters => "throughput-over-posters",
            Name::Rooms => "throughput-over-rooms",
            Name::Size => "throughput-over-size",
            Name::Partitions => "throughput-over-partitions",
            Name::Presenters => "throughput-over-presenters",
            Name::Memory => "memory-over-sessions",
        }
    }

    /// The title of the plot and of its x axis.
    fn titles(self) -> (&'static str, &'static str) {
        match self {
            Name::Rate => {
                ("Latency: from the time at which a post is due to the presenter's socket", "posts/s offered")
            }
            Name::Posters => ("Throughput over posters; each posts again as soon as it has its answer", "posters"),
            Name::Rooms => {
                ("Throughput over rooms; 256 posters, presenters in the first 100", "rooms that get messages")
            }
            Name::Size => ("Throughput over the size of a text; 256 posters, 100 rooms", "bytes of a text"),
            Name::Partitions => {
                ("Throughput over partitions of the log, one disk; 256 posters, 100 rooms", "partitions")
            }
            Name::Presenters => ("Throughput over presenters, each of a room; 256 posters", "presenters"),
            Name::Memory => ("Memory of a delivery node over connected presenters", "presenters"),
        }
    }

    fn y(self) -> Axis {
        let (title, is_logarithmic) = match self {
            Name::Rate => ("ms", true),
            Name::Memory => ("resident memory, MiB", false),
            _ => ("messages/s", false),
        };
        Axis { title: title.to_owned(), is_logarithmic }
    }
}

/// Sockets of the largest plots.
const FILES: u64 = 16_000;

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    process::allow_files(FILES)?;
    let names = if arguments.names.is_empty() { Name::value_variants() } else { &arguments.names };
    let mut failed = Vec::new();
    for name in names {
        // The others are of use without it.
        if let Err(error) = make(*name, arguments).await {
            eprintln!("{} is left out: {error:#}", name.file());
            failed.push(name.file());
        }
    }
    anyhow::ensure!(failed.is_empty(), "not made: {}", failed.join(", "));
    Ok(())
}

async fn make(name: Name, arguments: &Arguments) -> anyhow::Result<()> {
    let file = |ending: &str| arguments.folder.join(name.file()).with_extension(ending);
    let plot = match arguments.draw {
        true => read(&file("json"))?,
        false => {
            let plot = measured(name, arguments).await?;
            write(&file("json"), &format!("{}\n", serde_json::to_string_pretty(&plot)?))?;
            plot
        }
    };
    write(&file("svg"), &draw::svg(&plot)?)
}

async fn measured(name: Name, arguments: &Arguments) -> anyhow::Result<Plot> {
    let (rounds, seconds) = if arguments.quick { (1, 1) } else { (arguments.rounds, arguments.seconds) };
    let (title, x) = name.titles();
    let mut plot = Plot {
        title: title.to_owned(),
        x: Axis { title: x.to_owned(), is_logarithmic: name != Name::Memory },
        y: name.y(),
        measured: Measured {
            at: jiff::Timestamp::now().to_string(),
            profile: profile()?,
            processors: std::thread::available_parallelism()?.get(),
            rounds,
            seconds,
            busy_besides: 0.0,
        },
        series: Vec::new(),
    };
    measure::measure(name, &mut plot, arguments.quick).await?;
    Ok(plot)
}

fn read(file: &Path) -> anyhow::Result<Plot> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not a plot", file.display()))
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
