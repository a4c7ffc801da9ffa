//! Process statistics from `/proc`.

use anyhow::Context as _;

/// The kernel's unit of CPU time: 100 ticks per second on every Linux that Rust runs on.
const TICKS_A_SECOND: f64 = 100.0;

/// Resident memory, in bytes.
pub(crate) fn memory(id: u32) -> anyhow::Result<u64> {
    kilobytes(id, "VmRSS:")
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
    Ok(named_processor(&std::fs::read_to_string(format!("/proc/{id}/stat"))?)?.1)
}

/// Seconds of CPU time so far, of this process's threads of that name.
pub(crate) fn own_threads(name: &str) -> anyhow::Result<f64> {
    let mut seconds = 0.0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        // A thread may end meanwhile.
        let Ok(stat) = std::fs::read_to_string(thread?.path().join("stat")) else { continue };
        let (of, took) = named_processor(&stat)?;
        seconds += if of == name { took } else { 0.0 };
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

/// The name in a `stat` file, and CPU seconds.
fn named_processor(stat: &str) -> anyhow::Result<(&str, f64)> {
    // After the name, which may hold anything: the state, and eleven members later user and system time.
    let (name, members) = stat.rsplit_once(") ").context("no name")?;
    let name = name.split_once('(').context("no name")?.1;
    let members: Vec<&str> = members.split(' ').collect();
    let ticks = members.get(11).context("no utime")?.parse::<f64>()? + members[12].parse::<f64>()?;
    Ok((name, ticks / TICKS_A_SECOND))
}

fn kilobytes(id: u32, member: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(member)).with_context(|| format!("no {member}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
