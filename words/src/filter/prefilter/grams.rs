//! Four adjacent letters of each Latin word, which no space divides. A repeated letter counts once. A text without any
//! of them has no word. Words of fewer letters have others.

use std::collections::BTreeSet;

use super::bloom::Bloom;
use super::rarity::rarity;
use crate::judge::Part;
use crate::stream::MASKED;

/// Letters of words.
#[derive(Debug, Default)]
pub(crate) struct Grams {
    /// A bit for the last three letters of each of `fours`, and for each of `threes`. Most letters of a text end here.
    /// Empty: there are none.
    ends: Box<[u64]>,
    /// Four letters, or fewer after any others.
    fours: Bloom,
    /// Three letters where a word begins.
    threes: Bloom,
    /// Two letters where a word begins, of which the second is written at least twice.
    doubled: Bloom,
    /// Some word may be a single letter.
    has_letter: bool,
}

/// Letters of words, as long as words are added.
#[derive(Debug, Default)]
pub(crate) struct CollectedGrams {
    fours: BTreeSet<u64>,
    /// For each word that has a choice, its fours.
    choices: Vec<Vec<u64>>,
    threes: Vec<u64>,
    doubled: Vec<u64>,
    has_letter: bool,
}

/// The latest letters of a text that may be in one word.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Latest {
    /// Four letters of five bits each: 1 for `a`, 0 for none.
    letters: u32,
    /// The letters since the last gap, as far as they are different.
    run: u32,
    is_after_gap: bool,
    /// Some letters are from before the last gap.
    is_joined: bool,
}

/// In place of a letter that is blotted out: a code that no letter has.
pub(super) const BLOT: u8 = 27;

const BITS: u32 = 5;
/// Of an index of bits in words.
const WORD_BITS: u32 = u64::BITS.ilog2();
const THREE: u32 = (1 << (3 * BITS)) - 1;
const FOUR: u32 = (1 << (4 * BITS)) - 1;

impl Latest {
    /// Ends a gap, if there is one.
    #[inline]
    fn end_gap(&mut self) {
        if std::mem::take(&mut self.is_after_gap) {
            self.run = 0;
            self.is_joined = self.letters != 0;
        }
    }

    /// Whether every text goes on from both alike.
    pub(super) fn is_as(&self, other: &Latest) -> bool {
        let is_same_run = self.letters == 0 || self.run == other.run;
        self.is_after_gap && other.is_after_gap && self.letters == other.letters && is_same_run
    }

    /// Adds a letter from `a` to `z`, or a [`BLOT`]. False: it repeats the last one.
    #[inline(always)]
    fn push(&mut self, letter: u8) -> bool {
        let code = u32::from(letter & 31);
        let is_new = self.letters & 31 != code;
        if is_new {
            self.letters = (self.letters << BITS | code) & FOUR;
            self.run += 1;
        } else {
            self.run = self.run.max(1);
        }
        is_new
    }

    /// Skips a space. No word goes on after it, but one whose letters stand alone.
    #[inline]
    pub(super) fn skip_space(&mut self) {
        if self.run > 1 {
            self.letters = 0;
        }
        self.is_after_gap = true;
    }

    /// Skips punctuation or a symbol.
    #[inline]
    pub(super) fn skip_mark(&mut self) {
        self.is_after_gap = true;
    }

    /// Skips what no word goes on after.
    #[inline]
    pub(super) fn skip_wall(&mut self) {
        self.letters = 0;
        self.is_after_gap = true;
    }
}

/// Up to four letters as a number.
fn code(letters: &[u8]) -> u64 {
    let code = |letter: u8| if letter == MASKED { BLOT } else { letter & 31 };
    letters.iter().fold(0, |number, letter| number << BITS | u64::from(code(*letter)))
}

/// The letters of a number.
fn letters(four: u64) -> [u64; 4] {
    [3, 2, 1, 0].map(|at| four >> (BITS * at) & 31)
}

