//! The first four letters of Latin words. Repeated letters count once, whatever stands between them, and what stands
//! between letters is left out: a word is written with its letters in this order, however it is disguised. Words of fewer
//! letters are known by all of them.

use super::bloom::Bloom;

/// The beginnings of words.
#[derive(Debug, Default)]
pub(crate) struct Grams {
    fours: Bloom,
    /// Two letters of which the second is written at least twice.
    doubled: Bloom,
    /// Some word is a single letter.
    has_letter: bool,
}

/// The beginnings of words, as long as words are added.
#[derive(Debug, Default)]
pub(crate) struct CollectedGrams {
    fours: Vec<u64>,
    doubled: Vec<u64>,
    has_letter: bool,
}

/// The latest letters of a text: five bits each, 1 for `a`, 0 for none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Latest(u32);

const BITS: u32 = 5;

impl Latest {
    /// Adds a letter from `a` to `z`. False: it repeats the last one.
    #[inline]
    fn push(&mut self, letter: u8) -> bool {
        let code = u32::from(letter & 31);
        let is_new = self.0 & 31 != code;
        if is_new {
            self.0 = (self.0 << BITS | code) & ((1 << (4 * BITS)) - 1);
        }
        is_new
    }

    #[inline]
    fn last_two(self) -> u64 {
        u64::from(self.0 & ((1 << (2 * BITS)) - 1))
    }
}

impl CollectedGrams {
    /// Adds a word. `is_doubled`: its last letter is written at least twice.
    pub(crate) fn add(&mut self, letters: &[u8], is_doubled: bool) {
        let mut latest = Latest::default();
        let count = letters.iter().filter(|letter| latest.push(**letter)).count();
        match count {
            0 => {}
            1 => self.has_letter = true,
            2 if is_doubled => self.doubled.push(latest.last_two()),
            2 | 3 => {
                let free = BITS * (4 - count as u32);
                let word = latest.0 & ((1 << (BITS * count as u32)) - 1);
                self.fours.extend((0..1 << free).map(|before: u32| u64::from(before << (20 - free) | word)));
            }
            _ => {
                let mut first = Latest::default();
                let mut rest = letters.iter();
                let mut count = 0;
                while count < 4 {
                    count += u32::from(rest.next().is_some_and(|letter| first.push(*letter)));
                }
                self.fours.push(u64::from(first.0));
            }
        }
    }

    pub(crate) fn build(self) -> Grams {
        Grams { fours: Bloom::new(self.fours), doubled: Bloom::new(self.doubled), has_letter: self.has_letter }
    }
}

impl Grams {
    /// Adds a letter to the latest ones of a text. Whether some word may have been written by now.
    #[inline]
    pub(super) fn may_begin(&self, latest: &mut Latest, letter: u8) -> bool {
        if latest.push(letter) {
            self.fours.may_have(u64::from(latest.0)) || self.has_letter
        } else {
            self.doubled.may_have(latest.last_two())
        }
    }
}
