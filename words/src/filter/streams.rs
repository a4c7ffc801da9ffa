//! The streams of a text. A stream in which no word can occur is not read.

use crate::judge::Alphabet;
use crate::reading::{Reading, Seen};
use crate::stream::{Stream, hangul, latin, leet, mixed, spells_alone};

/// The streams of one text. The next text reuses their memory.
#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: [Stream; 6],
    is_read: [bool; 6],
}

/// The alphabet of each stream.
const ALPHABETS: [Alphabet; 6] =
    [Alphabet::Hangul, Alphabet::Hangul, Alphabet::Latin, Alphabet::Leet, Alphabet::Leet, Alphabet::Mixed];
const SHORTENED: usize = 0;
const DRAWN_OUT: usize = 1;
const LATIN: usize = 2;
const WITH_I: usize = 3;
const WITH_L: usize = 4;
const MIXED: usize = 5;

impl Streams {
    /// Reads the streams of single alphabets.
    pub(super) fn read(&mut self, reading: &Reading<'_>) {
        self.is_read = [false; 6];
        let seen = reading.seen;
        if seen.has(Seen::JAMO) && hangul(reading, true, self.begin(SHORTENED)) {
            hangul(reading, false, self.begin(DRAWN_OUT));
        }
        if seen.has(Seen::LATIN) {
            latin(reading, self.begin(LATIN));
        } else if reading.glyphs.iter().filter(|glyph| spells_alone(glyph.sign)).nth(1).is_none() {
            return;
        }
        // Where nothing stands for a letter, leetspeak has the same symbols, and its automaton has no words but those
        // of the plain letters.
        if seen.has(Seen::LEET) {
            leet(reading, b'i', self.begin(WITH_I));
        }
        if seen.has(Seen::EITHER) && seen.has_any(Seen::LEET.and(Seen::CAPITAL_I)) {
            leet(reading, b'l', self.begin(WITH_L));
        }
    }

    /// Reads the stream of all letters and symbols, unless it was read.
    pub(super) fn read_mixed(&mut self, reading: &Reading<'_>) {
        if !self.is_read[MIXED] {
            mixed(reading, self.begin(MIXED));
        }
    }

    /// The streams that were read.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Alphabet, &Stream)> {
        let all = ALPHABETS.into_iter().zip(&self.streams).zip(self.is_read);
        all.filter_map(|(stream, is_read)| is_read.then_some(stream))
    }

    fn begin(&mut self, at: usize) -> &mut Stream {
        self.is_read[at] = true;
        &mut self.streams[at]
    }
}
