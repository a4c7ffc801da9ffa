//! Runs a program under callgrind, and counts on request.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::process::Command;

/// Callgrind's files and pipes.
pub(super) struct Callgrind {
    output: PathBuf,
    /// The prefix of the pipes that control the running program.
    prefix: PathBuf,
}

/// Counts that callgrind has written.
pub(super) struct Dump(PathBuf);

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

    /// The counts since the start or the previous dump. `number`: how many dumps there are with this one.
    pub(super) async fn dump(&self, id: u32, number: u32) -> anyhow::Result<Dump> {
        self.control(id, "--dump").await?;
        let mut dump = self.output.clone().into_os_string();
        dump.push(format!(".{number}"));
        Ok(Dump(dump.into()))
    }

    async fn control(&self, id: u32, action: &str) -> anyhow::Result<()> {
        let prefix = format!("--vgdb-prefix={}", self.prefix.display());
        run("callgrind_control", &[prefix, action.to_owned(), id.to_string()]).await.map(drop)
    }
}

impl Dump {
    /// All instructions.
    pub(super) fn total(&self) -> anyhow::Result<u64> {
        let file = BufReader::new(File::open(&self.0).with_context(|| format!("cannot read {}", self.0.display()))?);
        for line in file.lines() {
            if let Some(total) = line?.strip_prefix("totals: ") {
                return Ok(total.trim().parse()?);
            }
        }
        anyhow::bail!("{} has no total", self.0.display())
    }

    /// Functions including their callees, most expensive first.
    pub(super) async fn inclusive(&self) -> anyhow::Result<Vec<Function>> {
        self.functions("--inclusive=yes").await
    }

    /// Functions without their callees, most expensive first.
    pub(super) async fn own(&self) -> anyhow::Result<Vec<Function>> {
        self.functions("--inclusive=no").await
    }

    async fn functions(&self, inclusive: &str) -> anyhow::Result<Vec<Function>> {
        let arguments = [inclusive, "--auto=no", "--threshold=99", &self.0.display().to_string()].map(str::to_owned);
        let text = run("callgrind_annotate", &arguments).await?;
        let mut functions = Vec::new();
        for line in text.lines() {
            // `1,234 (5.67%)  file:function [object]`; the total is the first such line.
            let Some((count, rest)) = line.trim_start().split_once(' ') else { continue };
            let Ok(instructions) = count.replace(',', "").parse() else { continue };
            if rest.ends_with("PROGRAM TOTALS") {
                continue;
            }
            let name = rest.split_once(')').map_or(rest, |(_, name)| name).trim();
            let name = name.rsplit_once(" [").map_or(name, |(name, _)| name);
            let name = name.split_once(':').map_or(name, |(_, function)| function);
            functions.push(Function { instructions, name: name.to_owned() });
        }
        Ok(functions)
    }
}

async fn run(program: &str, arguments: &[String]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output().await;
    let output = output.with_context(|| format!("cannot start {program}: install valgrind"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{program} failed: {error}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
