//! How words of Hangul begin when they are written in syllables: with which two syllables, or as which one. A text in
//! which no word begins need not be read by the automaton.

use super::bloom::Bloom;
use crate::judge::CLOSES;
use crate::sign::{Syllable, is_vowel};

/// The first syllables of words. A syllable is its [index](Syllable::index).
#[derive(Debug, Default)]
pub(crate) struct Openings {
    pairs: Bloom,
    /// A bit for each syllable that is a word. Empty: no words of one syllable.
    words: Box<[u64]>,
}

/// The first syllables of words, as long as words are added.
#[derive(Debug, Default)]
pub(crate) struct CollectedOpenings {
    pairs: Vec<u64>,
    words: Vec<u32>,
}

impl CollectedOpenings {
    /// Adds a word as its jamo. `is_whole`: these are all of them, and not only those before the first one on its own,
    /// which a syllable does not match. `is_open`: the last syllable may have one more consonant.
    pub(crate) fn add(&mut self, jamo: &[u8], is_whole: bool, is_open: bool) {
        let Some((first, rest)) = take_syllable(jamo) else { return };
        let closed = |syllable: Syllable| {
            let is_closed = is_open && syllable.tail.is_none();
            let tails = if is_closed { CLOSES.as_slice() } else { &[] };
            tails.iter().filter_map(move |tail| Syllable { tail: Some(*tail), ..syllable }.index())
        };
        let Some(index) = first.index() else { return };
        if rest.is_empty() && is_whole {
            self.words.push(index);
            self.words.extend(closed(first));
        } else if let Some((second, rest)) = take_syllable(rest) {
            self.pairs.extend(second.index().map(|second| pair(index, second)));
            if rest.is_empty() && is_whole {
                self.pairs.extend(closed(second).map(|second| pair(index, second)));
            }
        }
    }

    pub(crate) fn build(self) -> Openings {
        let mut openings = Openings { pairs: Bloom::new(self.pairs), words: Box::default() };
        if !self.words.is_empty() {
            openings.words = vec![0; SYLLABLES.div_ceil(64)].into();
            self.words.iter().for_each(|word| openings.words[*word as usize / 64] |= 1 << (word % 64));
        }
        openings
    }
}

/// From `가` to `힣`.
const SYLLABLES: usize = 11_172;

impl Openings {
    /// Whether some word may be this syllable, or begin with the previous syllable and this one.
    #[inline]
    pub(super) fn may_begin(&self, previous: Option<u32>, syllable: u32) -> bool {
        let is_word = self.words.get(syllable as usize / 64).is_some_and(|bits| bits >> (syllable % 64) & 1 == 1);
        is_word || previous.is_some_and(|previous| self.pairs.may_have(pair(previous, syllable)))
    }
}

#[inline]
fn pair(first: u32, second: u32) -> u64 {
    u64::from(first) << 14 | u64::from(second)
}

/// The first syllable of a sequence of jamo, and the rest, as they are written in composed syllables.
fn take_syllable(jamo: &[u8]) -> Option<(Syllable, &[u8])> {
    let (&[lead, vowel], rest) = jamo.split_first_chunk()?;
    if is_vowel(lead) || !is_vowel(vowel) {
        return None;
    }
    match rest {
        // The consonant begins the next syllable.
        [_, next, ..] if is_vowel(*next) => Some((Syllable { lead, vowel, tail: None }, rest)),
        [tail, rest @ ..] if !is_vowel(*tail) => Some((Syllable { lead, vowel, tail: Some(*tail) }, rest)),
        _ => Some((Syllable { lead, vowel, tail: None }, rest)),
    }
}
