//! Planted bugs: patches in `planted/`. The header of each says what is wrong, which invariants it violates, and which
//! faults reveal it; `with: damage` if the log has to lose events. A checker that finds nothing in a sound system
//! proves little. Here it must find known bugs, and name the right invariant.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use judge::report::Report;

use crate::run::{Options, run};
use crate::system::{LOG_BYTES, Plan};

/// The seeds to try. The first one that reveals the bug is enough.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=4;

/// The load of each run.
const LOAD: Duration = Duration::from_secs(45);

struct Planted {
    name: String,
    file: PathBuf,
    about: String,
    breaks: Vec<String>,
    faults: Vec<String>,
    damage: bool,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is a folder of the tree")
}

impl Planted {
    fn read(file: PathBuf) -> anyhow::Result<Planted> {
        let text = std::fs::read_to_string(&file)?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let list = |member: &str| -> anyhow::Result<Vec<String>> {
            let line = text.lines().find_map(|line| line.strip_prefix(member));
            let line = line.with_context(|| format!("{} has no line `{member}`", file.display()))?;
            Ok(line.split(',').map(|word| word.trim().to_owned()).collect())
        };
        let (breaks, faults) = (list("breaks: ")?, list("faults: ")?);
        let about = text.lines().next().unwrap_or_default().to_owned();
        let damage = text.lines().any(|line| line == "with: damage");
        Ok(Planted { name, file, about, breaks, faults, damage })
    }
}

/// Tests all planted bugs, or the named ones. The exit code is 0 if each was found.
#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub async fn all(names: &[String]) -> anyhow::Result<ExitCode> {
    let mut patches = Vec::new();
    for entry in std::fs::read_dir(root().join("reliability/planted"))? {
        let planted = Planted::read(entry?.path())?;
        if names.is_empty() || names.contains(&planted.name) {
            patches.push(planted);
        }
    }
    ensure!(!patches.is_empty(), "no patch has that name; the patches are in reliability/planted");
    patches.sort_by(|one, other| one.name.cmp(&other.name));
    let folder = tempfile::Builder::new().prefix("planted-").tempdir()?;
    copy_tree(folder.path())?;
    let mut missed = 0;
    for planted in &patches {
        println!("{}: {}", planted.name, planted.about);
        let binary = build(planted, folder.path())?;
        if !is_found(planted, &binary).await? {
            missed += 1;
        }
    }
    println!("{} of {} were found", patches.len() - missed, patches.len());
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// Copies the files that git tracks, as they are now.
fn copy_tree(to: &Path) -> anyhow::Result<()> {
    let listed = Command::new("git").current_dir(root()).args(["ls-files", "-z"]).output().context("cannot run git")?;
    ensure!(listed.status.success(), "git cannot list the tree");
    for name in String::from_utf8(listed.stdout)?.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root().join(name), to.join(name));
        // A tracked file may have been deleted.
        if from.is_file() {
            std::fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
            std::fs::copy(from, to)?;
        }
    }
    Ok(())
}

/// Builds the server with the bug. Afterwards the copy is as before.
fn build(planted: &Planted, tree: &Path) -> anyhow::Result<PathBuf> {
    let apply = |arguments: &[&str]| -> anyhow::Result<()> {
        let applied = Command::new("git").current_dir(tree).arg("apply").args(arguments).arg(&planted.file).status()?;
        ensure!(applied.success(), "{} does not apply to the tree", planted.file.display());
        Ok(())
    };
    apply(&[])?;
    // Kept between runs, so that only changes are built.
    let target = root().join("target/planted");
    let built = Command::new("cargo")
        .current_dir(tree)
        .args(["build", "--quiet", "--package", "chatting-server", "--bin", "chatting-server", "--target-dir"])
        .arg(&target)
        // No debug information: a third of the disk space.
        .envs([("CARGO_PROFILE_DEV_DEBUG", "0"), ("CARGO_INCREMENTAL", "0")])
        .status()?;
    ensure!(built.success(), "the tree with {} cannot be built", planted.file.display());
    apply(&["-R"])?;
    Ok(target.join("debug/chatting-server"))
}

#[allow(clippy::print_stdout, reason = "the answer to the command")]
async fn is_found(planted: &Planted, binary: &Path) -> anyhow::Result<bool> {
    for seed in SEEDS {
        let folder = tempfile::Builder::new().prefix("planted-run-").tempdir()?;
        let options = Options {
            load: LOAD,
            seed,
            rooms: 8,
            viewers: 40,
            rate: 60.0,
            recordings: Vec::new(),
            calm: 500..2_500,
            faults: planted.faults.clone(),
            plays: Vec::new(),
            lasting: false,
            plan: Plan {
                folder: folder.path().to_owned(),
                binary: binary.to_owned(),
                old_binary: None,
                cluster: false,
                partitions: 1,
                log_bytes: LOG_BYTES,
                disks: false,
                lazy_log: false,
                clock_library: None,
                constants: Vec::new(),
                review: None,
                damage: planted.damage,
            },
        };
        let began = Instant::now();
        let report: Report = run(&options).await?;
        let (broken, took) = (report.broken(), began.elapsed().as_secs());
        if planted.breaks.iter().any(|invariant| broken.contains(&invariant.as_str())) {
            println!("  found under seed {seed} after {took} s: {}", broken.join(", "));
            return Ok(true);
        }
        println!(
            "  not under seed {seed}: {}",
            if broken.is_empty() { "nothing".to_owned() } else { broken.join(", ") }
        );
    }
    println!("  NOT FOUND; {} should have been broken", planted.breaks.join(" or "));
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use judge::checker::INVARIANTS;

    #[test]
    fn every_planted_bug_applies_and_names_existing_invariants() {
        for entry in std::fs::read_dir(root().join("reliability/planted")).unwrap() {
            let planted = Planted::read(entry.unwrap().path()).unwrap();
            for invariant in &planted.breaks {
                assert!(INVARIANTS.iter().any(|known| known.name == invariant), "{}: {invariant}", planted.name);
            }
            let applies =
                Command::new("git").current_dir(root()).args(["apply", "--check"]).arg(&planted.file).status();
            assert!(applies.unwrap().success(), "{} does not apply to the tree any more: make it anew", planted.name);
        }
    }
}
