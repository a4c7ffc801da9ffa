//! The streams of Hangul, as [`stream::hangul`](crate::stream::hangul) reads them: as written, and with what is drawn
//! out shortened. They are one until something is drawn out. The automaton reads a text only from where a word may
//! begin.

use super::openings::Openings;
use super::track::Track;
use crate::filter::automaton::Automaton;
use crate::sign::Syllable;
use crate::stream::{EU, Gap, IEUNG, Skipped, Traits, is_laughter, lengthens};

/// What came of adjacent syllables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Added {
    /// Some word may end before or in one of them.
    pub(super) may_end: bool,
    pub(super) last: u32,
    pub(super) count: usize,
}

#[derive(Debug)]
pub(super) struct Hangul<'f> {
    automaton: &'f Automaton,
    openings: &'f Openings,
    pub(super) skipped: Skipped,
    /// The last two syllables, the last one first, each with the gap before it.
    latest: [Option<(u32, Gap)>; 2],
    /// None: no word can have begun before the latest syllables, which were composed.
    tracks: Option<Tracks<'f>>,
}

impl<'f> Hangul<'f> {
    pub(super) fn new(automaton: &'f Automaton, openings: &'f Openings) -> Hangul<'f> {
        Hangul { automaton, openings, skipped: Skipped::default(), latest: [None; 2], tracks: None }
    }

    /// Adds adjacent syllables by their indices.
    #[inline]
    pub(super) fn add_syllables(&mut self, first: u32, more: impl Iterator<Item = u32>) -> Added {
        let mut added = Added { may_end: self.add_syllable(first), last: first, count: 1 };
        for syllable in more {
            let begins = self.openings.may_begin(Some(added.last), syllable) || is_drawn_out(added.last, syllable);
            if begins || self.tracks.is_some() {
                added.may_end |= self.add_syllable(syllable);
            } else {
                self.latest = [Some((syllable, Gap::None)), self.latest[0]];
            }
            added = Added { last: syllable, count: added.count + 1, ..added };
        }
        added
    }

    /// Adds a syllable by its index. Whether some word may end before it or in it.
    fn add_syllable(&mut self, syllable: u32) -> bool {
        let (gap, [before, _]) = (self.skipped.take(), self.latest);
        let may_end = self.read(syllable, gap);
        self.latest = [Some((syllable, gap)), before];
        may_end
    }

    #[inline]
    fn read(&mut self, syllable: u32, gap: Gap) -> bool {
        let [last, _] = self.latest;
        if let Some(tracks) = &mut self.tracks {
            let may_end = tracks.add_syllable(Syllable::of_index(syllable), gap);
            // Some words go on from another letter, so the one before it has to be known.
            if last.is_some() && tracks.are_idle() {
                self.tracks = None;
            }
            return may_end;
        }
        let last = last.map(|(syllable, _)| syllable);
        let may_be_drawn_out = || last.is_some_and(|last| is_drawn_out(last, syllable));
        if self.openings.may_begin(last, syllable) || gap == Gap::None && may_be_drawn_out() {
            let (tracks, may_end) = self.begin();
            return tracks.add_syllable(Syllable::of_index(syllable), gap) || may_end;
        }
        false
    }

    /// Adds a jamo on its own. Whether some word may end before it.
    pub(super) fn add_jamo(&mut self, jamo: u8, traits: Traits) -> bool {
        if is_laughter(jamo) {
            self.skipped.intruders += 1;
            return false;
        }
        let gap = self.skipped.take();
        let (tracks, may_end) = self.begin();
        let may_end = tracks.add_jamo(jamo, gap, traits) || may_end;
        self.latest = [None; 2];
        may_end
    }

    /// From here on the automaton reads the text. Before it reads the two latest syllables: a word that goes on with a
    /// jamo on its own has at most two syllables before it, because it did not begin with two that were known.
    fn begin(&mut self) -> (&mut Tracks<'f>, bool) {
        let mut may_end = false;
        let tracks = self.tracks.get_or_insert_with(|| {
            let mut tracks = Tracks::new(self.automaton);
            for (syllable, gap) in self.latest.into_iter().rev().flatten() {
                may_end |= tracks.add_syllable(Syllable::of_index(syllable), gap);
            }
            tracks
        });
        (tracks, may_end)
    }

    /// Whether some word may end with the text.
    pub(super) fn may_end(&self) -> bool {
        self.tracks.as_ref().is_some_and(Tracks::may_end)
    }
}

