//! An Aho-Corasick automaton for each alphabet.

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous;
use aho_corasick::{Anchored, MatchKind, dfa};

use crate::filter::prefilter::{Beginnings, CollectedGrams, CollectedOpenings, CollectedPairs};
use crate::judge::{Alphabet, Word};
use crate::pattern::Pattern;
use crate::reading::{Reading, Seen};
use crate::stream::{MASKED, Recent, Stream, hangul, latin, leet, mixed};

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
    search: Option<Search>,
    start: StateID,
    depths: Depths,
    words: Vec<Word>,
    /// The kinds of letters of each pattern, without duplicates.
    letters: Vec<Seen>,
}

/// For each state, how many symbols of a pattern have led to it. Only a DFA has them.
#[derive(Debug, Default)]
struct Depths {
    depths: Box<[u8]>,
    /// The ids of states are multiples of this power of two.
    shift: u32,
}

/// An automaton of one of two kinds.
#[derive(Debug)]
enum Search {
    /// Fast.
    Dfa(dfa::DFA),
    /// Small.
    Nfa(contiguous::NFA),
}

/// In symbols of all patterns. Of one symbol, a DFA takes up to 256 bytes: 12 MB at most, and 4 MB for the built-in
/// list.
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
        self.for_each_candidate(stream, |word, end| {
            if let Some((first, last)) = word.judge(reading, stream, end) {
                found(word, first, last);
            }
        });
    }

    /// Passes on every pattern that ends before a symbol of the stream, with the index of that symbol.
    fn for_each_candidate<'w>(&'w self, stream: &Stream, mut each: impl FnMut(&'w Word, usize)) {
        if self.is_empty() {
            return;
        }
        let mut state = self.start;
        for (at, symbol) in stream.symbols.iter().enumerate() {
            state = self.next(state, *symbol);
            if self.is_match(state) {
                self.words_at(state).for_each(|word| each(word, at + 1));
            }
        }
    }

    /// The state before the first symbol.
    pub(super) fn start(&self) -> StateID {
        self.start
    }

    /// The state after one more symbol.
    #[inline]
    pub(super) fn next(&self, state: StateID, symbol: u8) -> StateID {
        match &self.search {
            None => state,
            Some(Search::Dfa(dfa)) => dfa.next_state(Anchored::No, state, symbol),
            Some(Search::Nfa(nfa)) => nfa.next_state(Anchored::No, state, symbol),
        }
    }

    /// Whether patterns end in this state.
    #[inline]
    pub(super) fn is_match(&self, state: StateID) -> bool {
        match &self.search {
            None => false,
            Some(Search::Dfa(dfa)) => dfa.is_match(state),
            Some(Search::Nfa(nfa)) => nfa.is_match(state),
        }
    }

    /// Whether at most the last `symbols` can be the beginning of a pattern, and no pattern ends with them.
    #[inline]
    pub(super) fn is_idle(&self, state: StateID, symbols: u8) -> bool {
        let depth = self.depths.depths.get(state.as_usize() >> self.depths.shift);
        depth.is_some_and(|depth| *depth <= symbols) && !self.is_match(state)
    }

    /// Whether one of the patterns that end in this state may be the word. `ends`: a word may end here.
    pub(super) fn may_be(&self, state: StateID, recent: &Recent, ends: bool) -> bool {
        self.words_at(state).any(|word| word.may_be(recent, ends))
    }

    /// The patterns that end in a state with a match.
    fn words_at(&self, state: StateID) -> impl Iterator<Item = &Word> {
        let count = match &self.search {
            None => 0,
            Some(Search::Dfa(dfa)) => dfa.match_len(state),
            Some(Search::Nfa(nfa)) => nfa.match_len(state),
        };
        let pattern = move |at| match &self.search {
            Some(Search::Dfa(dfa)) => dfa.match_pattern(state, at).as_usize(),
            Some(Search::Nfa(nfa)) => nfa.match_pattern(state, at).as_usize(),
            None => unreachable!("it has no patterns"),
        };
        (0..count).map(move |at| &self.words[pattern(at)])
    }

    /// The number of candidates that a search judges.
    #[cfg(test)]
    pub(super) fn candidates(&self, stream: &Stream) -> usize {
        let mut count = 0;
        self.for_each_candidate(stream, |_, _| count += 1);
        count
    }
}

