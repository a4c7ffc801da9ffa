//! JetStream's disk: what is used and reserved, and what `setup` still has to reserve.

use nats::LogState;

use super::finding::Finding;
use super::monitoring::{Disk, Monitored};

const PART: &str = "storage";

/// From here on an operator should make space.
const NEARLY_FULL_PERCENT: u64 = 80;

/// The findings about the servers' disks and the account.
pub(super) fn findings(monitored: &[Monitored], state: Option<&LogState>) -> Vec<Finding> {
    let disks: Vec<(&str, Disk)> = monitored.iter().filter_map(|one| Some((one.url(), one.disk()?))).collect();
    let mut findings: Vec<Finding> = disks.iter().map(|(url, disk)| of_disk(url, disk)).collect();
    let Some(state) = state else { return findings };
    let free = disks.iter().map(|(_, disk)| disk.total.saturating_sub(disk.reserved)).sum();
    // Only a check of all servers knows the space.
    if !disks.is_empty() && disks.len() == monitored.len() && state.unreserved > free {
        findings.push(Finding::problem(
            PART,
            format!("setup has to reserve {}, and these servers have {} left", gib(state.unreserved), gib(free)),
            "add disk space, lower nats.max_size, or name every server's monitoring URL",
        ));
    }
    match &state.storage {
        Ok(nats::Storage { used, limit: Some(limit) }) if is_nearly_full(*used, *limit) => {
            let what = format!("the account uses {} of its {}", gib(*used), gib(*limit));
            findings.push(Finding::warning(PART, what, "raise the account's limit of JetStream storage"));
        }
        Ok(nats::Storage { used, limit }) => {
            let limit = limit.map(|limit| format!(" of its {}", gib(limit))).unwrap_or_default();
            findings.push(Finding::ok(PART, format!("the account uses {}{limit}", gib(*used))));
        }
        Err(error) => findings.push(Finding::warning(
            PART,
            format!("the account was not asked about: {}", web::with_sources(error)),
            "let this login ask for $JS.API.INFO",
        )),
    }
    findings
}

fn of_disk(url: &str, Disk { used, reserved, total }: &Disk) -> Finding {
    let what = format!("{url}: uses {} of {}, and has reserved {}", gib(*used), gib(*total), gib(*reserved));
    if is_nearly_full(*used, *total) {
        return Finding::warning(PART, what, "add disk space, or lower nats.max_size");
    }
    Finding::ok(PART, what)
}

pub(super) fn is_nearly_full(used: u64, total: u64) -> bool {
    total > 0 && percent(used, total) >= NEARLY_FULL_PERCENT
}

/// Rounded down. The total is not 0.
pub(super) fn percent(used: u64, total: u64) -> u64 {
    (u128::from(used) * 100 / u128::from(total)) as u64
}

/// Such as `1.5 GiB`, or with a smaller unit `12 KiB`.
pub(super) fn gib(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.into_iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) => format!("{:.1} {unit}", bytes as f64 / size as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_nearly_full_from_eighty_percent_on() {
        for (used, total, is_full) in [(79, 100, false), (80, 100, true), (0, 0, false), (u64::MAX, u64::MAX, true)] {
            assert_eq!(is_nearly_full(used, total), is_full, "{used} of {total}");
        }
        assert_eq!([gib(0), gib(1_536), gib(3 << 30)], ["0 B", "1.5 KiB", "3.0 GiB"]);
    }

    #[test]
    fn space_that_setup_cannot_reserve_is_a_problem() {
        let storage = Ok(nats::Storage { used: 0, limit: Some(1 << 40) });
        let state = LogState { streams: Vec::new(), clocks: Vec::new(), storage, unreserved: 2 << 30 };
        let problems = |total| {
            let monitored = [Monitored::with_disk(Disk { used: 0, reserved: 0, total })];
            findings(&monitored, Some(&state)).into_iter().filter(|finding| finding.action.is_some()).count()
        };
        assert_eq!((problems(1 << 30), problems(2 << 30)), (1, 0));
        assert_eq!(findings(&[], Some(&state)).len(), 1, "without a server only the account is known");
    }
}
