//! Looks for texts without a match, as most are. It reads a text once, by the rules of `stream`, and keeps nothing but
//! the latest symbols; where it would need more, the text may have a match. Then the search begins anew, with a
//! reading. Hangul, Latin letters with leetspeak, and adjacent symbols of several alphabets each have a module of their
//! own.

mod adjacent;
mod bloom;
mod composed;
mod grams;
mod hangul;
mod latin;
mod letters;
mod mixed;
mod openings;
mod rarity;
mod syllables;
mod symbol;
mod track;

use adjacent::Adjacent;
pub(super) use adjacent::{CollectedPairs, Pairs};
use composed::composed;
pub(super) use grams::{CollectedGrams, Grams};
use hangul::Hangul;
use letters::Letters;
pub(super) use openings::{CollectedOpenings, Openings};
use syllables::Syllables;
use symbol::{AsciiSymbol, symbol};

use super::automaton::Automaton;
use crate::grapheme::stands_alone;
use crate::judge::Alphabet;
use crate::reading::Seen;
use crate::sign::{Sign, fold, fold_ascii, jamo};
use crate::stream::{Traits, spells_alone};

/// Syllables, letters and symbols without which a text has no word.
#[derive(Debug)]
pub(super) struct Beginnings {
    pub(super) hangul: Openings,
    pub(super) latin: Grams,
    /// Latin words with letters that are blotted out.
    pub(super) blotted: Grams,
    pub(super) mixed: Pairs,
}

/// Whether the text may have a match of these automata, which are by [`Alphabet`]. False: it has none.
pub(super) fn may_match(words: &[Automaton; 4], beginnings: &Beginnings, text: &str) -> bool {
    let mut prefilter = Prefilter {
        text,
        hangul: Hangul::new(&words[Alphabet::Hangul as usize], &beginnings.hangul),
        letters: Letters::new(&beginnings.latin, &beginnings.blotted),
        has_letters: text.bytes().fold(false, |any, byte| any | byte.is_ascii_alphabetic()),
        has_leet: false,
        spelling_symbols: 0,
        adjacent: Adjacent::new(&beginnings.mixed),
        seen: Seen::default(),
        follows_exclamation: false,
        joins: false,
        is_i_joined: false,
        is_unclear: false,
        may_match: false,
    };
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let joins = std::mem::take(&mut prefilter.joins);
        at += match byte {
            b' ' => {
                prefilter.add_space();
                1
            }
            b'a'..=b'z' | b'A'..=b'Z' => {
                let (mut end, mut has_capital_i) = (at, false);
                while let Some(letter) = bytes.get(end).filter(|byte| byte.is_ascii_alphabetic()) {
                    has_capital_i |= *letter == b'I';
                    end += 1;
                }
                prefilter.is_i_joined |= joins && byte == b'I';
                prefilter.add_letters(&bytes[at..end], has_capital_i);
                end - at
            }
            0..=0x7F => {
                prefilter.add_ascii(byte, at);
                1
            }
            _ => match prefilter.add_syllables(Syllables::new(&bytes[at..])) {
                0 => prefilter.add_other(at),
                count => count * Syllables::BYTES,
            },
        };
        if prefilter.may_match {
            return true;
        }
    }
    prefilter.may_match || prefilter.may_end(words)
}

struct Prefilter<'f> {
    text: &'f str,
    hangul: Hangul<'f>,
    letters: Letters<'f>,
    /// Some letters are of ASCII. Without them digits and symbols are not read as letters.
    has_letters: bool,
    /// Such a digit or symbol was there.
    has_leet: bool,
    /// How many symbols stand for letters also without letters around.
    spelling_symbols: u32,
    adjacent: Adjacent<'f>,
    seen: Seen,
    /// An exclamation mark is the last sign, and the characters around it do not tell whether it stands for a letter.
    follows_exclamation: bool,
    /// The last character may form a grapheme with the next.
    joins: bool,
    /// Some `I` may form a grapheme with its neighbours.
    is_i_joined: bool,
    /// A grapheme may have letters of several characters.
    is_unclear: bool,
    may_match: bool,
}