impl Depths {
    fn new(automaton: &Automaton, patterns: &[Vec<u8>]) -> Depths {
        let mut states = vec![(automaton.start, 0)];
        for pattern in patterns {
            let mut state = automaton.start;
            for (at, symbol) in pattern.iter().enumerate() {
                state = automaton.next(state, *symbol);
                states.push((state, u8::try_from(at + 1).unwrap_or(u8::MAX)));
            }
        }
        let shift = states.iter().map(|(state, _)| state.as_u32().trailing_zeros()).min().unwrap_or(0).min(31);
        let place = |state: StateID| state.as_usize() >> shift;
        let last = states.iter().map(|(state, _)| place(*state)).max().unwrap_or(0);
        // A state that no pattern leads to is never idle.
        let mut depths = vec![u8::MAX; last + 1];
        states.into_iter().for_each(|(state, depth)| depths[place(state)] = depth);
        Depths { depths: depths.into(), shift }
    }
}

impl Search {
    /// The automaton of these patterns, and its first state.
    fn new(patterns: &[Vec<u8>], is_fast: bool) -> (Search, StateID) {
        const FEW: &str = "a list has fewer than 2^31 patterns and symbols";
        const UNANCHORED: &str = "an automaton searches unanchored by default";
        if is_fast {
            let dfa = dfa::Builder::new().match_kind(MatchKind::Standard).prefilter(false).build(patterns).expect(FEW);
            let start = dfa.start_state(Anchored::No).expect(UNANCHORED);
            return (Search::Dfa(dfa), start);
        }
        let builder = contiguous::Builder::new().match_kind(MatchKind::Standard).prefilter(false).to_owned();
        let nfa = builder.build(patterns).expect(FEW);
        let start = nfa.start_state(Anchored::No).expect(UNANCHORED);
        (Search::Nfa(nfa), start)
    }
}

impl Builder {
    pub(super) fn new<'p>(patterns: impl IntoIterator<Item = (&'p Pattern, Entry)>) -> Builder {
        let mut builder = Builder::default();
        patterns.into_iter().for_each(|(pattern, entry)| builder.add_pattern(pattern, entry));
        builder
    }

    /// What the prefilter looks for.
    pub(super) fn beginnings(&self) -> Beginnings {
        let Patterns { words, symbols, .. } = &self.patterns[Alphabet::Hangul as usize];
        let mut openings = CollectedOpenings::default();
        for (word, jamo) in words.iter().zip(symbols) {
            let in_syllables = word.in_syllables();
            openings.add(&jamo[..in_syllables], in_syllables == jamo.len(), word.is_open());
        }
        let Patterns { words, symbols, .. } = &self.patterns[Alphabet::Latin as usize];
        let (mut grams, mut blotted) = (CollectedGrams::default(), CollectedGrams::default());
        words.iter().zip(symbols).for_each(|(word, letters)| grams.add(&word.parts(letters)));
        let Patterns { words, symbols, .. } = &self.patterns[Alphabet::Leet as usize];
        for (word, letters) in words.iter().zip(symbols) {
            match letters.contains(&MASKED) {
                true => blotted.add_blotted(&word.parts(letters)),
                false => grams.add(&word.parts(letters)),
            }
        }
        let mut pairs = CollectedPairs::default();
        self.patterns[Alphabet::Mixed as usize].symbols.iter().for_each(|symbols| pairs.add(symbols));
        let (hangul, latin, blotted, mixed) = (openings.build(), grams.build(), blotted.build(), pairs.build());
        Beginnings { hangul, latin, blotted, mixed }
    }

    /// The automata, by [`Alphabet`]. `is_hot`: searched in every text, so that speed matters more than memory.
    pub(super) fn build(self, is_hot: bool) -> [Automaton; 4] {
        self.patterns.map(|Patterns { symbols, words, letters }| {
            let is_small = symbols.iter().map(Vec::len).sum::<usize>() <= LARGEST_DFA;
            if words.is_empty() {
                return Automaton::default();
            }
            let is_fast = is_hot && is_small;
            let (search, start) = Search::new(&symbols, is_fast);
            let mut automaton = Automaton { search: Some(search), start, words, letters, ..Automaton::default() };
            if is_fast {
                automaton.depths = Depths::new(&automaton, &symbols);
            }
            automaton
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
            // A room's word may have symbols for letters: by `a$$` it means `ass`, and not every `a`.
            if blotted.symbols.len() > stream.symbols.len() && !blotted.symbols.contains(&MASKED) {
                stream = Stream { symbols: blotted.symbols.clone(), places: blotted.places.clone() };
            }
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
