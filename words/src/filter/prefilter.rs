//! Looks for texts without a match, as most are. It reads a text once, by the rules of `stream`, and keeps nothing but the
//! latest symbols; where it would need more, the text may have a match. Then the search begins anew, with a reading.

mod bloom;
mod grams;
mod hangul;
mod latin;
mod mixed;
mod openings;
mod track;

use grams::Latest;
pub(super) use grams::{CollectedGrams, Grams};
use hangul::Hangul;
pub(super) use openings::{CollectedOpenings, Openings};

use super::automaton::Automaton;
use crate::grapheme::stands_alone;
use crate::judge::Alphabet;
use crate::reading::Seen;
use crate::sign::{Sign, fold, fold_ascii, jamo, syllable};
use crate::stream::Traits;

/// Syllables and letters without which a text has no word.
#[derive(Debug)]
pub(super) struct Beginnings {
    pub(super) hangul: Openings,
    pub(super) latin: Grams,
}

/// Whether the text may have a match of these automata, which are by [`Alphabet`]. False: it has none.
pub(super) fn may_match(words: &[Automaton; 4], beginnings: &Beginnings, text: &str) -> bool {
    let mut prefilter = Prefilter {
        hangul: Hangul::new(&words[Alphabet::Hangul as usize], &beginnings.hangul),
        latin: &beginnings.latin,
        letters: Latest::default(),
        letters_with_l: None,
        may_have_latin: false,
        seen: Seen::default(),
        follows_exclamation: false,
        has_joining: false,
        is_unclear: false,
        may_match: false,
    };
    let has_leet_words = !words[Alphabet::Leet as usize].is_empty();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c.is_ascii_alphabetic() {
            let begin = text.len() - chars.as_str().len() - 1;
            let (mut end, mut has_capital_i) = (begin, false);
            while let Some(letter) = text.as_bytes().get(end).filter(|byte| byte.is_ascii_alphabetic()) {
                has_capital_i |= *letter == b'I';
                end += 1;
            }
            prefilter.add_letters(&text.as_bytes()[begin..end], has_capital_i);
            chars = text[end..].chars();
        } else {
            prefilter.add(c);
        }
        // Leetspeak is left to a reading, so nothing more need be known of such a text.
        if prefilter.may_match || has_leet_words && prefilter.seen.has(Seen::LATIN.and(Seen::LEET)) {
            return true;
        }
    }
    prefilter.may_end(words, text) || {
        let mixed = &words[Alphabet::Mixed as usize];
        mixed.may_occur_in(prefilter.seen) && mixed::may_match(mixed, text)
    }
}

struct Prefilter<'f> {
    hangul: Hangul<'f>,
    latin: &'f Grams,
    letters: Latest,
    /// Each `I` as an `l`. None: no `I` so far.
    letters_with_l: Option<Latest>,
    /// Letters of a Latin word were there.
    may_have_latin: bool,
    seen: Seen,
    follows_exclamation: bool,
    /// A character may form a grapheme with its neighbours.
    has_joining: bool,
    /// A grapheme may have letters of several characters.
    is_unclear: bool,
    may_match: bool,
}