/// Whether the second of two adjacent syllables may draw out the first.
#[inline]
fn is_drawn_out(first: u32, second: u32) -> bool {
    /// From `아`, the first syllable with a silent lead, to before `자`.
    const SILENT: std::ops::Range<u32> = '아' as u32 - '가' as u32..'자' as u32 - '가' as u32;
    SILENT.contains(&second) && {
        let (first, second) = (Syllable::of_index(first), Syllable::of_index(second));
        first.tail.is_none() && lengthens(first.vowel, second.vowel)
    }
}

#[derive(Debug)]
struct Tracks<'f> {
    shortened: Track<'f>,
    /// None: nothing is drawn out so far.
    drawn_out: Option<Track<'f>>,
    /// The symbols of the latest syllable, if all tracks end with it; otherwise 0.
    symbols: u8,
    /// The last jamo of the shortened stream; 0: none yet.
    last: u8,
    is_last_in_syllable: bool,
}

impl Tracks<'_> {
    fn new(automaton: &Automaton) -> Tracks<'_> {
        let shortened = Track::new(automaton);
        Tracks { shortened, drawn_out: None, symbols: 0, last: 0, is_last_in_syllable: false }
    }

    fn add_syllable(&mut self, syllable: Syllable, gap: Gap) -> bool {
        let is_drawn_out =
            gap == Gap::None && syllable.lead == IEUNG && self.last != 0 && lengthens(self.last, syllable.vowel);
        if is_drawn_out && self.drawn_out.is_none() {
            self.drawn_out = Some(self.shortened.clone());
        }
        let mut may_end = self.drawn_out.as_mut().is_some_and(|track| add_syllable(track, syllable, gap));
        if !is_drawn_out {
            may_end |= add_syllable(&mut self.shortened, syllable, gap);
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
        self.symbols = if is_drawn_out { 0 } else { 2 + u8::from(syllable.tail.is_some()) };
        may_end
    }

    /// Whether no word can have begun before the latest syllable.
    #[inline]
    fn are_idle(&self) -> bool {
        self.symbols > 0
            && self.shortened.is_idle(self.symbols)
            && self.drawn_out.as_ref().is_none_or(|track| track.is_idle(self.symbols))
    }

    fn add_jamo(&mut self, jamo: u8, gap: Gap, traits: Traits) -> bool {
        let is_drawn_out = gap == Gap::None
            && self.last != 0
            && (jamo == self.last || jamo == EU && self.is_last_in_syllable || lengthens(self.last, jamo));
        if is_drawn_out && self.drawn_out.is_none() {
            self.drawn_out = Some(self.shortened.clone());
        }
        self.symbols = 0;
        let mut may_end = self.drawn_out.as_mut().is_some_and(|track| add_jamo(track, jamo, gap, traits));
        if !is_drawn_out {
            may_end |= add_jamo(&mut self.shortened, jamo, gap, traits);
            (self.last, self.is_last_in_syllable) = (jamo, false);
        }
        may_end
    }

    fn may_end(&self) -> bool {
        self.shortened.may_end(true) || self.drawn_out.as_ref().is_some_and(|track| track.may_end(true))
    }
}

fn add_syllable(track: &mut Track<'_>, syllable: Syllable, gap: Gap) -> bool {
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

fn add_jamo(track: &mut Track<'_>, jamo: u8, gap: Gap, traits: Traits) -> bool {
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
