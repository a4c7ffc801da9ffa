//! A reading as one alphabet sees it: the alphabet's symbols as bytes, and for each symbol what was skipped before it.
//! The words of a list and the texts go through the same functions, so they differ only in what was skipped.

mod hangul;
mod latin;
mod mixed;
mod recent;

pub(crate) use hangul::{EU, IEUNG, hangul, is_laughter, lengthens};
pub(crate) use latin::{MASKED, latin, leet, spells, spells_alone, stands_for};
pub(crate) use mixed::{mixed, mixed_symbols};
pub(crate) use recent::{Recent, Symbol, Traits};

use crate::reading::Glyph;

/// A text for one automaton.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// The input of the automaton.
    pub(crate) symbols: Vec<u8>,
    /// Where each symbol stands in the text.
    pub(crate) places: Vec<Place>,
}

/// Where a symbol stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The graphemes that it covers: several if it was repeated.
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// What was skipped between the previous symbol and this one.
    pub(crate) gap: Gap,
    /// A digit stands directly before it.
    pub(crate) after_digit: bool,
    /// A digit stands directly before it, or before the space before it.
    pub(crate) is_counted: bool,
    /// The first symbol of its grapheme, and the last.
    pub(crate) opens: bool,
    pub(crate) closes: bool,
    /// Part of a Hangul syllable.
    pub(crate) in_syllable: bool,
    /// How often it was written.
    pub(crate) times: u32,
    pub(crate) source: Source,
}

/// What a symbol was in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Letter,
    /// A letter of Russian or Greek that looks Latin.
    Foreign,
    /// A digit or a symbol that stands for a letter.
    Digit,
    Symbol,
}

/// What was skipped between two symbols. A greater value separates them more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gap {
    /// Nothing visible.
    None,
    /// Any separator between letters that stand alone: `s h i t`.
    Spelled,
    /// Punctuation and symbols.
    Marks,
    /// A few digits: `시1발`.
    Digits,
    /// A few letters of another alphabet or laughter, possibly with digits: `시x발`.
    Intruders,
    /// White space, possibly with punctuation.
    Space,
    /// Too much for one word.
    Wall,
}

/// What was skipped since the last symbol.
#[derive(Debug, Default)]
pub(crate) struct Skipped {
    pub(crate) spaces: u32,
    pub(crate) marks: u32,
    pub(crate) digits: u32,
    pub(crate) intruders: u32,
}

impl Skipped {
    /// The gap before the next symbol, from where skipping is counted anew.
    #[inline]
    pub(crate) fn take(&mut self) -> Gap {
        let Skipped { spaces, marks, digits, intruders } = *self;
        // Most symbols directly follow another.
        if spaces | marks | digits | intruders == 0 { Gap::None } else { std::mem::take(self).gap() }
    }

    /// More separators than this end a word.
    const SEPARATORS: u32 = 8;
    /// More intruders than this are a word of their own.
    const INTRUDERS: u32 = 3;

    #[inline]
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

impl Place {
    /// A letter that one glyph stands for, written once.
    fn of(glyph: &Glyph, gap: Gap, source: Source) -> Place {
        let Glyph { unit, opens, closes, in_syllable, .. } = *glyph;
        Place {
            first: unit,
            last: unit,
            gap,
            after_digit: false,
            is_counted: false,
            opens,
            closes,
            in_syllable,
            times: 1,
            source,
        }
    }
}

impl Stream {
    fn clear(&mut self) {
        self.symbols.clear();
        self.places.clear();
    }

    /// Whether a word may begin at this symbol.
    pub(crate) fn begins(&self, at: usize) -> bool {
        at == 0 || self.places[at].gap > Gap::Spelled
    }

    /// Whether a word may end with this symbol.
    pub(crate) fn ends(&self, at: usize) -> bool {
        at + 1 == self.places.len() || self.begins(at + 1)
    }

    /// Whether words of one letter precede this spelled word: `u r a w h o r e`.
    pub(crate) fn follows_words_of_one_letter(&self, at: usize) -> bool {
        let is_word = |at: &usize| self.places[*at].gap == Gap::Spelled && self.is_word_of_one_letter(*at - 1);
        let words = (1..=at).rev().take(Stream::WORDS_OF_ONE_LETTER).take_while(is_word).count();
        words > 0 && self.begins(at - words)
    }

    /// Whether words of one letter follow this spelled word: `f u c k u`.
    pub(crate) fn precedes_words_of_one_letter(&self, at: usize) -> bool {
        let is_word = |at: &usize| self.places[*at].gap == Gap::Spelled && self.is_word_of_one_letter(*at);
        let words = (at + 1..self.places.len()).take(Stream::WORDS_OF_ONE_LETTER).take_while(is_word).count();
        words > 0 && self.ends(at + words)
    }

    /// No more words of one letter than this follow each other.
    const WORDS_OF_ONE_LETTER: usize = 4;

    fn is_word_of_one_letter(&self, at: usize) -> bool {
        self.places[at].times == 1 && b"aiuryn".contains(&self.symbols[at])
    }

    fn push(&mut self, symbol: u8, place: Place) {
        self.symbols.push(symbol);
        self.places.push(place);
    }

    fn pop(&mut self) {
        self.symbols.pop();
        self.places.pop();
    }
}
