//! A compiled list: finds the words of a text and leaves out those that a context permits.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use crate::judge::Alphabet;
use crate::list::List;
use crate::pattern::{Language, Pattern};
use crate::reading::{Buffers, Reading};
use crate::sign::is_alphanumeric;
use crate::stream::Stream;
pub(crate) use automaton::Entry;
use automaton::{Automaton, Builder};
use prefilter::Beginnings;
use spans::{Span, Spans};
use streams::Streams;

mod automaton;
mod prefilter;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod slow;
mod spans;
mod streams;
#[cfg(test)]
mod tests;

/// Finds the words of a list. Immutable: share one between threads.
#[derive(Debug)]
pub struct Filter {
    /// The words, by [`Alphabet`].
    words: [Automaton; 4],
    beginnings: Beginnings,
    /// Contexts and exceptions. Searched only in a text that has one of the words.
    contexts: [Automaton; 4],
    labels: Vec<Arc<str>>,
    /// For each language that a context asks for, the words that show it.
    languages: Vec<(Language, BTreeSet<String>)>,
}

/// A place in a text where a word was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Bytes of the text: whole graphemes.
    pub range: Range<usize>,
    /// The word's label in the list.
    pub label: Arc<str>,
}

/// The label of a room's own words.
const ROOM: &str = "room";

/// The memory of a search, reused by the next one on the same thread: a search that finds nothing allocates nothing.
#[derive(Debug, Default)]
struct Scratch {
    buffers: Buffers,
    streams: Streams,
}

/// 8 KB: the longest text of a message. What a longer one needs is freed after its search.
const LONGEST_KEPT: usize = 8 * 1024;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Filter {
    /// Compiles a list.
    #[must_use]
    pub fn new(list: &List) -> Filter {
        let mut labels: Vec<Arc<str>> = Vec::new();
        let words = list.looked_for().map(|(pattern, label)| {
            let at = labels.iter().position(|known| known == label).unwrap_or_else(|| {
                labels.push(Arc::clone(label));
                labels.len() - 1
            });
            (pattern, Entry::Word(at as u16))
        });
        let contexts = list.allowed.iter().map(|pattern| (pattern, Entry::Context));
        let exceptions = list.excepted.iter().map(|pattern| (pattern, Entry::Exception));
        let words = Builder::new(words);
        let (beginnings, words) = (words.beginnings(), words.build(true));
        let contexts = Builder::new(contexts.chain(exceptions)).build(false);
        let languages = list.languages.clone().into_iter().collect();
        Filter { words, beginnings, contexts, labels, languages }
    }

    /// Compiles a room's own words, under the label `room`. A Korean word is found inside other words, because
    /// particles follow it; any other is found whole. A word without letters or symbols finds nothing.
    #[must_use]
    pub fn with_words(words: &[String]) -> Filter {
        let patterns: Vec<Pattern> = words.iter().map(|word| Pattern::room(word)).collect();
        let words = Builder::new(patterns.iter().map(|pattern| (pattern, Entry::Word(0))));
        let (beginnings, words) = (words.beginnings(), words.build(false));
        let labels = vec![ROOM.into()];
        Filter { words, beginnings, contexts: Default::default(), labels, languages: Vec::new() }
    }

    /// Whether no text can have a match: all words of a room were only punctuation.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(Automaton::is_empty)
    }

    /// The matches in the text, in order. They do not overlap.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Match> {
        if !self.may_match(text) {
            return Vec::new();
        }
        if text.len() > LONGEST_KEPT {
            return self.find_with(text, &mut Scratch::default());
        }
        SCRATCH.with_borrow_mut(|scratch| self.find_with(text, scratch))
    }

    /// False: the text has no match.
    pub(crate) fn may_match(&self, text: &str) -> bool {
        prefilter::may_match(&self.words, &self.beginnings, text)
    }

    fn find_with(&self, text: &str, scratch: &mut Scratch) -> Vec<Match> {
        let reading = Reading::with_buffers(text, std::mem::take(&mut scratch.buffers));
        let matches = self.search(&reading, &mut scratch.streams);
        scratch.buffers = reading.into_buffers();
        matches
    }

    fn search(&self, reading: &Reading<'_>, streams: &mut Streams) -> Vec<Match> {
        streams.read(reading);
        if self.words[Alphabet::Mixed as usize].may_occur_in(reading.seen) {
            streams.read_mixed(reading);
        }
        let mut candidates = Vec::new();
        for (alphabet, stream) in streams.iter() {
            self.words[alphabet as usize].search(reading, stream, |word, first, last| {
                if let Entry::Word(label) = word.entry {
                    candidates.push(Span { first, last, label });
                }
            });
        }
        if candidates.is_empty() {
            return Vec::new();
        }
        if self.contexts[Alphabet::Mixed as usize].may_occur_in(reading.seen) {
            streams.read_mixed(reading);
        }
        self.matches(reading, self.spans(reading, streams.iter(), candidates))
    }

    /// The candidates that no context permits.
    fn spans<'s>(
        &self,
        reading: &Reading<'_>,
        streams: impl Iterator<Item = (Alphabet, &'s Stream)>,
        candidates: Vec<Span>,
    ) -> Vec<Span> {
        let mut spans = Spans::new(reading.units());
        let mut spoken = None;
        for (alphabet, stream) in streams {
            self.contexts[alphabet as usize].search(reading, stream, |word, first, last| match word.entry {
                Entry::Exception => spans.except(first, last),
                Entry::Context | Entry::Word(_) => {
                    let is_of_text = |language| {
                        let spoken = spoken.get_or_insert_with(|| self.languages_of(reading.text()));
                        spoken.contains(&language)
                    };
                    if word.language().is_none_or(is_of_text) {
                        spans.allow(first, last);
                    }
                }
            });
        }
        spans.without_contexts(candidates)
    }

    /// The languages that the words of a text show.
    fn languages_of(&self, text: &str) -> Vec<Language> {
        let mut spoken = Vec::new();
        for word in text.split(|c| !is_alphanumeric(c)).filter(|word| !word.is_empty()) {
            let word = word.to_lowercase();
            let shown = self.languages.iter().filter(|(_, words)| words.contains(&word));
            spoken.extend(shown.map(|(language, _)| language));
        }
        spoken
    }

    fn matches(&self, reading: &Reading<'_>, spans: Vec<Span>) -> Vec<Match> {
        let found = |span: Span| Match {
            range: reading.bytes(span.first, span.last),
            label: Arc::clone(&self.labels[usize::from(span.label)]),
        };
        spans.into_iter().map(found).collect()
    }
}

/// The text with every grapheme of a match as `*`, and the rest unchanged.
#[must_use]
pub fn mask(text: &str, matches: &[Match]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for found in matches {
        masked.push_str(&text[end..found.range.start]);
        masked.extend(text[found.range.clone()].graphemes(true).map(|_| '*'));
        end = found.range.end;
    }
    masked.push_str(&text[end..]);
    masked
}
