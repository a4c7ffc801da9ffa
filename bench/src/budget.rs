//! The instruction budget: how many instructions a message may cost each role, by build profile. The figures are in a
//! file of the tree, and a change that costs a tenth more fails. It sees the path of a usual message, and nothing that
//! waits: no time, no lock, no system call.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::instructions::{self, Messages, Role};
use crate::system;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Roles to count. All, if none is named
    roles: Vec<Role>,
    /// Write the figures that are counted into the file, in place of comparing
    #[arg(long)]
    write: bool,
    /// The file of the figures
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/budget.toml"))]
    file: PathBuf,
    /// The build profile of the binaries. By default, the name of their folder in target/
    #[arg(long)]
    profile: Option<String>,
}

/// How often a role is counted before a failure is believed.
const TRIES: u32 = 3;

/// More than this, of the figure in the file, fails.
const MOST: f64 = 1.10;

/// Less than this is reported, so that the figure is lowered.
const LEAST: f64 = 0.90;

/// The build profile that `.ci/run` counts. It takes ten times as many instructions as an optimised one.
const SHORT: &str = "debug";

const HEADER: &str = "\
# Instructions that each role executes for a message, by build profile; `bench budget` compares, and fails if one has
# grown by a tenth. `bench budget --write` writes this file. docs/lab/performance.md#the-instruction-budget says more.
";

/// Instructions a message, by build profile and role.
type Figures = BTreeMap<String, BTreeMap<Role, u64>>;

#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let file = arguments.file.display();
    let profile = match &arguments.profile {
        Some(profile) => profile.clone(),
        None => system::profile()?,
    };
    let text = std::fs::read_to_string(&arguments.file).with_context(|| format!("cannot read {file}"))?;
    let mut figures: Figures = toml::from_str(&text).with_context(|| format!("{file} has no figures"))?;
    let budget = figures.entry(profile.clone()).or_default();
    let roles = if arguments.roles.is_empty() { &Role::ALL[..] } else { &arguments.roles };
    println!("| role | instructions a message | {file}, {profile} | ratio |\n|---|---:|---:|---:|");
    let mut over = Vec::new();
    for role in roles {
        let (messages, known) = (messages(*role, profile == SHORT), budget.get(role).copied());
        let mut counted = count(*role, &messages).await?;
        if !arguments.write && known.is_some_and(|known| counted as f64 > MOST * known as f64) {
            // A batch may have been small once, on a busy machine.
            counted = counted.min(count(*role, &messages).await?);
        }
        let ratio = known.map(|known| counted as f64 / known as f64);
        let column = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        let (known, shown) = (known.map(|known| known.to_string()), ratio.map(|ratio| format!("{ratio:.3}")));
        println!("| {} | {counted} | {} | {} |", role.name(), column(known), column(shown));
        match ratio {
            _ if arguments.write => _ = budget.insert(*role, counted),
            None => {
                anyhow::bail!("{file} has no figure of {} for {profile}: `bench budget --write` adds it", role.name())
            }
            Some(ratio) if ratio > MOST => over.push(role.name()),
            Some(ratio) if ratio < LEAST => {
                eprintln!("{} takes less: `bench budget --write` lowers its figure", role.name())
            }
            Some(_) => {}
        }
    }
    if arguments.write {
        std::fs::write(&arguments.file, written(&figures)).with_context(|| format!("cannot write {file}"))?;
    }
    anyhow::ensure!(
        over.is_empty(),
        "a message costs {} over a tenth more than {file} allows: `bench instructions {}` shows where; if it must be so, \
         `bench budget --write` writes the new figures",
        over.join(" and "),
        over[0],
    );
    Ok(())
}

/// Counts again if it fails: a role that got no processor for seconds refuses what waited for it meanwhile.
async fn count(role: Role, messages: &Messages) -> anyhow::Result<u64> {
    for _ in 1..TRIES {
        match instructions::a_message(role, messages).await {
            Ok(counted) => return Ok(counted),
            Err(error) => eprintln!("counting {} again: {error:#}", role.name()),
        }
    }
    instructions::a_message(role, messages).await
}

/// The messages that are counted. The count repeats, because each role gets the same work in each run.
fn messages(role: Role, is_short: bool) -> Messages {
    // Ingest makes batches of what its posters send, and the others get batches of one size. The archiver does the most
    // by the clock: with larger batches its messages take less time.
    let (batch, messages, warm_up) = match role {
        Role::Ingest => (0, 256, 128),
        Role::Delivery => (32, 256, 128),
        Role::Archiver => (128, 512, 128),
    };
    // An optimised build is quick.
    let times = if is_short { 1 } else { 4 };
    let (messages, warm_up) = (times * messages, times * warm_up);
    Messages { messages, warm_up, posters: 64, rate: 0, batch, rooms: 100, new_connections: false }
}

fn written(figures: &Figures) -> String {
    let mut text = HEADER.to_owned();
    for (profile, figures) in figures {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n[{profile}]");
        for (role, figure) in figures {
            let _ = writeln!(text, "{} = {}", role.name(), grouped(*figure));
        }
    }
    text
}

/// `1234567` as `1_234_567`.
fn grouped(figure: u64) -> String {
    let digits = figure.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_they_were_written() {
        let figures = Figures::from([
            ("debug".to_owned(), BTreeMap::from([(Role::Ingest, 1_234_567), (Role::Archiver, 999)])),
            ("profiling".to_owned(), BTreeMap::from([(Role::Delivery, 1_000)])),
        ]);
        let text = written(&figures);
        assert!(text.ends_with("\n[debug]\ningest = 1_234_567\narchiver = 999\n\n[profiling]\ndelivery = 1_000\n"));
        assert_eq!(toml::from_str::<Figures>(&text).unwrap(), figures);
    }

    #[test]
    fn the_committed_file_has_the_figures_that_ci_compares() {
        let figures: Figures = toml::from_str(include_str!("../budget.toml")).unwrap();
        assert!(Role::ALL.iter().all(|role| figures[SHORT].contains_key(role)), "{figures:?}");
    }
}
