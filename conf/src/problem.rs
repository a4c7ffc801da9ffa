//! Problems of settings. A section reports all its problems, not only the first.

use std::fmt;
use std::ops::RangeInclusive;

/// A setting that has to be corrected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The whole key, such as `nats.partitions`.
    pub key: String,
    /// What is wrong and what to do, to follow the key: "must be 1 to 1024".
    pub reason: String,
}

/// The problems of one section.
#[derive(Debug, Clone)]
pub struct Problems {
    section: &'static str,
    found: Vec<Problem>,
}

impl Problem {
    /// A problem of the setting with this whole key.
    pub fn new(key: impl Into<String>, reason: impl Into<String>) -> Problem {
        Problem { key: key.into(), reason: reason.into() }
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { key, reason } = self;
        if key.is_empty() { f.write_str(reason) } else { write!(f, "{key}: {reason}") }
    }
}

/// From a sentence that begins with the key: `ingest.room: …` or `auth.secret is required …`.
impl From<String> for Problem {
    fn from(sentence: String) -> Problem {
        let end = sentence.find([' ', ':']).unwrap_or(0);
        let (key, reason) = sentence.split_at(end);
        if key.contains('.') {
            Problem::new(key, reason.trim_start_matches(':').trim_start())
        } else {
            Problem::new("", sentence)
        }
    }
}

impl Problems {
    /// An empty list for the section of that name.
    pub fn of(section: &'static str) -> Problems {
        Problems { section, found: Vec::new() }
    }

    /// Adds a problem unless `holds`.
    pub fn require(&mut self, holds: bool, key: &str, reason: impl Into<String>) {
        if !holds {
            self.found.push(Problem::new(format!("{}.{key}", self.section), reason));
        }
    }

    /// Adds a problem unless the value is within the bounds.
    pub fn within<T: PartialOrd + fmt::Display>(&mut self, key: &str, value: T, bounds: RangeInclusive<T>) {
        self.require(bounds.contains(&value), key, format!("must be {} to {}", bounds.start(), bounds.end()));
    }

    /// Adds a problem if the value is less than the minimum.
    pub fn at_least<T: PartialOrd + fmt::Display>(&mut self, key: &str, value: T, least: T) {
        self.require(value >= least, key, format!("must be at least {least}"));
    }

    /// All problems.
    pub fn found(self) -> Vec<Problem> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Size, Span};

    #[test]
    fn every_problem_of_a_section_is_listed_with_its_key() {
        let mut problems = Problems::of("nats");
        problems.within("append_deadline", Span::from_secs(90), Span::from_millis(100)..=Span::from_secs(60));
        problems.at_least("max_size", Size::from_kib(1), Size::from_kib(512));
        problems.at_least("append_queue", 1, 1);
        let listed: Vec<String> = problems.found().iter().map(Problem::to_string).collect();
        assert_eq!(listed, ["nats.append_deadline: must be 100ms to 1m", "nats.max_size: must be at least 512 KiB"]);
    }

    #[test]
    fn a_message_that_begins_with_a_key_is_a_problem_of_that_key() {
        let problem = |sentence: &str| Problem::from(sentence.to_owned());
        assert_eq!(problem("auth.secret is required: set it"), Problem::new("auth.secret", "is required: set it"));
        assert_eq!(problem("ingest.room: maxLength is 0"), Problem::new("ingest.room", "maxLength is 0"));
        assert_eq!(problem("no key: here"), Problem::new("", "no key: here"));
    }
}
