//! The latest Latin letters of a text, in each way to read them: plain letters, and leetspeak, where digits and symbols
//! stand for letters and some of them for an `i` or an `l`. Most texts have the same letters either way, and then one
//! stands for all.

use super::grams::{BLOT, Grams, Latest};
use crate::stream::{MASKED, stands_for};

#[derive(Debug)]
pub(super) struct Letters<'f> {
    words: &'f Grams,
    /// Words with letters that are blotted out.
    blotted: &'f Grams,
    plain: Latest,
    /// Nothing was added since the last wall.
    is_walled: bool,
    /// With digits and symbols as letters. None: as `plain`.
    with_i: Option<Latest>,
    /// The same, with an `l` where `with_i` has an `i` for a character that may be either. None: as `with_i`.
    with_l: Option<Latest>,
    /// Since the last wall, which no word goes on after: letters of a word; a digit or a symbol for a letter; a letter
    /// that is blotted out.
    has_hit: bool,
    has_leet: bool,
    has_blot: bool,
    /// Some word may be there, if only an `I` stands for another letter.
    pub(super) may_have_word: bool,
    /// Some word may be there in leetspeak.
    pub(super) may_have_leet: bool,
}

impl<'f> Letters<'f> {
    pub(super) fn new(words: &'f Grams, blotted: &'f Grams) -> Letters<'f> {
        Letters {
            words,
            blotted,
            plain: Latest::default(),
            is_walled: false,
            with_i: None,
            with_l: None,
            has_hit: false,
            has_leet: false,
            has_blot: false,
            may_have_word: false,
            may_have_leet: false,
        }
    }

    /// Adds adjacent letters: of ASCII, or lower-case ones that others stand for.
    #[inline]
    pub(super) fn add(&mut self, letters: &[u8], has_capital_i: bool) {
        if has_capital_i {
            self.with_l.get_or_insert(self.with_i.unwrap_or(self.plain));
        }
        self.is_walled = false;
        let mut is_hit = self.words.may_have(&mut self.plain, letters, std::convert::identity);
        if self.is_ambiguous() {
            is_hit |= self.add_ambiguous(letters);
        }
        if is_hit {
            self.hit();
        }
    }

    /// Whether the ways differ in the latest letters.
    #[inline]
    fn is_ambiguous(&self) -> bool {
        self.with_i.is_some() || self.with_l.is_some()
    }

    fn add_ambiguous(&mut self, letters: &[u8]) -> bool {
        let Letters { words, blotted, has_blot, .. } = *self;
        let add = |latest: &mut Option<Latest>, capital_i: u8| {
            let Some(latest) = latest else { return false };
            let read = |letter| if letter == b'I' { capital_i } else { letter };
            match has_blot {
                true => words.may_have_blotted(blotted, latest, letters, read),
                false => words.may_have(latest, letters, read),
            }
        };
        add(&mut self.with_i, b'i') | add(&mut self.with_l, b'l')
    }

    /// Adds a digit, from `0` to `9`.
    pub(super) fn add_digit(&mut self, digit: u8) {
        match stands_for(digit, b'i').zip(stands_for(digit, b'l')) {
            Some((with_i, with_l)) => {
                self.add_leet(with_i, with_l);
                self.plain.skip_wall();
            }
            None => self.skip_wall(),
        }
    }

    /// Adds a symbol that stands for a letter, or for another one where characters that may be either are an `l`.
    pub(super) fn add_symbol(&mut self, with_i: u8, with_l: u8) {
        self.add_leet(with_i, with_l);
        self.plain.skip_mark();
    }

    fn add_leet(&mut self, with_i: u8, with_l: u8) {
        let latest = *self.with_i.get_or_insert(self.plain);
        if with_i != with_l {
            self.with_l.get_or_insert(latest);
        }
        self.has_blot |= with_i == MASKED;
        (self.has_leet, self.is_walled) = (true, false);
        let Letters { words, blotted, .. } = *self;
        let add = |latest: &mut Option<Latest>, letter: u8| {
            let code = if letter == MASKED { BLOT } else { letter };
            latest
                .as_mut()
                .is_some_and(|latest| words.may_have_blotted(blotted, latest, &[code], std::convert::identity))
        };
        let is_hit = add(&mut self.with_i, with_i) | add(&mut self.with_l, with_l);
        if is_hit || self.has_hit {
            self.hit();
        }
    }

    fn hit(&mut self) {
        (self.has_hit, self.may_have_word) = (true, true);
        self.may_have_leet |= self.has_leet;
    }

    /// Skips a space.
    #[inline]
    pub(super) fn skip_space(&mut self) {
        self.plain.skip_space();
        if self.is_ambiguous() {
            self.skip_ambiguous(Latest::skip_space);
        }
    }

    /// Skips punctuation or a symbol.
    #[inline]
    pub(super) fn skip_mark(&mut self) {
        self.plain.skip_mark();
        if self.is_ambiguous() {
            self.skip_ambiguous(Latest::skip_mark);
        }
    }

    /// Skips what no word goes on after.
    #[inline]
    pub(super) fn skip_wall(&mut self) {
        if std::mem::replace(&mut self.is_walled, true) {
            return;
        }
        self.plain.skip_wall();
        (self.with_i, self.with_l) = (None, None);
        (self.has_hit, self.has_leet, self.has_blot) = (false, false, false);
    }

    /// Skips something in the ways that differ, which may end the difference.
    #[inline(never)]
    fn skip_ambiguous(&mut self, skip: impl Fn(&mut Latest)) {
        self.with_i.iter_mut().for_each(&skip);
        self.with_l.iter_mut().for_each(&skip);
        self.with_i = self.with_i.filter(|latest| !latest.is_as(&self.plain));
        let with_i = self.with_i.unwrap_or(self.plain);
        self.with_l = self.with_l.filter(|latest| !latest.is_as(&with_i));
    }
}
