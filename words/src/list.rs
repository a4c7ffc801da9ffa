//! Parses lists of words and combines them. `docs/reference/word-filter.md` and the top of `lists/ko.txt` describe the
//! format.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::pattern::{Language, Options, Pattern, language_of};

/// Words with their labels, and the contexts that permit them.
#[derive(Debug, Clone, Default)]
pub struct List {
    pub(crate) words: Vec<(Pattern, Arc<str>)>,
    pub(crate) allowed: Vec<Pattern>,
    /// No context permits the words inside one of these, unless the context is longer.
    pub(crate) excepted: Vec<Pattern>,
    /// Words by which a text shows its language.
    pub(crate) languages: BTreeMap<Language, BTreeSet<String>>,
    dropped: BTreeSet<String>,
    /// Labels that are off unless they are wanted.
    off: BTreeSet<String>,
    wanted: BTreeSet<String>,
}

/// A line that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with the line.
    pub what: String,
}

impl List {
    /// The built-in list: Korean and English.
    #[must_use]
    pub fn built_in() -> List {
        let mut list = List::default();
        for text in [include_str!("../lists/ko.txt"), include_str!("../lists/en.txt")] {
            list.extend(List::parse(text).expect("a test parses the built-in lists"));
        }
        list
    }

    /// Parses a list.
    ///
    /// # Errors
    /// The first line that cannot be parsed.
    pub fn parse(text: &str) -> Result<List, ParseError> {
        let mut list = List::default();
        let mut label = None;
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            list.parse_line(line, &mut label).map_err(|what| ParseError { line: at + 1, what })?;
        }
        Ok(list)
    }

    /// Adds the words, contexts and languages of another list, removes the labels that it drops, and turns on those
    /// that it wants.
    pub fn extend(&mut self, other: List) {
        self.words.retain(|(_, label)| !other.dropped.contains(label.as_ref()));
        self.words.extend(other.words);
        self.allowed.extend(other.allowed);
        self.excepted.extend(other.excepted);
        for (language, words) in other.languages {
            self.languages.entry(language).or_default().extend(words);
        }
        self.dropped.extend(other.dropped);
        self.off.extend(other.off);
        self.wanted.extend(other.wanted);
    }

    /// The words whose labels are on.
    pub(crate) fn looked_for(&self) -> impl Iterator<Item = &(Pattern, Arc<str>)> {
        let is_off = |label: &str| self.off.contains(label) && !self.wanted.contains(label);
        self.words.iter().filter(move |(_, label)| !is_off(label))
    }

    /// The labels that are on and have words.
    #[must_use]
    pub fn labels(&self) -> BTreeSet<&str> {
        self.looked_for().map(|(_, label)| label.as_ref()).collect()
    }

    fn parse_line(&mut self, line: &str, label: &mut Option<Arc<str>>) -> Result<(), String> {
        if line.is_empty() {
            return Ok(());
        }
        if let Some(name) = line.strip_prefix("label:") {
            let (name, is_off) = match name.trim().strip_suffix("(off)") {
                Some(name) => (name, true),
                None => (name, false),
            };
            let name = parse_label(name)?;
            if is_off {
                self.off.insert(name.clone());
            }
            *label = Some(name.into());
            return Ok(());
        }
        if let Some(names) = line.strip_prefix("want:") {
            for name in names.split_whitespace() {
                self.wanted.insert(parse_label(name)?);
            }
            return Ok(());
        }
        if let Some(words) = line.strip_prefix("language:") {
            let mut words = words.split_whitespace();
            let language = language_of(words.next().unwrap_or_default())?;
            self.languages.entry(language).or_default().extend(words.map(str::to_lowercase));
            return Ok(());
        }
        if let Some(names) = line.strip_prefix("drop:") {
            for name in names.split_whitespace() {
                self.dropped.insert(parse_label(name)?);
            }
            return Ok(());
        }
        if let Some(words) = line.strip_prefix("allow:") {
            let (words, options) = parse_options(words)?;
            for word in words.split_whitespace() {
                self.allowed.extend(Pattern::parse(word, options)?);
            }
            return Ok(());
        }
        if let Some(words) = line.strip_prefix("except:") {
            let (words, options) = parse_options(words)?;
            for word in words.split_whitespace() {
                self.excepted.extend(Pattern::parse(word, options)?);
            }
            return Ok(());
        }
        let label = label.as_ref().ok_or("a word comes before the first `label:`")?;
        let (words, options) = parse_options(line)?;
        for word in words.split_whitespace() {
            let patterns = Pattern::parse(word, options)?;
            self.words.extend(patterns.into_iter().map(|pattern| (pattern, Arc::clone(label))));
        }
        Ok(())
    }
}

/// Labels become `flags` of events, which other programs read.
fn parse_label(name: &str) -> Result<String, String> {
    let name = name.trim();
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    if name.is_empty() || name.len() > 32 || !name.chars().all(is_plain) {
        return Err(format!("`{name}` is no label: up to 32 of a-z, 0-9, `.` and `-`, as in ko.abuse"));
    }
    Ok(name.to_owned())
}

/// `word word (open, joined)`.
fn parse_options(line: &str) -> Result<(&str, Options), String> {
    let mut options = Options::default();
    let Some((words, rest)) = line.split_once('(') else { return Ok((line, options)) };
    let names = rest.strip_suffix(')').ok_or("options end the line: `(open, joined)`")?;
    for name in names.split(',') {
        options.set(name.trim())?;
    }
    Ok((words, options))
}
