//! The streams of Latin letters, as [`stream::latin`](crate::stream::latin) reads them.

use super::track::Track;
use crate::filter::automaton::Automaton;
use crate::judge::Alphabet;
use crate::sign::{Sign, fold};
use crate::stream::{Gap, Skipped, Traits};

/// Whether the text may have a word of Latin letters. `words`: by [`Alphabet`].
pub(super) fn may_match(words: &[Automaton; 4], text: &str) -> bool {
    let mut letters = LatinLetters {
        plain: Latin::new(&words[Alphabet::Latin as usize]),
        with_l: text.contains('I').then(|| Latin::new(&words[Alphabet::Leet as usize])),
    };
    for c in text.chars() {
        let mut may_end = false;
        fold(c, |sign| match sign {
            Sign::Latin { letter, .. } => may_end |= letters.add(letter, c == 'I'),
            Sign::Space => letters.each(|latin| latin.skipped.spaces += 1),
            Sign::Mark('\'' | '’') | Sign::Digit(_) | Sign::Jamo(_) | Sign::Letter(_) => {
                letters.each(|latin| latin.is_wall = true);
            }
            Sign::Mark(_) | Sign::Symbol(_) => letters.each(|latin| latin.skipped.marks += 1),
        });
        if may_end {
            return true;
        }
    }
    letters.plain.may_end() || letters.with_l.as_mut().is_some_and(Latin::may_end)
}

/// Plain letters, and leetspeak in a text where only an `I` stands for another letter.
#[derive(Debug)]
struct LatinLetters<'f> {
    plain: Latin<'f>,
    /// Each `I` as an `l`. None: the text has no `I`.
    with_l: Option<Latin<'f>>,
}

impl<'f> LatinLetters<'f> {
    /// Adds a letter. Whether some word may end before it.
    fn add(&mut self, letter: u8, is_capital_i: bool) -> bool {
        let may_end = self.plain.add(letter);
        match &mut self.with_l {
            Some(with_l) => with_l.add(if is_capital_i { b'l' } else { letter }) || may_end,
            None => may_end,
        }
    }

    #[inline]
    fn each(&mut self, mut change: impl FnMut(&mut Latin<'f>)) {
        change(&mut self.plain);
        self.with_l.iter_mut().for_each(change);
    }
}

#[derive(Debug)]
struct Latin<'f> {
    track: Track<'f>,
    /// Spaces, punctuation and symbols.
    skipped: Skipped,
    /// Anything else was skipped.
    is_wall: bool,
    /// The last two letters; 0: none.
    last: u8,
    before_last: u8,
    /// Where the current word begins.
    start: usize,
    /// The word before it is one letter.
    follows_lone_letter: bool,
}

impl Latin<'_> {
    fn new(automaton: &Automaton) -> Latin<'_> {
        Latin {
            track: Track::new(automaton),
            skipped: Skipped::default(),
            is_wall: false,
            last: 0,
            before_last: 0,
            start: 0,
            follows_lone_letter: false,
        }
    }

    /// Adds a letter. Whether some word may end before it.
    #[inline]
    fn add(&mut self, letter: u8) -> bool {
        let skipped = self.skipped.take();
        let gap = if std::mem::take(&mut self.is_wall) { Gap::Wall } else { skipped };
        let mut may_end = false;
        if gap > Gap::Spelled {
            may_end = self.end_word();
        } else if letter == self.last {
            self.track.recent.repeat_last();
            return false;
        }
        may_end |= self.track.may_end(gap != Gap::None);
        self.track.push(letter, gap, Traits::LETTER);
        self.before_last = std::mem::replace(&mut self.last, letter);
        may_end
    }

    /// Ends the current word. True: what follows depends on more than the latest symbols.
    fn end_word(&mut self) -> bool {
        let recent = &mut self.track.recent;
        let is_lone = recent.len() == self.start + 1;
        let is_joined = |gap| gap != Gap::Wall;
        if is_lone && self.follows_lone_letter && recent.nth_last(0).is_none_or(|last| is_joined(last.gap)) {
            recent.set_last_gap(Gap::Spelled);
            // The two are one symbol.
            if self.before_last == self.last {
                return true;
            }
        }
        self.start = recent.len();
        self.follows_lone_letter = is_lone;
        false
    }

    /// Whether some word may end with the text.
    fn may_end(&mut self) -> bool {
        self.end_word() || self.track.may_end(true)
    }
}
