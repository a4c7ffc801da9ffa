//! A reading as one alphabet sees it: the symbols of that alphabet as bytes, and before each of them what was skipped. A
//! word of a list goes through the same functions as a text, so the two can only disagree on what was skipped.

mod hangul;
mod latin;
mod mixed;

pub(crate) use hangul::hangul;
pub(crate) use latin::{MASKED, latin, leet};
pub(crate) use mixed::mixed;

/// A text for one automaton.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// What the automaton reads.
    pub(crate) symbols: Vec<u8>,
    /// For each symbol, where it came from.
    pub(crate) places: Vec<Place>,
}

/// Where a symbol stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The graphemes that it covers: several, if it was repeated.
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// What was skipped between it and the symbol before.
    pub(crate) gap: Gap,
    /// A digit stands directly before it.
    pub(crate) after_digit: bool,
    /// A digit stands directly before it, or before the space before it.
    pub(crate) is_counted: bool,
    /// The first and the last of its grapheme.
    pub(crate) opens: bool,
    pub(crate) closes: bool,
    /// Of a Hangul syllable.
    pub(crate) in_syllable: bool,
    /// How often it was written.
    pub(crate) times: u32,
    pub(crate) source: Source,
}

/// What a symbol was before it was read as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Letter,
    /// A letter of Russian or Greek that looks Latin.
    Foreign,
    /// A digit or a symbol in place of a letter.
    Digit,
    Symbol,
}

/// What was skipped between two symbols, the more the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gap {
    /// Nothing, or nothing that can be seen.
    None,
    /// Whatever separates letters that stand alone: `s h i t`.
    Spelled,
    /// Punctuation and symbols.
    Marks,
    /// A few digits: `시1발`.
    Digits,
    /// A few letters or laughs of another alphabet, perhaps with digits: `시x발`.
    Intruders,
    /// White space, perhaps with punctuation.
    Space,
    /// So much that no word goes on behind it.
    Wall,
}

/// What has been skipped since the last symbol.
#[derive(Debug, Default)]
struct Skipped {
    spaces: u32,
    marks: u32,
    digits: u32,
    intruders: u32,
}

impl Skipped {
    /// More separators than this separate.
    const SEPARATORS: u32 = 8;
    /// More intruders than this are a word themselves.
    const INTRUDERS: u32 = 3;

    fn gap(&self) -> Gap {
        match self {
            Skipped { spaces: 0, marks: 0, digits: 0, intruders: 0 } => Gap::None,
            _ if self.spaces + self.marks > Skipped::SEPARATORS => Gap::Wall,
            _ if self.digits + self.intruders > Skipped::INTRUDERS => Gap::Wall,
            Skipped { intruders: 0, digits: 0, spaces: 0, .. } => Gap::Marks,
            Skipped { intruders: 0, digits: 0, .. } => Gap::Space,
            Skipped { intruders: 0, spaces: 0, .. } => Gap::Digits,
            Skipped { spaces: 0, .. } => Gap::Intruders,
            _ => Gap::Wall,
        }
    }
}

impl Stream {
    fn with_capacity(symbols: usize) -> Stream {
        Stream { symbols: Vec::with_capacity(symbols), places: Vec::with_capacity(symbols) }
    }

    /// Whether a word may begin at this symbol.
    pub(crate) fn begins(&self, at: usize) -> bool {
        at == 0 || self.places[at].gap > Gap::Spelled
    }

    /// Whether a word may end with this symbol.
    pub(crate) fn ends(&self, at: usize) -> bool {
        at + 1 == self.places.len() || self.begins(at + 1)
    }

    /// Whether words of one letter go before these letters, which stand alone as they do: `u r a w h o r e`.
    pub(crate) fn follows_words_of_one_letter(&self, at: usize) -> bool {
        let is_word = |at: &usize| self.places[*at].gap == Gap::Spelled && self.is_word_of_one_letter(*at - 1);
        let words = (1..=at).rev().take(Stream::WORDS_OF_ONE_LETTER).take_while(is_word).count();
        words > 0 && self.begins(at - words)
    }

    /// Whether words of one letter follow these letters, which stand alone as they do: `f u c k u`.
    pub(crate) fn precedes_words_of_one_letter(&self, at: usize) -> bool {
        let is_word = |at: &usize| self.places[*at].gap == Gap::Spelled && self.is_word_of_one_letter(*at);
        let words = (at + 1..self.places.len()).take(Stream::WORDS_OF_ONE_LETTER).take_while(is_word).count();
        words > 0 && self.ends(at + words)
    }

    /// More words of one letter do not follow each other.
    const WORDS_OF_ONE_LETTER: usize = 4;

    fn is_word_of_one_letter(&self, at: usize) -> bool {
        self.places[at].times == 1 && b"aiuryn".contains(&self.symbols[at])
    }

    fn push(&mut self, symbol: u8, place: Place) {
        self.symbols.push(symbol);
        self.places.push(place);
    }
}
