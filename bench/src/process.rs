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

/// CPU seconds of all threads.
pub(crate) fn processor(id: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name may contain anything. After it comes the state, and eleven members later the user and system time.
    let (_, members) = stat.rsplit_once(") ").context("no name")?;
    let members: Vec<&str> = members.split(' ').collect();
    let ticks: f64 = members.get(11).context("no utime")?.parse::<f64>()? + members[12].parse::<f64>()?;
    Ok(ticks / TICKS_A_SECOND)
}

fn kilobytes(id: u32, member: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(member)).with_context(|| format!("no {member}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
