//! How much memory every process has, all the time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::history::{Recorder, What};
use crate::system::System;

/// Memory that is never given back is seen at any moment; what comes and goes within a second harms nobody.
const EVERY: Duration = Duration::from_secs(1);

/// Notes it until told to stop. A process that a fault has in hand is passed over.
pub(crate) async fn sample(system: &System, recorder: &Recorder, over: &CancellationToken) -> anyhow::Result<()> {
    while over.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        for part in &system.parts {
            let Ok(server) = part.server.try_lock() else { continue };
            // One that has just ended has no memory.
            let Some(kib) = server.id().and_then(resident_kib) else { continue };
            recorder.note(What::Memory { part: part.name.clone(), kib });
        }
    }
    Ok(())
}

/// What the kernel says of the process, where there is a `/proc`.
fn resident_kib(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    resident.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn our_own_memory_is_known_and_that_of_nobody_is_not() {
        assert!(resident_kib(std::process::id()).is_some_and(|kib| kib > 500));
        assert_eq!(resident_kib(u32::MAX), None);
    }
}
