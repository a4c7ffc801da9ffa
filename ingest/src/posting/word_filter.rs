//! What becomes of a message by the words in it: the lists that are looked for, and the room's policy about what is
//! found. What a word is, and how it may be disguised, is the business of `words`.

use std::path::Path;

use words::{Filter, List, Match};

use crate::config::WordsConfig;
use crate::moderation::rules::Current;
use crate::moderation::settings::WordPolicy;
use crate::posting::text::Text;

/// The deployment's words, ready to be looked for.
#[derive(Debug)]
pub(crate) struct WordFilter {
    deployment: Filter,
}

/// The room rejects a word of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disallowed;

impl WordFilter {
    /// Err: which file is wrong, and where.
    pub(crate) fn new(config: &WordsConfig) -> Result<WordFilter, String> {
        let mut list = if config.list.as_os_str().is_empty() {
            List::built_in()
        } else {
            read("ingest.words.list", &config.list)?
        };
        if !config.extra.as_os_str().is_empty() {
            list.extend(read("ingest.words.extra", &config.extra)?);
        }
        Ok(WordFilter { deployment: Filter::new(&list) })
    }

    /// The text as it may be said, and what was found in it.
    pub(crate) fn judge(&self, text: Text, current: &Current) -> Result<(Text, Vec<String>), Disallowed> {
        let policy = current.settings.word_policy;
        if policy == WordPolicy::Off {
            return Ok((text, Vec::new()));
        }
        let mut found = self.deployment.find(text.as_str());
        if let Some(words) = &current.words {
            found.extend(words.find(text.as_str()));
            found.sort_by_key(|found| found.range.start);
        }
        if found.is_empty() {
            return Ok((text, Vec::new()));
        }
        match policy {
            WordPolicy::Reject => Err(Disallowed),
            WordPolicy::Mask => Ok((text.masked(&joined(&found)), flags(&found))),
            WordPolicy::Flag | WordPolicy::Off => Ok((text, flags(&found))),
        }
    }
}

fn read(key: &str, path: &Path) -> Result<List, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{key}: {}: {error}", path.display()))?;
    List::parse(&text).map_err(|error| format!("{key}: {}: {error}", path.display()))
}

/// What was found, each label once.
fn flags(found: &[Match]) -> Vec<String> {
    let mut flags: Vec<String> = found.iter().map(|found| found.label.to_string()).collect();
    flags.sort_unstable();
    flags.dedup();
    flags
}

/// Two lists may find the same place.
fn joined(found: &[Match]) -> Vec<Match> {
    let mut joined: Vec<Match> = Vec::new();
    for found in found {
        match joined.last_mut() {
            Some(last) if found.range.start < last.range.end => last.range.end = last.range.end.max(found.range.end),
            _ => joined.push(found.clone()),
        }
    }
    joined
}
