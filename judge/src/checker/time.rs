//! Recovery: after the last fault everything accepted reaches its places within a bound.

use super::Findings;
use super::view::{Fault, View};
use crate::history::Phase;

pub(super) fn drains_in_time(view: &View, findings: &mut Findings) {
    let line = |wanted: Phase| view.phases.iter().find(|(phase, _)| *phase == wanted).map(|(_, line)| *line);
    let Some(healed) = line(Phase::Healed) else { return };
    findings.look();
    if let Some(late) = line(Phase::NotDrained) {
        let took = (view.at(late) - view.at(healed)) / 1_000_000;
        let sentence = format!("{took} s after the last fault, not everything accepted had reached its places");
        findings.broken(sentence, [healed, late]);
    } else if line(Phase::Drained).is_none() {
        findings.broken("the run ended before everything accepted had reached its places".to_owned(), [healed]);
    }
    // A process that ended by itself is restarted during the wait.
    let end = line(Phase::Drained).unwrap_or(usize::MAX);
    let until = |fault: &Fault| if fault.kind.contains("by itself") { end } else { healed };
    for fault in view.faults.values().filter(|fault| fault.heals.is_none_or(|heals| heals > until(fault))) {
        findings.broken(format!("`{}` was not over when the wait began", fault.kind), [fault.begins, healed]);
    }
}
