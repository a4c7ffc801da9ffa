//! Applies the word filter to a message: the deployment's and the room's lists, and the room's policy about matches.
//! The crate `words` knows how words are matched and disguised.

use std::path::{Path, PathBuf};

use chat::settings::WordPolicy;
use parking_lot::RwLock;
use serde::Deserialize;
use words::{Filter, List, Match};

use crate::moderation::rules::CurrentRules;
use crate::posting::extras::Extras;
use crate::posting::text::Text;

/// The section `[ingest.words]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordsConfig {
    /// The path of a list in place of the built-in one; empty: the built-in one.
    pub list: PathBuf,
    /// The path of a list that is added; empty: none.
    pub extra: PathBuf,
}

/// The compiled lists of the deployment.
#[derive(Debug)]
pub(crate) struct WordFilter {
    deployment: RwLock<Filter>,
}

/// What the word filter makes of a message that it does not reject.
#[derive(Debug)]
pub(crate) struct Judged {
    /// Masked if the policy says so.
    pub(crate) text: Text,
    /// The labels of the matches.
    pub(crate) flags: Vec<String>,
    /// Whether the message waits for a moderator.
    pub(crate) is_held: bool,
}

/// The text contains a word that the room rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disallowed;

impl WordsConfig {
    /// Err: which file is invalid, and where. The built-in list needs no check.
    pub(crate) fn check(&self) -> Result<(), String> {
        let has_files = [&self.list, &self.extra].into_iter().any(|file| !file.as_os_str().is_empty());
        if has_files { self.read().map(drop) } else { Ok(()) }
    }

    /// Reads the lists. Err: which file is invalid, and where.
    pub(crate) fn read(&self) -> Result<List, String> {
        let mut list =
            if self.list.as_os_str().is_empty() { List::built_in() } else { read("ingest.words.list", &self.list)? };
        if !self.extra.as_os_str().is_empty() {
            list.extend(read("ingest.words.extra", &self.extra)?);
        }
        Ok(list)
    }
}

impl WordFilter {
    /// Err: which list file is invalid, and where.
    pub(crate) fn new(config: &WordsConfig) -> Result<WordFilter, String> {
        Ok(WordFilter { deployment: RwLock::new(Filter::new(&config.read()?)) })
    }

    /// Reads and compiles the lists anew. It takes a part of a second. Err: as in `new`, and the old lists stay.
    pub(crate) fn reload(&self, config: &WordsConfig) -> Result<(), String> {
        let filter = Filter::new(&config.read()?);
        *self.deployment.write() = filter;
        Ok(())
    }

    /// Applies the room's policy. A masked word is no emote any more.
    pub(crate) fn judge(
        &self,
        text: Text,
        extras: Option<&mut Extras>,
        current: &CurrentRules,
    ) -> Result<Judged, Disallowed> {
        let policy = current.settings.word_policy;
        if policy == WordPolicy::Off {
            return Ok(Judged { text, flags: Vec::new(), is_held: false });
        }
        let mut found = self.deployment.read().find(text.as_str());
        if let Some(words) = &current.words {
            found.extend(words.find(text.as_str()));
            found.sort_by_key(|found| found.range.start);
        }
        if found.is_empty() {
            return Ok(Judged { text, flags: Vec::new(), is_held: false });
        }
        let text = match policy {
            WordPolicy::Reject => return Err(Disallowed),
            WordPolicy::Mask => {
                let joined = joined(&found);
                if let Some(extras) = extras {
                    extras.edit(text.as_str(), &text.mask_edits(&joined));
                }
                text.masked(&joined)
            }
            WordPolicy::Flag | WordPolicy::Hold | WordPolicy::Off => text,
        };
        Ok(Judged { text, flags: flags(&found), is_held: policy == WordPolicy::Hold })
    }
}

fn read(key: &str, path: &Path) -> Result<List, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{key}: {}: {error}", path.display()))?;
    List::parse(&text).map_err(|error| format!("{key}: {}: {error}", path.display()))
}

/// The labels of the matches, each once.
fn flags(found: &[Match]) -> Vec<String> {
    let mut flags: Vec<String> = found.iter().map(|found| found.label.to_string()).collect();
    flags.sort_unstable();
    flags.dedup();
    flags
}

/// Merges matches that overlap: two lists may match the same place.
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
