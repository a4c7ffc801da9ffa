//! The report of a play.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use chat::{EventId, Position};

/// Counts and problems. Without problems, every accepted message was found once, as sent and in order, in both places.
#[derive(Debug, Default)]
pub struct Report {
    /// Posts with a 2xx.
    pub accepted: usize,
    /// Refused posts by reason.
    pub refused: BTreeMap<String, usize>,
    /// The lines of the recording, by reason.
    pub(super) refused_lines: BTreeMap<String, Vec<usize>>,
    /// Posts of unknown outcome, by their last answer.
    pub unknown: BTreeMap<String, usize>,
    /// Accepted messages that reached their presenter.
    pub delivered: usize,
    /// Accepted messages in the archive.
    pub archived: usize,
    /// Repeated frames after a reconnect, recognised by their id.
    pub repeated: usize,
    /// How long posting took.
    pub posting: Duration,
    /// One sentence per problem.
    pub problems: Vec<String>,
    /// The archive's position of each accepted message.
    pub(super) places: HashMap<EventId, Position>,
}

/// The maximum of line numbers that are printed for a reason.
const NAMED_LINES: usize = 10;

/// The maximum of problems that are printed.
const SHOWN_PROBLEMS: usize = 20;

impl Report {
    /// Whether no problem was found.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty() && self.delivered == self.accepted && self.archived == self.accepted
    }

    /// Such as ` (lines 3, 17)`.
    fn lines(&self, reason: &str) -> String {
        let Some(lines) = self.refused_lines.get(reason) else { return String::new() };
        let mut lines = lines.clone();
        lines.sort_unstable();
        let more = if lines.len() > NAMED_LINES { ", …" } else { "" };
        let named: Vec<String> = lines.iter().take(NAMED_LINES).map(ToString::to_string).collect();
        format!(" (line{} {}{more})", if lines.len() == 1 { "" } else { "s" }, named.join(", "))
    }

    pub(super) fn problem(&mut self, sentence: String) {
        self.problems.push(sentence);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.posting.as_secs_f64();
        let rate = self.accepted as f64 / seconds.max(0.001);
        writeln!(f, "accepted   {} in {seconds:.1} s, {rate:.0} a second", self.accepted)?;
        writeln!(f, "refused    {}", self.refused.values().sum::<usize>())?;
        for (reason, count) in &self.refused {
            writeln!(f, "             {count} × {reason}{}", self.lines(reason))?;
        }
        writeln!(f, "unknown    {}", self.unknown.values().sum::<usize>())?;
        for (reason, count) in &self.unknown {
            writeln!(f, "             {count} × {reason}")?;
        }
        writeln!(f, "delivered  {} ({} repeated after a reconnect)", self.delivered, self.repeated)?;
        writeln!(f, "archived   {}", self.archived)?;
        for problem in self.problems.iter().take(SHOWN_PROBLEMS) {
            writeln!(f, "problem: {problem}")?;
        }
        if self.problems.len() > SHOWN_PROBLEMS {
            writeln!(f, "and {} more problems", self.problems.len() - SHOWN_PROBLEMS)?;
        }
        if self.is_sound() {
            write!(
                f,
                "every accepted message was found once and in order, on the presenter's socket and in the archive"
            )
        } else {
            write!(f, "some accepted messages are missing or wrong")
        }
    }
}