impl Prefilter<'_> {
    /// Adds adjacent letters: of ASCII, or lower-case ones that others stand for.
    #[inline]
    fn add_letters(&mut self, letters: &[u8], has_capital_i: bool) {
        self.seen = self.seen.and(Seen::LATIN);
        self.letters.may_have_leet |= std::mem::take(&mut self.follows_exclamation);
        self.hangul.skipped.intruders += letters.len() as u32;
        if has_capital_i {
            self.seen = self.seen.and(Seen::of_ascii(b'I'));
        }
        self.adjacent.add_letters(letters);
        self.letters.add(letters, has_capital_i);
    }

    /// Adds adjacent syllables by their indices. How many there were.
    #[inline]
    fn add_syllables(&mut self, mut syllables: impl Iterator<Item = u32>) -> usize {
        let Some(first) = syllables.next() else { return 0 };
        self.seen = self.seen.and(Seen::JAMO);
        self.follows_exclamation = false;
        self.letters.skip_wall();
        self.adjacent.add_syllable(first);
        let more = self.hangul.add_syllables(first, syllables);
        self.may_match |= more.may_end;
        self.adjacent.add_syllable(more.last);
        more.count
    }

    /// Adds a character of ASCII that is no letter, by its place in the text.
    #[inline]
    fn add_ascii(&mut self, byte: u8, at: usize) {
        if byte == b' ' {
            self.add_space();
            return;
        }
        let Some(sign) = fold_ascii(byte) else { return };
        self.seen = self.seen.and(Seen::of_ascii(byte));
        self.spelling_symbols += u32::from(spells_alone(sign));
        match sign {
            Sign::Mark('!' | '?' | '@' | '$' | '+' | '*' | '#' | '|' | '%' | '&' | '^') => self.add_symbol(at),
            sign => self.add_sign(sign),
        }
    }

    #[inline(always)]
    fn add_space(&mut self) {
        self.follows_exclamation = false;
        self.hangul.skipped.spaces += 1;
        self.letters.skip_space();
    }

    /// Adds a symbol that may stand for a letter.
    fn add_symbol(&mut self, at: usize) {
        self.hangul.skipped.marks += 1;
        let (mark, next) = (self.text.as_bytes()[at], self.text.as_bytes().get(at + 1));
        // What is not ASCII or a control character may be invisible, or a letter.
        let is_before_other = || next.is_some_and(|next| !next.is_ascii() || next.is_ascii_control());
        self.follows_exclamation = mark == b'!' && is_before_other();
        self.has_leet = true;
        let symbol = if self.has_letters { symbol(self.text, at) } else { AsciiSymbol::Mark };
        match symbol {
            AsciiSymbol::Mark => self.letters.skip_mark(),
            AsciiSymbol::Letter { with_i, with_l } => self.letters.add_symbol(with_i, with_l),
            AsciiSymbol::Unclear => {
                self.letters.may_have_leet = true;
                self.letters.skip_mark();
            }
        }
    }

    /// Adds the character at this byte of the text, which is neither ASCII nor a syllable, or several. Their length.
    fn add_other(&mut self, at: usize) -> usize {
        let mut rest = self.text[at..].chars();
        let Some(c) = rest.next() else { return 0 };
        if let 'ㅋ' | 'ㅎ' = c {
            // Laughter, which is in most texts.
            let count = 1 + rest.take_while(|next| *next == c).count();
            self.add_laughter(jamo(c), count);
            return count * c.len_utf8();
        }
        match composed(c, rest.as_str()) {
            Some((syllable, behind)) => {
                self.add_syllables(std::iter::once(syllable));
                self.text.len() - at - behind.len()
            }
            None => {
                self.add_rare(c, at);
                c.len_utf8()
            }
        }
    }

    fn add_rare(&mut self, c: char, at: usize) {
        self.seen = self.seen.and(Seen::of_char(c));
        match c {
            'ㄳ' | 'ㅄ' => {
                let first = if c == 'ㄳ' { jamo('ㄱ') } else { jamo('ㅂ') };
                self.add_jamo(first, Traits::OPENS);
                self.add_jamo(jamo('ㅅ'), Traits::CLOSES);
            }
            '\u{3131}'..='\u{3163}' => self.add_jamo(jamo(c), Traits::LETTER),
            _ => {
                let mut is_visible = false;
                fold(c, |sign| {
                    is_visible = true;
                    self.seen = self.seen.and(Seen::of(sign));
                    self.spelling_symbols += u32::from(spells_alone(sign));
                    match sign {
                        // Part of a syllable, or not.
                        Sign::Jamo(_) => self.may_match = true,
                        sign => self.add_folded(sign),
                    }
                });
                if !stands_alone(c) {
                    // Halves of a flag join each other alone.
                    let is_flag = matches!(c, '\u{1F1E6}'..='\u{1F1FF}');
                    self.is_unclear |= is_visible && !is_flag;
                    self.is_i_joined |= self.text.as_bytes()[..at].ends_with(b"I");
                    self.joins = true;
                }
            }
        }
    }

    /// Adds a sign that a character outside ASCII stands for.
    fn add_folded(&mut self, sign: Sign) {
        match sign {
            Sign::Mark('!') => {
                self.add_sign(sign);
                self.follows_exclamation = true;
            }
            Sign::Mark('@' | '$' | '+' | '*' | '#' | '|' | '%' | '&' | '^') => {
                self.letters.may_have_leet = true;
                self.add_sign(sign);
            }
            sign => self.add_sign(sign),
        }
    }

    #[inline]
    fn add_sign(&mut self, sign: Sign) {
        let follows_exclamation = std::mem::take(&mut self.follows_exclamation);
        match sign {
            Sign::Latin { letter, .. } => {
                self.follows_exclamation = follows_exclamation;
                self.add_letters(&[letter], false);
                return;
            }
            Sign::Jamo(jamo) => {
                self.add_jamo(jamo, Traits::LETTER);
                return;
            }
            Sign::Space => {
                self.add_space();
                return;
            }
            Sign::Mark('\'' | '’') => {
                self.hangul.skipped.marks += 1;
                self.letters.skip_wall();
            }
            Sign::Symbol('€') => {
                self.hangul.skipped.marks += 1;
                self.letters.add_symbol(b'e', b'e');
            }
            Sign::Mark(_) | Sign::Symbol(_) => {
                self.hangul.skipped.marks += 1;
                self.letters.skip_mark();
            }
            Sign::Digit(digit) => {
                self.hangul.skipped.digits += 1;
                self.has_leet = true;
                if self.has_letters {
                    self.letters.may_have_leet |= follows_exclamation;
                    self.letters.add_digit(digit);
                } else {
                    self.letters.skip_wall();
                }
            }
            Sign::Letter(_) => {
                self.hangul.skipped.intruders += 1;
                self.letters.skip_wall();
            }
        }
        self.adjacent.add_sign(sign);
    }

    /// Adds a jamo on its own.
    fn add_jamo(&mut self, jamo: u8, traits: Traits) {
        self.seen = self.seen.and(Seen::JAMO);
        self.follows_exclamation = false;
        self.letters.skip_wall();
        self.adjacent.add_jamo(jamo);
        self.may_match |= self.hangul.add_jamo(jamo, traits);
    }

    /// Adds adjacent jamo of laughter.
    fn add_laughter(&mut self, jamo: u8, count: usize) {
        self.add_jamo(jamo, Traits::LETTER);
        self.hangul.skipped.intruders += count as u32 - 1;
    }

    /// Whether some word may end with the text, or the text has what only a reading understands.
    fn may_end(&self, words: &[Automaton; 4]) -> bool {
        let (seen, text) = (self.seen, self.text);
        let Letters { may_have_word, may_have_leet, .. } = self.letters;
        let may_have_leet = may_have_leet || self.has_leet && !self.has_letters;
        let [leet, mixed] = [Alphabet::Leet, Alphabet::Mixed].map(|alphabet| &words[alphabet as usize]);
        self.is_unclear && seen.has(Seen::JAMO)
            || self.is_i_joined
            || self.hangul.may_end()
            || may_have_leet && seen.has(Seen::LATIN) && !leet.is_empty()
            || self.spelling_symbols > 1 && !seen.has(Seen::LATIN) && !leet.is_empty()
            || may_have_word && latin::may_match(words, text)
            || self.adjacent.may_have_word && mixed.may_occur_in(seen) && mixed::may_match(mixed, text)
    }
}
