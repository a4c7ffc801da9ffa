//! The stream of all letters and symbols, as [`stream::mixed`](crate::stream::mixed) reads it.

use super::track::Track;
use crate::filter::automaton::Automaton;
use crate::sign::{Sign, Syllable, fold, syllable};
use crate::stream::{Skipped, Traits, mixed_symbols};

/// Whether the text may have a word of this automaton.
pub(super) fn may_match(automaton: &Automaton, text: &str) -> bool {
    let mut mixed = Mixed { track: Track::new(automaton), skipped: Skipped::default() };
    text.chars().any(|c| mixed.add(c)) || mixed.track.may_end(true)
}

struct Mixed<'f> {
    track: Track<'f>,
    skipped: Skipped,
}

impl Mixed<'_> {
    /// Whether some word may end before this character or in it.
    fn add(&mut self, c: char) -> bool {
        if let Some(syllable) = syllable(c) {
            let Syllable { lead, vowel, tail } = Syllable::of_index(syllable);
            let mut may_end = self.push(lead, Traits::OPENS);
            may_end |= self.push(vowel, if tail.is_none() { Traits::CLOSES } else { Traits::NONE });
            return tail.is_some_and(|tail| self.push(tail, Traits::CLOSES)) || may_end;
        }
        let mut may_end = false;
        fold(c, |sign| match sign {
            Sign::Space => self.skipped.spaces += 1,
            Sign::Mark(_) => self.skipped.marks += 1,
            sign => {
                let mut bytes = [0; 4];
                for symbol in mixed_symbols(sign, &mut bytes) {
                    may_end |= self.push(*symbol, Traits::LETTER);
                }
            }
        });
        may_end
    }

    fn push(&mut self, symbol: u8, traits: Traits) -> bool {
        // Where words may end is between characters, which are forgotten.
        let may_end = self.track.may_end(true);
        self.track.push(symbol, self.skipped.take(), traits);
        may_end
    }
}
