//! The latest symbols of a stream: all that the prefilter remembers of a text.

use super::Gap;

/// The latest symbols. Older ones are overwritten.
#[derive(Debug, Clone)]
pub(crate) struct Recent {
    symbols: [Symbol; Recent::MOST],
    /// The symbols so far, with those that were overwritten.
    len: usize,
}

/// What the prefilter knows of a symbol: a part of its [`Place`](super::Place).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Symbol {
    /// What was skipped between the previous symbol and this one.
    pub(crate) gap: Gap,
    traits: Traits,
}

/// Bits of a symbol.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traits(u8);

impl Traits {
    /// The first symbol of its grapheme.
    pub(crate) const OPENS: Traits = Traits(1);
    /// The last symbol of its grapheme.
    pub(crate) const CLOSES: Traits = Traits(1 << 1);
    /// Part of a Hangul syllable.
    pub(crate) const IN_SYLLABLE: Traits = Traits(1 << 2);
    /// Written more than once.
    const REPEATED: Traits = Traits(1 << 3);

    pub(crate) const NONE: Traits = Traits(0);
    /// A letter that is a grapheme.
    pub(crate) const LETTER: Traits = Traits::OPENS.and(Traits::CLOSES);

    #[inline]
    pub(crate) const fn and(self, other: Traits) -> Traits {
        Traits(self.0 | other.0)
    }
}

impl Symbol {
    #[inline]
    pub(crate) fn is(self, traits: Traits) -> bool {
        self.traits.0 & traits.0 == traits.0
    }

    pub(crate) fn is_repeated(self) -> bool {
        self.is(Traits::REPEATED)
    }
}

impl Recent {
    /// A power of two, so that an index is a mask. In a text that may end a longer word, the word is searched for.
    const MOST: usize = 64;

    #[inline]
    pub(crate) fn push(&mut self, gap: Gap, traits: Traits) {
        self.symbols[self.len % Recent::MOST] = Symbol { gap, traits };
        self.len += 1;
    }

    /// The number of symbols so far.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The symbol that so many others follow. None: it was overwritten, or there is none.
    #[inline]
    pub(crate) fn nth_last(&self, following: usize) -> Option<Symbol> {
        let at = self.len.checked_sub(following + 1)?;
        (following < Recent::MOST).then(|| self.symbols[at % Recent::MOST])
    }

    /// Changes what was skipped before the last symbol.
    pub(crate) fn set_last_gap(&mut self, gap: Gap) {
        self.symbols[self.len.wrapping_sub(1) % Recent::MOST].gap = gap;
    }

    /// The last symbol was written once more.
    #[inline]
    pub(crate) fn repeat_last(&mut self) {
        let last = &mut self.symbols[self.len.wrapping_sub(1) % Recent::MOST];
        last.traits = last.traits.and(Traits::REPEATED);
    }

    /// The last symbol is not the last one of its grapheme.
    pub(crate) fn reopen_last(&mut self) {
        self.symbols[self.len.wrapping_sub(1) % Recent::MOST].traits.0 &= !Traits::CLOSES.0;
    }
}

impl Default for Recent {
    fn default() -> Recent {
        Recent { symbols: [Symbol { gap: Gap::None, traits: Traits::NONE }; Recent::MOST], len: 0 }
    }
}
