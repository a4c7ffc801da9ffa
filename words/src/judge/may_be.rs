//! A judgement on less than `judge` has: without the text, and with the latest symbols only. It rejects most
//! candidates.

use super::{Alphabet, Step, Word};
use crate::stream::{Gap, Recent, Symbol, Traits};

impl Word {
    /// Whether the candidate that ends with the latest symbol may be this word. False only if [`Word::judge`] rejects
    /// it. `ends`: a word may end here.
    pub(crate) fn may_be(&self, recent: &Recent, ends: bool) -> bool {
        if !self.free_right && !ends {
            return false;
        }
        let length = self.steps.len();
        let (Some(first), Some(last)) = (recent.nth_last(length - 1), recent.nth_last(0)) else {
            // Its beginning is forgotten.
            return true;
        };
        let begins = recent.len() == length || first.gap > Gap::Spelled;
        if self.inside && begins || !self.may_begin(recent, first, begins) {
            return false;
        }
        let is_latin = matches!(self.alphabet, Alphabet::Latin | Alphabet::Leet);
        if !is_latin && !(first.is(Traits::OPENS) && (last.is(Traits::CLOSES) || self.options.open)) {
            return false;
        }
        let mut gap = Gap::None;
        for (at, step) in self.steps.iter().rev().enumerate() {
            let Some(symbol) = recent.nth_last(at) else { return true };
            if !step.may_be(symbol) {
                return false;
            }
            let is_inner = at + 1 < length;
            if is_inner && !(step.has_gap && symbol.gap < Gap::Wall) {
                gap = gap.max(symbol.gap);
            }
        }
        match (self.alphabet, gap) {
            (_, Gap::None) => true,
            (_, Gap::Wall) => false,
            _ if self.options.joined => false,
            (Alphabet::Hangul, Gap::Space) => begins,
            (Alphabet::Hangul, Gap::Digits) if self.is_initials => begins,
            (Alphabet::Hangul, Gap::Intruders) => !self.is_initials,
            (Alphabet::Hangul, Gap::Spelled | Gap::Marks | Gap::Digits) => true,
            (Alphabet::Latin | Alphabet::Leet, Gap::Spelled) => true,
            (Alphabet::Latin | Alphabet::Leet, Gap::Marks) => self.free_right && begins,
            (Alphabet::Latin | Alphabet::Leet, Gap::Digits | Gap::Intruders | Gap::Space) => false,
            (Alphabet::Mixed, _) => begins,
        }
    }

    /// Whether the word may begin at this symbol.
    fn may_begin(&self, recent: &Recent, first: Symbol, begins: bool) -> bool {
        let is_changed = |before: Symbol| before.is(Traits::IN_SYLLABLE) != first.is(Traits::IN_SYLLABLE);
        self.free_left
            || begins
            || match self.alphabet {
                Alphabet::Hangul => recent.nth_last(self.steps.len()).is_none_or(is_changed),
                Alphabet::Latin | Alphabet::Leet => first.gap == Gap::Spelled,
                // Borders are between characters, which are forgotten.
                Alphabet::Mixed => true,
            }
    }
}

impl Step {
    fn may_be(&self, symbol: Symbol) -> bool {
        (self.times < 2 || symbol.is_repeated()) && !(self.is_lone && symbol.is(Traits::IN_SYLLABLE))
    }
}
