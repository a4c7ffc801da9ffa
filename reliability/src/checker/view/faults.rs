//! What was broken when, and so what can be excused.

use super::View;

/// Something broken, from when to when.
#[derive(Debug)]
pub(crate) struct Fault<'a> {
    pub(crate) begins: usize,
    pub(crate) heals: Option<usize>,
    pub(crate) kind: &'a str,
    pub(crate) parts: &'a [String],
}

impl Fault<'_> {
    /// Whether it is about one of the parts, or one of all whose names begin so.
    pub(crate) fn touches(&self, parts: &[&str]) -> bool {
        self.parts.iter().any(|part| parts.iter().any(|asked| part.starts_with(asked)))
    }
}

impl View<'_> {
    /// Whether one of the parts was broken at some moment from one time to another, or so lately before, less than
    /// `settle` microseconds, that it may not have recovered.
    pub(crate) fn disturbed(&self, parts: &[&str], from: u64, to: u64, settle: u64) -> bool {
        self.faulty(from, to, settle, |fault| fault.touches(parts))
    }

    /// The same of the faults that count.
    pub(crate) fn faulty(&self, from: u64, to: u64, settle: u64, counts: impl Fn(&Fault) -> bool) -> bool {
        self.faults.values().filter(|fault| counts(fault)).any(|fault| {
            let healed = self.healed(fault).saturating_add(settle);
            self.at(fault.begins) <= to && from <= healed
        })
    }

    /// When it was whole again.
    pub(crate) fn healed(&self, fault: &Fault) -> u64 {
        fault.heals.map_or(u64::MAX, |line| self.at(line))
    }
}

/// 10 s: after a fault a connection is noticed to be dead, made again, and read from where it was.
pub(crate) const SETTLE_US: u64 = 10_000_000;
