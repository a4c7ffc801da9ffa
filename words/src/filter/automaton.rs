//! An Aho-Corasick automaton for each alphabet.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::judge::{Alphabet, Word};
use crate::pattern::Pattern;
use crate::reading::{Reading, Seen};
use crate::stream::{MASKED, Stream, hangul, latin, leet, mixed};

/// What a pattern of an automaton is in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A word, by its label.
    Word(u16),
    /// Permits the words inside it.
    Context,
    /// Keeps a context from permitting the words inside it, unless the context is longer.
    Exception,
}

/// Finds the patterns of one alphabet.
#[derive(Debug, Default)]
pub(super) struct Automaton {
    /// None: no patterns.
    search: Option<AhoCorasick>,
    words: Vec<Word>,
    /// The kinds of letters of each pattern, without duplicates.
    letters: Vec<Seen>,
}

/// In symbols of all patterns. Of one symbol, a DFA takes up to 256 bytes: 12 MB at most, and 4 MB for the built-in list.
const LARGEST_DFA: usize = 50_000;

/// The patterns of the four automata.
#[derive(Default)]
pub(super) struct Builder {
    patterns: [Patterns; 4],
}

#[derive(Default)]
struct Patterns {
    symbols: Vec<Vec<u8>>,
    words: Vec<Word>,
    letters: Vec<Seen>,
}

impl Automaton {
    pub(super) fn is_empty(&self) -> bool {
        self.search.is_none()
    }

    /// Whether some pattern has only letters of kinds that a text has.
    pub(super) fn may_occur_in(&self, seen: Seen) -> bool {
        self.letters.iter().any(|letters| seen.has(*letters))
    }

    /// Passes on every pattern in the stream that is the word, with its first and last grapheme.
    pub(super) fn search(&self, reading: &Reading<'_>, stream: &Stream, mut found: impl FnMut(&Word, u32, u32)) {
        let Some(search) = &self.search else { return };
        for candidate in search.find_overlapping_iter(&stream.symbols) {
            let word = &self.words[candidate.pattern().as_usize()];
            if let Some((first, last)) = word.judge(reading, stream, candidate.end()) {
                found(word, first, last);
            }
        }
    }

    /// The number of candidates that a search judges.
    #[cfg(test)]
    pub(super) fn candidates(&self, stream: &Stream) -> usize {
        self.search.as_ref().map_or(0, |search| search.find_overlapping_iter(&stream.symbols).count())
    }
}

impl Builder {
    pub(super) fn new<'p>(patterns: impl IntoIterator<Item = (&'p Pattern, Entry)>) -> Builder {
        let mut builder = Builder::default();
        patterns.into_iter().for_each(|(pattern, entry)| builder.add_pattern(pattern, entry));
        builder
    }

    /// The automata, by [`Alphabet`]. `is_hot`: searched in every text, so that speed matters more than memory.
    pub(super) fn build(self, is_hot: bool) -> [Automaton; 4] {
        self.patterns.map(|Patterns { symbols, words, letters }| {
            let is_small = symbols.iter().map(Vec::len).sum::<usize>() <= LARGEST_DFA;
            let search = (!words.is_empty()).then(|| {
                AhoCorasick::builder()
                    .match_kind(MatchKind::Standard)
                    .kind((is_hot && is_small).then_some(AhoCorasickKind::DFA))
                    .build(&symbols)
                    .expect("a list has fewer than 2^31 patterns and symbols")
            });
            Automaton { search, words, letters }
        })
    }

    fn add_pattern(&mut self, pattern: &Pattern, entry: Entry) {
        let reading = Reading::new(&pattern.word);
        let letters = reading.seen.letters();
        let mut stream = Stream::default();
        if letters == Seen::JAMO {
            hangul(&reading, false, &mut stream);
            self.add(pattern, stream, Alphabet::Hangul, entry, letters);
        } else if letters == Seen::LATIN {
            let mut blotted = Stream::default();
            leet(&Reading::new(&pattern.word.replace('?', "*")), b'i', &mut blotted);
            if pattern.word.contains('?') {
                self.add(pattern, blotted, Alphabet::Leet, entry, letters);
                return;
            }
            latin(&reading, &mut stream);
            self.add(pattern, stream, Alphabet::Latin, entry, letters);
            if !pattern.options.plain {
                self.add_blotted(pattern, &blotted, entry, letters);
                self.add(pattern, blotted, Alphabet::Leet, entry, letters);
            }
        } else {
            mixed(&reading, &mut stream);
            self.add(pattern, stream, Alphabet::Mixed, entry, letters);
        }
    }

    fn add(&mut self, pattern: &Pattern, stream: Stream, alphabet: Alphabet, entry: Entry, letters: Seen) {
        if stream.symbols.is_empty() {
            return;
        }
        let patterns = &mut self.patterns[alphabet as usize];
        patterns.words.push(Word::new(pattern, &stream, alphabet, entry));
        patterns.symbols.push(stream.symbols);
        if !patterns.letters.contains(&letters) {
            patterns.letters.push(letters);
        }
    }

    /// Adds a word with each of its vowels blotted out in turn, and with all of them.
    fn add_blotted(&mut self, pattern: &Pattern, stream: &Stream, entry: Entry, letters: Seen) {
        let vowels: Vec<usize> = (1..stream.symbols.len())
            .filter(|at| matches!(stream.symbols[*at], b'a' | b'e' | b'i' | b'o' | b'u'))
            .collect();
        if entry == Entry::Context || stream.symbols.len() < 3 {
            return;
        }
        let mut add = |blotted: &[usize]| {
            let mut symbols = stream.symbols.clone();
            blotted.iter().for_each(|at| symbols[*at] = MASKED);
            let places = stream.places.clone();
            self.add(pattern, Stream { symbols, places }, Alphabet::Leet, entry, letters);
        };
        vowels.iter().for_each(|at| add(&[*at]));
        if vowels.len() > 1 {
            add(&vowels);
        }
    }
}
