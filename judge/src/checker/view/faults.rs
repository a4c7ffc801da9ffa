//! Faults, and what they excuse.

use super::View;

/// A fault, from its injection to its end.
#[derive(Debug)]
pub(crate) struct Fault<'a> {
    pub(crate) begins: usize,
    pub(crate) heals: Option<usize>,
    pub(crate) kind: &'a str,
    pub(crate) parts: &'a [String],
}

impl Fault<'_> {
    /// Whether the fault affects one of the parts. A prefix such as `ingest` means every part of that kind.
    pub(crate) fn touches(&self, parts: &[&str]) -> bool {
        self.parts.iter().any(|part| parts.iter().any(|asked| part.starts_with(asked)))
    }
}

impl View<'_> {
    /// Whether a fault affected one of the parts between two times, or ended less than `settle` microseconds before.
    pub(crate) fn disturbed(&self, parts: &[&str], from: u64, to: u64, settle: u64) -> bool {
        self.faulty(from, to, settle, |fault| fault.touches(parts))
    }

    /// The same for the faults that `counts` selects.
    pub(crate) fn faulty(&self, from: u64, to: u64, settle: u64, counts: impl Fn(&Fault) -> bool) -> bool {
        self.faults.values().filter(|fault| counts(fault)).any(|fault| {
            let healed = self.healed(fault).saturating_add(settle);
            self.at(fault.begins) <= to && from <= healed
        })
    }

    /// When the fault ended.
    pub(crate) fn healed(&self, fault: &Fault) -> u64 {
        fault.heals.map_or(u64::MAX, |line| self.at(line))
    }
}

/// 10 s: after a fault a dead connection is detected, restored, and read from where it was.
pub(crate) const SETTLE_US: u64 = 10_000_000;
