//! Two adjacent symbols of each word that one alphabet cannot spell, such as `8` and `ㄴ` of `18놈`. A text without any
//! of these pairs has no such word. Symbols are those of [`stream::mixed`](crate::stream::mixed).

use crate::sign::{Sign, Syllable};
use crate::stream::mixed_symbols;

/// Adjacent symbols of words.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    /// A bit for each pair. Empty: no words.
    bits: Box<[u64]>,
    /// Some word has no pair that is looked for.
    is_any: bool,
    /// Some pair is of symbols that are neither Hangul nor Latin nor digits.
    has_others: bool,
}

/// The pairs, as long as words are added.
#[derive(Debug, Default)]
pub(crate) struct CollectedPairs {
    pairs: Vec<[u8; 2]>,
    is_any: bool,
}

/// The kinds of symbols. Pairs inside Hangul and inside Latin words are not looked for: texts have too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Jamo,
    Digit,
    Latin,
    Other,
}

impl Class {
    fn of(symbol: u8) -> Class {
        match symbol {
            0..=63 => Class::Jamo,
            b'A'..=b'J' => Class::Digit,
            128.. => Class::Other,
            _ => Class::Latin,
        }
    }
}

impl CollectedPairs {
    /// Adds a word by its symbols.
    pub(crate) fn add(&mut self, symbols: &[u8]) {
        let rarity = |pair: &[u8; 2]| match pair.map(Class::of) {
            [one, other] if one != other => 2,
            [Class::Digit | Class::Other, _] => 1,
            [Class::Jamo | Class::Latin, _] => 0,
        };
        let pairs = symbols.windows(2).map(|pair| [pair[0], pair[1]]);
        match pairs.max_by_key(rarity).filter(|pair| rarity(pair) > 0) {
            Some(pair) => self.pairs.push(pair),
            None => self.is_any = true,
        }
    }

    pub(crate) fn build(self) -> Pairs {
        let CollectedPairs { pairs, is_any } = self;
        let mut built = Pairs { bits: Box::default(), is_any, has_others: false };
        if !pairs.is_empty() {
            built.bits = vec![0; 256 * 256 / 64].into();
        }
        for pair in pairs {
            let (word, bit) = place(pair);
            built.bits[word] |= 1 << bit;
            built.has_others |= pair.iter().any(|symbol| Class::of(*symbol) == Class::Other);
        }
        built
    }
}

/// The word of a pair's bit, and the bit.
#[inline]
fn place([first, second]: [u8; 2]) -> (usize, u32) {
    (usize::from(first) << 2 | usize::from(second) >> 6, u32::from(second) & 63)
}

/// The symbols of a text, of which the latest is kept.
#[derive(Debug)]
pub(super) struct Adjacent<'f> {
    pairs: &'f Pairs,
    /// The last symbol; 0: none.
    last: u8,
    /// The last symbol is that of this syllable.
    syllable: Option<u32>,
    /// Some word may be there.
    pub(super) may_have_word: bool,
}

impl<'f> Adjacent<'f> {
    pub(super) fn new(pairs: &'f Pairs) -> Adjacent<'f> {
        Adjacent { pairs, last: 0, syllable: None, may_have_word: pairs.is_any }
    }

    /// Adds a syllable by its index.
    #[inline]
    pub(super) fn add_syllable(&mut self, index: u32) {
        // A pair inside Hangul is not looked for.
        if self.syllable.replace(index).is_none() && Class::of(self.last) != Class::Jamo {
            self.look(self.last, Syllable::of_index(index).lead);
        }
    }

    /// Adds a jamo on its own.
    #[inline]
    pub(super) fn add_jamo(&mut self, jamo: u8) {
        let last = std::mem::replace(&mut self.last, jamo);
        if self.syllable.take().is_none() && Class::of(last) != Class::Jamo {
            self.look(last, jamo);
        }
    }

    /// Adds adjacent letters of ASCII, at least one.
    #[inline]
    pub(super) fn add_letters(&mut self, letters: &[u8]) {
        if let [first, ..] = letters {
            self.add_symbol(first.to_ascii_lowercase());
        }
        if let [.., last] = letters {
            self.last = last.to_ascii_lowercase();
        }
    }

    /// Adds a sign.
    #[inline]
    pub(super) fn add_sign(&mut self, sign: Sign) {
        match sign {
            // Each is as good as another where no word has one.
            Sign::Letter(_) | Sign::Symbol(_) if !self.pairs.has_others => self.add_symbol(u8::MAX),
            Sign::Letter(_) | Sign::Symbol(_) => match *mixed_symbols(sign, &mut [0; 4]) {
                // Of pairs inside such words the last one is looked for.
                [first, .., before, last] => {
                    self.add_symbol(first);
                    self.look(before, last);
                    self.last = last;
                }
                [first, last] => {
                    self.add_symbol(first);
                    self.add_symbol(last);
                }
                _ => {}
            },
            sign => mixed_symbols(sign, &mut [0; 4]).iter().for_each(|symbol| self.add_symbol(*symbol)),
        }
    }

    fn add_symbol(&mut self, symbol: u8) {
        if let Some(index) = self.syllable.take() {
            let Syllable { vowel, tail, .. } = Syllable::of_index(index);
            self.last = tail.unwrap_or(vowel);
        }
        let before = std::mem::replace(&mut self.last, symbol);
        self.look(before, symbol);
    }

    #[inline]
    fn look(&mut self, first: u8, second: u8) {
        let (word, bit) = place([first, second]);
        self.may_have_word |= self.pairs.bits.get(word).is_some_and(|bits| bits >> bit & 1 == 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Reading;
    use crate::stream::{Stream, mixed};

    fn may_have(word: &str, text: &str) -> bool {
        let (mut stream, mut pairs) = (Stream::default(), CollectedPairs::default());
        mixed(&Reading::new(word), &mut stream);
        pairs.add(&stream.symbols);
        let pairs = pairs.build();
        let mut adjacent = Adjacent::new(&pairs);
        for c in text.chars() {
            match crate::sign::syllable(c) {
                Some(index) => adjacent.add_syllable(index),
                None => crate::sign::fold(c, |sign| adjacent.add_sign(sign)),
            }
        }
        adjacent.may_have_word
    }

    #[test]
    fn a_text_has_the_pair_where_the_alphabet_changes() {
        assert!(may_have("18놈", "1 8.놈") && may_have("18놈", "28나") && !may_have("18놈", "18a놈 18 개"));
        assert!(may_have("c발", "abC바") && !may_have("c발", "ca발 c가 발c"));
        assert!(may_have("씨8", "띠8") && !may_have("씨8", "씨7 씹8"));
    }

    #[test]
    fn a_word_of_digits_or_of_symbols_has_a_pair_too() {
        assert!(may_have("010-1234", "tel. 34") && !may_have("010-1234", "3 a 4"));
        assert!(may_have("🤡", "🤡") && !may_have("🤡", "가a1"));
        assert!(may_have("2", "no digits"), "a word of one symbol has no pair, so every text may have it");
    }
}