impl CollectedGrams {
    /// Adds a word by its parts.
    pub(crate) fn add(&mut self, parts: &[Part<'_>]) {
        let fours: Vec<u64> = parts.iter().flat_map(|part| part.symbols.windows(4)).map(code).collect();
        match fours.len() {
            0 => parts.iter().max_by_key(|part| part.symbols.len()).into_iter().for_each(|part| self.add_short(part)),
            1 => self.fours.extend(fours),
            _ => self.choices.push(fours),
        }
    }

    /// Adds a word with letters that are blotted out, by letters of which one is.
    pub(crate) fn add_blotted(&mut self, parts: &[Part<'_>]) {
        let has_blot = |letters: &&[u8]| letters.contains(&MASKED);
        let blotted = parts.iter().filter(|part| has_blot(&part.symbols));
        let Some(part) = blotted.max_by_key(|part| part.symbols.len()) else { return };
        let fours: Vec<u64> = part.symbols.windows(4).filter(has_blot).map(code).collect();
        if fours.is_empty() { self.add_short(part) } else { self.choices.push(fours) }
    }

    /// Adds a word by a part of fewer letters than four.
    fn add_short(&mut self, part: &Part<'_>) {
        let letters = code(part.symbols);
        match part.symbols.len() {
            0 => {}
            1 => self.has_letter = true,
            2 if part.begins && part.is_doubled => self.doubled.push(letters),
            3 if part.begins => self.threes.push(letters),
            count => {
                let others = 0..1 << (BITS * (4 - count as u32));
                self.fours.extend(others.map(|others: u64| others << (BITS * count as u32) | letters));
            }
        }
    }

    /// Of each word's fours it takes one that another word has, or else the one with the rarest letters.
    pub(crate) fn build(mut self) -> Grams {
        self.choices.sort_by_key(Vec::len);
        for fours in self.choices {
            if !fours.iter().any(|four| self.fours.contains(four)) {
                self.fours.extend(fours.into_iter().max_by_key(|four| rarity(letters(*four))));
            }
        }
        let mut ends = Vec::new();
        for letters in self.fours.iter().chain(&self.threes) {
            ends.resize(1 << (3 * BITS - WORD_BITS), 0);
            let (word, bit) = place(*letters as u32);
            ends[word] |= 1 << bit;
        }
        Grams {
            ends: ends.into(),
            fours: Bloom::new(self.fours.into_iter().collect()),
            threes: Bloom::new(self.threes),
            doubled: Bloom::new(self.doubled),
            has_letter: self.has_letter,
        }
    }
}

/// The word of the bit of the last three letters, and the bit.
#[inline(always)]
fn place(letters: u32) -> (usize, u32) {
    ((letters & THREE) as usize >> WORD_BITS, letters & (u64::BITS - 1))
}

impl Grams {
    /// Adds adjacent letters to the latest ones of a text, each as it is read. Whether they may be letters of a word.
    #[inline]
    pub(super) fn may_have(&self, latest: &mut Latest, letters: &[u8], read: impl Fn(u8) -> u8) -> bool {
        let mut current = *latest;
        current.end_gap();
        let mut may_have = self.has_letter;
        for letter in letters {
            let is_new = current.push(read(*letter));
            may_have |= self.may_end(&current, is_new);
        }
        *latest = current;
        may_have
    }

    /// The same, for letters of which some may be blotted out; `blotted` are the letters of such words.
    pub(super) fn may_have_blotted(
        &self,
        blotted: &Grams,
        latest: &mut Latest,
        letters: &[u8],
        read: impl Fn(u8) -> u8,
    ) -> bool {
        latest.end_gap();
        let mut may_have = self.has_letter;
        for letter in letters.iter().map(|letter| read(*letter)) {
            let is_new = latest.push(letter);
            may_have |= self.may_end(latest, is_new) || blotted.may_end(latest, is_new);
            // Of a word of which a single letter is blotted out, that one is known.
            may_have |= blotted.has_letter && letter == BLOT;
        }
        may_have
    }

    /// Whether a word may have the latest letters. `is_new`: the last one does not repeat the one before.
    #[inline(always)]
    fn may_end(&self, latest: &Latest, is_new: bool) -> bool {
        if !is_new {
            let two = latest.letters & ((1 << (2 * BITS)) - 1);
            return (latest.run <= 2 || latest.is_joined) && self.doubled.may_have(u64::from(two));
        }
        let (word, bit) = place(latest.letters);
        if self.ends.get(word).is_none_or(|bits| bits >> bit & 1 == 0) {
            return false;
        }
        self.fours.may_have(u64::from(latest.letters))
            || (latest.run == 3 || latest.is_joined) && self.threes.may_have(u64::from(latest.letters & THREE))
    }
}
