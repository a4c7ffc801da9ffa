//! The streams of Hangul, as [`stream::hangul`](crate::stream::hangul) reads them: as written, and with what is drawn out
//! shortened. They are one until something is drawn out.

use super::track::Track;
use crate::filter::automaton::Automaton;
use crate::sign::Syllable;
use crate::stream::{EU, Gap, IEUNG, Skipped, Traits, is_laughter, lengthens};

#[derive(Debug)]
pub(super) struct Hangul<'f> {
    shortened: Track<'f>,
    /// None: nothing is drawn out so far.
    drawn_out: Option<Track<'f>>,
    pub(super) skipped: Skipped,
    /// The last jamo of the shortened stream; 0: none yet.
    last: u8,
    is_last_in_syllable: bool,
}

impl Hangul<'_> {
    pub(super) fn new(automaton: &Automaton) -> Hangul<'_> {
        Hangul {
            shortened: Track::new(automaton),
            drawn_out: None,
            skipped: Skipped::default(),
            last: 0,
            is_last_in_syllable: false,
        }
    }

    /// Adds a syllable. Whether some word may end before it or in it.
    #[inline]
    pub(super) fn add_syllable(&mut self, syllable: Syllable) -> bool {
        let gap = self.skipped.take();
        let is_drawn_out =
            gap == Gap::None && syllable.lead == IEUNG && self.last != 0 && lengthens(self.last, syllable.vowel);
        if is_drawn_out && self.drawn_out.is_none() {
            self.drawn_out = Some(self.shortened.clone());
        }
        let mut may_end = self.drawn_out.as_mut().is_some_and(|track| add_syllable(track, gap, syllable));
        if !is_drawn_out {
            may_end |= add_syllable(&mut self.shortened, gap, syllable);
            self.last = syllable.vowel;
            self.is_last_in_syllable = true;
        } else if let Some(tail) = syllable.tail {
            // It closes the syllable that is drawn out.
            self.shortened.recent.reopen_last();
            may_end |= self.shortened.may_end(!self.is_last_in_syllable);
            self.shortened.push(tail, gap, Traits::CLOSES.and(Traits::IN_SYLLABLE));
            self.is_last_in_syllable = true;
        }
        self.last = syllable.tail.unwrap_or(self.last);
        may_end
    }

    /// Adds a jamo on its own. Whether some word may end before it.
    pub(super) fn add_jamo(&mut self, jamo: u8, traits: Traits) -> bool {
        if is_laughter(jamo) {
            self.skipped.intruders += 1;
            return false;
        }
        let gap = self.skipped.take();
        let is_drawn_out = gap == Gap::None
            && self.last != 0
            && (jamo == self.last || jamo == EU && self.is_last_in_syllable || lengthens(self.last, jamo));
        if is_drawn_out && self.drawn_out.is_none() {
            self.drawn_out = Some(self.shortened.clone());
        }
        let mut may_end = self.drawn_out.as_mut().is_some_and(|track| add_jamo(track, gap, jamo, traits));
        if !is_drawn_out {
            may_end |= add_jamo(&mut self.shortened, gap, jamo, traits);
            (self.last, self.is_last_in_syllable) = (jamo, false);
        }
        may_end
    }

    /// Whether some word may end with the text.
    pub(super) fn may_end(&self) -> bool {
        self.shortened.may_end(true) || self.drawn_out.as_ref().is_some_and(|track| track.may_end(true))
    }
}

#[inline]
fn add_syllable(track: &mut Track<'_>, gap: Gap, syllable: Syllable) -> bool {
    let Syllable { lead, vowel, tail } = syllable;
    let mut may_end = track.may_end(is_border(track, gap, true));
    track.push(lead, gap, Traits::OPENS.and(Traits::IN_SYLLABLE));
    match tail {
        None => track.push(vowel, Gap::None, Traits::CLOSES.and(Traits::IN_SYLLABLE)),
        Some(tail) => {
            track.push(vowel, Gap::None, Traits::IN_SYLLABLE);
            may_end |= track.may_end(false);
            track.push(tail, Gap::None, Traits::CLOSES.and(Traits::IN_SYLLABLE));
        }
    }
    may_end
}

fn add_jamo(track: &mut Track<'_>, gap: Gap, jamo: u8, traits: Traits) -> bool {
    let may_end = track.may_end(is_border(track, gap, false));
    track.push(jamo, gap, traits);
    may_end
}

/// Whether a word may end before the next jamo: there is a gap, or only one of the two is part of a syllable.
#[inline]
fn is_border(track: &Track<'_>, gap: Gap, is_in_syllable: bool) -> bool {
    let is_changed = || track.recent.nth_last(0).is_none_or(|last| last.is(Traits::IN_SYLLABLE) != is_in_syllable);
    gap != Gap::None || is_changed()
}
