//! An automaton on its way through a stream of which only the latest symbols are kept.

use aho_corasick::automaton::StateID;

use crate::filter::automaton::Automaton;
use crate::stream::{Gap, Recent, Traits};

/// An automaton's state, and the symbols that led to it.
#[derive(Debug, Clone)]
pub(super) struct Track<'f> {
    automaton: &'f Automaton,
    state: StateID,
    pub(super) recent: Recent,
}

impl Track<'_> {
    pub(super) fn new(automaton: &Automaton) -> Track<'_> {
        Track { automaton, state: automaton.start(), recent: Recent::default() }
    }

    /// Whether some word may end with the latest symbol. Asked when it is known what follows the symbol. `ends`: a gap,
    /// the end of the text, or another kind of letter.
    #[inline]
    pub(super) fn may_end(&self, ends: bool) -> bool {
        self.automaton.is_match(self.state) && self.automaton.may_be(self.state, &self.recent, ends)
    }

    /// Whether at most the last `symbols` can be the beginning of a word, and no word ends with them.
    #[inline]
    pub(super) fn is_idle(&self, symbols: u8) -> bool {
        self.automaton.is_idle(self.state, symbols)
    }

    #[inline]
    pub(super) fn push(&mut self, symbol: u8, gap: Gap, traits: Traits) {
        self.state = self.automaton.next(self.state, symbol);
        self.recent.push(gap, traits);
    }
}
