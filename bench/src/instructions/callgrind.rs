//! Runs a program under callgrind, and counts on request.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::process::Command;

/// Callgrind's files and pipes.
pub(super) struct Callgrind {
    output: PathBuf,
    /// The prefix of the pipes that control the running program.
    prefix: PathBuf,
}

/// The counts.
pub(super) struct Counted {
    pub(super) total: u64,
    /// Functions including their callees, most expensive first.
    pub(super) inclusive: Vec<Function>,
    /// Functions without their callees, most expensive first.
    pub(super) own: Vec<Function>,
}

/// A function's instructions.
pub(super) struct Function {
    pub(super) instructions: u64,
    pub(super) name: String,
}

impl Callgrind {
    /// Puts callgrind's files into `output` and its pipes into `pipes`.
    pub(super) fn new(output: &Path, pipes: &Path) -> anyhow::Result<Callgrind> {
        std::fs::create_dir_all(output)?;
        Ok(Callgrind { output: output.canonicalize()?.join("callgrind.out"), prefix: pipes.join("vgdb") })
    }

    /// Valgrind's arguments, which precede the program. Counting is off at first.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let option = |name: &str, path: &Path| {
            let mut option = OsString::from(name);
            option.push(path);
            option
        };
        vec![
            "--tool=callgrind".into(),
            "--instr-atstart=no".into(),
            // Otherwise one thread can starve the others.
            "--fair-sched=yes".into(),
            option("--callgrind-out-file=", &self.output),
            option("--vgdb-prefix=", &self.prefix),
        ]
    }

    /// Starts counting.
    pub(super) async fn count(&self, id: u32) -> anyhow::Result<()> {
        self.control(id, "--instr=on").await?;
        self.control(id, "--zero").await
    }

    /// Stops counting, and reads the counts.
    pub(super) async fn finish(&self, id: u32) -> anyhow::Result<Counted> {
        self.control(id, "--dump").await?;
        self.control(id, "--instr=off").await?;
        let mut dump = self.output.clone().into_os_string();
        dump.push(".1");
        let (inclusive, total) = annotated(dump.as_ref(), true).await?;
        let (own, _) = annotated(dump.as_ref(), false).await?;
        Ok(Counted { total, inclusive, own })
    }

    async fn control(&self, id: u32, action: &str) -> anyhow::Result<()> {
        let prefix = format!("--vgdb-prefix={}", self.prefix.display());
        run("callgrind_control", &[prefix, action.to_owned(), id.to_string()]).await.map(drop)
    }
}

/// The functions of a dump, and the total.
async fn annotated(dump: &Path, is_inclusive: bool) -> anyhow::Result<(Vec<Function>, u64)> {
    let inclusive = if is_inclusive { "--inclusive=yes" } else { "--inclusive=no" };
    let arguments = [inclusive, "--auto=no", "--threshold=99", &dump.display().to_string()].map(str::to_owned);
    let text = run("callgrind_annotate", &arguments).await?;
    let mut total = None;
    let mut functions = Vec::new();
    for line in text.lines() {
        // `1,234 (5.67%)  file:function [object]`; the total is the first such line.
        let Some((count, rest)) = line.trim_start().split_once(' ') else { continue };
        let Ok(instructions) = count.replace(',', "").parse() else { continue };
        if rest.ends_with("PROGRAM TOTALS") {
            total = Some(instructions);
            continue;
        }
        let name = rest.split_once(')').map_or(rest, |(_, name)| name).trim();
        let name = name.rsplit_once(" [").map_or(name, |(name, _)| name);
        let name = name.split_once(':').map_or(name, |(_, function)| function);
        functions.push(Function { instructions, name: name.to_owned() });
    }
    Ok((functions, total.context("callgrind_annotate shows no total")?))
}

async fn run(program: &str, arguments: &[String]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output().await;
    let output = output.with_context(|| format!("cannot start {program}: install valgrind"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{program} failed: {error}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