impl Prefilter<'_> {
    /// Adds adjacent letters: of ASCII, or lower-case ones that others stand for.
    #[inline]
    fn add_letters(&mut self, letters: &[u8], has_capital_i: bool) {
        self.seen = self.seen.and(Seen::LATIN);
        if std::mem::take(&mut self.follows_exclamation) {
            self.seen = self.seen.and(Seen::LEET);
        }
        self.hangul.skipped.intruders += letters.len() as u32;
        if has_capital_i {
            self.seen = self.seen.and(Seen::of_ascii(b'I'));
            self.letters_with_l.get_or_insert(self.letters);
        }
        if let Some(latest) = &mut self.letters_with_l {
            let letters = letters.iter().map(|letter| if *letter == b'I' { b'l' } else { *letter });
            self.may_have_latin |= self.latin.may_have(latest, letters);
        }
        self.may_have_latin |= self.latin.may_have(&mut self.letters, letters.iter().copied());
    }

    /// Adds a character that is no letter of ASCII.
    #[inline]
    fn add(&mut self, c: char) {
        if c.is_ascii() {
            if let Some(sign) = fold_ascii(c as u8) {
                self.seen = self.seen.and(Seen::of_ascii(c as u8));
                self.add_sign(sign);
            }
        } else if let Some(syllable) = syllable(c) {
            self.seen = self.seen.and(Seen::JAMO);
            self.follows_exclamation = false;
            self.each_letters(Latest::skip_wall);
            self.may_match |= self.hangul.add_syllable(syllable);
        } else {
            self.add_other(c);
        }
    }

    fn add_other(&mut self, c: char) {
        self.seen = self.seen.and(Seen::of_char(c));
        match c {
            'ㄳ' | 'ㅄ' => {
                let first = if c == 'ㄳ' { jamo('ㄱ') } else { jamo('ㅂ') };
                self.add_jamo(first, Traits::OPENS);
                self.add_jamo(jamo('ㅅ'), Traits::CLOSES);
            }
            '\u{3131}'..='\u{3163}' => self.add_jamo(jamo(c), Traits::LETTER),
            _ => {
                let (is_alone, mut is_visible) = (stands_alone(c), false);
                fold(c, |sign| {
                    is_visible = true;
                    self.seen = self.seen.and(Seen::of(sign));
                    match sign {
                        // Part of a syllable, or not.
                        Sign::Jamo(_) => self.may_match = true,
                        sign => self.add_sign(sign),
                    }
                });
                self.has_joining |= !is_alone;
                self.is_unclear |= !is_alone && is_visible;
            }
        }
    }

    #[inline]
    fn add_sign(&mut self, sign: Sign) {
        let is_exclamation = matches!(sign, Sign::Mark('!'));
        if std::mem::replace(&mut self.follows_exclamation, is_exclamation)
            && matches!(sign, Sign::Digit(_) | Sign::Latin { .. })
        {
            self.seen = self.seen.and(Seen::LEET);
        }
        match sign {
            Sign::Latin { letter, .. } => self.add_letters(&[letter], false),
            Sign::Space => {
                self.hangul.skipped.spaces += 1;
                self.each_letters(Latest::skip_space);
            }
            Sign::Mark('\'' | '’') => {
                self.hangul.skipped.marks += 1;
                self.each_letters(Latest::skip_wall);
            }
            Sign::Mark(_) | Sign::Symbol(_) => {
                self.hangul.skipped.marks += 1;
                self.each_letters(Latest::skip_mark);
            }
            Sign::Digit(_) => {
                self.hangul.skipped.digits += 1;
                self.each_letters(Latest::skip_wall);
            }
            Sign::Letter(_) => {
                self.hangul.skipped.intruders += 1;
                self.each_letters(Latest::skip_wall);
            }
            Sign::Jamo(jamo) => self.add_jamo(jamo, Traits::LETTER),
        }
    }

    #[inline]
    fn each_letters(&mut self, change: impl Fn(&mut Latest)) {
        change(&mut self.letters);
        self.letters_with_l.iter_mut().for_each(change);
    }

    /// Adds a jamo on its own.
    fn add_jamo(&mut self, jamo: u8, traits: Traits) {
        self.seen = self.seen.and(Seen::JAMO);
        self.follows_exclamation = false;
        self.each_letters(Latest::skip_wall);
        self.may_match |= self.hangul.add_jamo(jamo, traits);
    }

    /// Whether some word may end with the text, or the text has what only a reading understands.
    fn may_end(&self, words: &[Automaton; 4], text: &str) -> bool {
        let seen = self.seen;
        self.is_unclear && seen.has(Seen::JAMO)
            || self.has_joining && seen.has(Seen::LATIN.and(Seen::CAPITAL_I))
            || self.hangul.may_end()
            || self.may_have_latin && latin::may_match(words, text)
    }
}
