//! A finding, and the report of all findings: a table with a line each, or JSON.

use std::fmt;

use serde::Serialize;

use crate::terminal::printable;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// It works, and an operator should look.
    Warning,
    /// It does not work, or it breaks a promise.
    Problem,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// The part that was checked.
    pub(super) part: &'static str,
    /// What was found.
    pub(super) what: String,
    /// What to do. None: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<String>,
}

/// All findings. As JSON: `{"problems": 0, "warnings": 1, "findings": [{"level", "part", "what", "action"?}]}`.
#[derive(Debug, Serialize)]
pub(super) struct CheckReport {
    problems: usize,
    warnings: usize,
    findings: Vec<Finding>,
}

impl Finding {
    pub(super) fn ok(part: &'static str, what: impl Into<String>) -> Finding {
        Finding { level: Level::Ok, part, what: what.into(), action: None }
    }

    pub(super) fn warning(part: &'static str, what: impl Into<String>, action: impl Into<String>) -> Finding {
        Finding { level: Level::Warning, part, what: what.into(), action: Some(action.into()) }
    }

    pub(super) fn problem(part: &'static str, what: impl Into<String>, action: impl Into<String>) -> Finding {
        Finding { level: Level::Problem, part, what: what.into(), action: Some(action.into()) }
    }
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Problem => "problem",
        }
    }
}

impl CheckReport {
    pub(super) fn of(findings: Vec<Finding>) -> CheckReport {
        let count = |level| findings.iter().filter(|finding| finding.level == level).count();
        CheckReport { problems: count(Level::Problem), warnings: count(Level::Warning), findings }
    }

    pub(super) fn has_problems(&self) -> bool {
        self.problems > 0
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report has only text and numbers")
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.findings.iter().map(|finding| finding.part.len()).max().unwrap_or(0);
        for Finding { level, part, what, action } in &self.findings {
            write!(f, "{:<7}  {part:<widest$}  {}", level.name(), printable(what))?;
            match action {
                Some(action) => writeln!(f, ". {}", printable(&capitalized(action)))?,
                None => writeln!(f)?,
            }
        }
        writeln!(f, "problems: {}, warnings: {}", self.problems, self.warnings)
    }
}

/// With an upper-case first letter.
fn capitalized(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_of_the_table_and_cannot_disturb_a_terminal() {
        let report = CheckReport::of(vec![
            Finding::ok("nats", "nats://one:4222: nats-server 2.15.1"),
            Finding::problem("room server", "it says \u{1b}[2J\nnothing", "start it"),
        ]);
        let expected = "ok       nats         nats://one:4222: nats-server 2.15.1\n\
                        problem  room server  it says \\u{1b}[2J\\nnothing. Start it\n\
                        problems: 1, warnings: 0\n";
        assert_eq!(report.to_string(), expected);
        assert!(report.has_problems());
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!((&json["problems"], &json["findings"][1]["action"]), (&1.into(), &"start it".into()));
        assert_eq!(json["findings"][0].get("action"), None);
    }
}
