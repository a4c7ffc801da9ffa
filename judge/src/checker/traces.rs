//! Traces: "acknowledged" is said only of what a page has received and acknowledged, "archived" only of what is in the
//! archive, and "deleted" only of what a decision of the log deletes.

use super::Findings;
use super::view::View;
use crate::history::Dialect;

/// What a trace says of a message that the presenter's page has acknowledged.
const ACKNOWLEDGED: &str = "acknowledged";

pub(super) fn traces_are_true(view: &View, findings: &mut Findings) {
    for trace in &view.messages.traces {
        let logged = view.logged.get(&trace.id).map(|(_, place)| place);
        // After a loss, positions and acknowledgements may be of another epoch.
        let Some(logged) = logged.filter(|_| view.lost.is_empty()) else { continue };
        findings.look();
        let lines = [logged.line, trace.line];
        if trace.position != logged.position {
            findings.broken(format!("the trace of {} has another position than the log", trace.id), lines);
        }
        let is_erased = view.may_be_an_erased_one(logged);
        if trace.archived && trace.found == Some(false) && !is_erased {
            findings.broken(format!("the trace of {} says archived, and MongoDB did not have it", trace.id), lines);
        }
        let deletes = |decision| {
            let mut changes = view.changes(trace.id).iter().filter(|change| change.requested < trace.line);
            changes.any(|change| change.deletes() && change.decision() == decision)
        };
        if trace.deleted.is_some_and(|decision| !deletes(decision)) {
            let sentence = format!("the trace of {} names a decision that does not delete it", trace.id);
            findings.broken(sentence, lines);
        }
        if trace.presenter != ACKNOWLEDGED || is_erased {
            continue;
        }
        let mut acknowledged = view.messages.acknowledged.get(&trace.room).into_iter().flatten();
        let is_acknowledged = acknowledged.any(|(line, to)| *line < trace.line && *to >= trace.position);
        let mut sessions =
            view.sessions.iter().filter(|session| session.room == trace.room && session.dialect == Dialect::V1);
        let is_received =
            sessions.any(|session| session.frames.iter().any(|frame| frame.id == trace.id && frame.line < trace.line));
        if !is_acknowledged || !is_received {
            let missing = if is_received { "acknowledged it" } else { "received it" };
            let sentence = format!("the trace of {} says acknowledged, and no page had {missing}", trace.id);
            findings.broken(sentence, lines);
        }
    }
}
