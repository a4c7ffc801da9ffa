//! Samples the memory of every process.

use std::time::Duration;

use judge::history::{Observation, Recorder};
use tokio_util::sync::CancellationToken;

use crate::system::System;

/// 1 s: memory that is never freed shows at any time, and shorter peaks are harmless.
const EVERY: Duration = Duration::from_secs(1);

/// Records memory until the stop. Skips processes that a fault holds.
pub(crate) async fn sample(system: &System, recorder: &Recorder, over: &CancellationToken) -> anyhow::Result<()> {
    while over.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        for part in &system.parts {
            let Ok(server) = part.server.try_lock() else { continue };
            // A process that has just ended has no memory.
            let Some(kib) = server.id().and_then(resident_kib) else { continue };
            recorder.note(Observation::Memory { part: part.name.clone(), kib });
        }
    }
    Ok(())
}

/// The resident set from `/proc`, if there is one.
fn resident_kib(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    resident.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_running_process_is_known_and_of_no_other() {
        assert!(resident_kib(std::process::id()).is_some_and(|kib| kib > 500));
        assert_eq!(resident_kib(u32::MAX), None);
    }
}
