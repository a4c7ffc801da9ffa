//! Process statistics from `/proc`.

use std::path::Path;

use anyhow::Context as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The kernel's unit of CPU time: 100 ticks per second on every Linux that Rust runs on.
const TICKS_A_SECOND: f64 = 100.0;

/// What a process or a thread has spent so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    /// CPU seconds outside the kernel.
    pub(crate) user: f64,
    /// CPU seconds inside the kernel.
    pub(crate) kernel: f64,
    /// Context switches, voluntary or not.
    pub(crate) switches: u64,
}

/// What all threads have spent.
pub(crate) fn spent(id: u32) -> anyhow::Result<Spent> {
    let process = Path::new("/proc").join(id.to_string());
    let mut spent = spent_by(&process)?;
    spent.switches = 0;
    for thread in std::fs::read_dir(process.join("task"))? {
        // A thread may end meanwhile.
        spent.switches += spent_by(&thread?.path()).map_or(0, |thread| thread.switches);
    }
    Ok(spent)
}

/// What this thread has spent.
pub(crate) fn spent_by_this_thread() -> anyhow::Result<Spent> {
    spent_by(Path::new("/proc/thread-self"))
}

fn spent_by(folder: &Path) -> anyhow::Result<Spent> {
    let (stat, status) =
        (std::fs::read_to_string(folder.join("stat"))?, std::fs::read_to_string(folder.join("status"))?);
    let (_, [user, kernel]) = named_processor(&stat)?;
    let counts = status.lines().filter_map(|line| line.split_once("ctxt_switches:")).map(|(_, count)| count.trim());
    let switches = counts.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Spent { user, kernel, switches })
}

/// Resident memory, in bytes.
pub(crate) fn memory(id: u32) -> anyhow::Result<u64> {
    kilobytes(id, "VmRSS:")
}

/// Resident memory, in bytes. What several processes share is divided among them.
pub(crate) fn own_memory(id: u32) -> anyhow::Result<u64> {
    kilobytes_in(&Path::new("/proc").join(id.to_string()).join("smaps_rollup"), "Pss:")
}

/// Peak resident memory, in bytes.
pub(crate) fn peak_memory(id: u32) -> anyhow::Result<u64> {
    kilobytes(id, "VmHWM:")
}

/// The processes that this one has started and that run.
pub(crate) fn children(id: u32) -> anyhow::Result<Vec<u32>> {
    let listed = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
    listed.split_whitespace().map(|child| Ok(child.parse()?)).collect()
}

/// CPU seconds of all threads.
pub(crate) fn processor(id: u32) -> anyhow::Result<f64> {
    let (_, [user, kernel]) = named_processor(&std::fs::read_to_string(format!("/proc/{id}/stat"))?)?;
    Ok(user + kernel)
}

/// Seconds of CPU time so far, of this process's threads of that name.
pub(crate) fn own_threads(name: &str) -> anyhow::Result<f64> {
    let mut seconds = 0.0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        // A thread may end meanwhile.
        let Ok(stat) = std::fs::read_to_string(thread?.path().join("stat")) else { continue };
        let (of, [user, kernel]) = named_processor(&stat)?;
        seconds += if of == name { user + kernel } else { 0.0 };
    }
    Ok(seconds)
}

/// Seconds in which the machine's processors worked so far, all together.
pub(crate) fn machine() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let members: Vec<&str> = stat.lines().next().context("no processors")?.split_ascii_whitespace().collect();
    // user, nice, system, idle, iowait, irq, softirq, steal.
    let mut ticks = 0.0;
    for member in [1, 2, 3, 6, 7] {
        ticks += members.get(member).context("no times of the processors")?.parse::<f64>()?;
    }
    Ok(ticks / TICKS_A_SECOND)
}

/// The name in a `stat` file, and CPU seconds outside and inside the kernel.
fn named_processor(stat: &str) -> anyhow::Result<(&str, [f64; 2])> {
    // After the name, which may hold anything: the state, and eleven members later user and system time.
    let (name, members) = stat.rsplit_once(") ").context("no name")?;
    let name = name.split_once('(').context("no name")?.1;
    let members: Vec<&str> = members.split(' ').collect();
    let seconds = |at: usize| -> anyhow::Result<f64> {
        Ok(members.get(at).context("no times")?.parse::<f64>()? / TICKS_A_SECOND)
    };
    Ok((name, [seconds(11)?, seconds(12)?]))
}

/// Lets this process, and those that it starts, open this many files each.
pub(crate) fn allow_files(needed: u64) -> anyhow::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let limit = hard.max(needed);
    // Only root may raise the hard limit.
    setrlimit(Resource::RLIMIT_NOFILE, limit, limit).with_context(|| {
        format!("the limit of {hard} open files is below the {needed} that are needed: raise it (ulimit -n {needed})")
    })
}

fn kilobytes(id: u32, member: &str) -> anyhow::Result<u64> {
    kilobytes_in(&Path::new("/proc").join(id.to_string()).join("status"), member)
}

fn kilobytes_in(file: &Path, member: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(file)?;
    let line = status.lines().find_map(|line| line.strip_prefix(member)).with_context(|| format!("no {member}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
