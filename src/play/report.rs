//! What a play found.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use chat::{EventId, Position};

/// Figures and findings. Without problems, everything accepted was found once, as sent and in order, on both sides.
#[derive(Debug, Default)]
pub struct Report {
    /// Messages with a 2xx.
    pub accepted: usize,
    /// Messages refused for good, by reason.
    pub refused: BTreeMap<String, usize>,
    /// Which lines of the recording these are.
    pub(super) refused_lines: BTreeMap<String, Vec<usize>>,
    /// Messages without a clear answer, by the last one.
    pub unknown: BTreeMap<String, usize>,
    /// Accepted messages that reached their presenter.
    pub delivered: usize,
    /// Accepted messages in the archive.
    pub archived: usize,
    /// Frames that a presenter got again after a reconnect, and recognised by their id.
    pub repeated: usize,
    /// How long the posting took.
    pub posting: Duration,
    /// What must not be, each in a sentence.
    pub problems: Vec<String>,
    /// Where each accepted message stands in the archive.
    pub(super) places: HashMap<EventId, Position>,
}

/// So many lines that were refused for the same reason are named.
const NAMED_LINES: usize = 10;

/// So many problems are printed; the rest is counted.
const SHOWN_PROBLEMS: usize = 20;

impl Report {
    /// Whether everything accepted is where it must be.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty() && self.delivered == self.accepted && self.archived == self.accepted
    }

    /// ` (lines 3, 17)`
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
            writeln!(f, "and {} problems more", self.problems.len() - SHOWN_PROBLEMS)?;
        }
        if self.is_sound() {
            write!(
                f,
                "every accepted message was found once and in order, on the presenter's socket and in the archive"
            )
        } else {
            write!(f, "not everything accepted is where it must be")
        }
    }
}
