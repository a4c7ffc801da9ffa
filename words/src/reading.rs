//! A text as a sequence of signs, each knowing the grapheme that it came from: what is found is found in whole graphemes.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::sign::{Memo, Sign, fold};

/// A text, read.
pub(crate) struct Reading<'t> {
    text: &'t str,
    /// Where each grapheme begins, and where the last one ends.
    starts: Vec<usize>,
    pub(crate) glyphs: Vec<Glyph>,
}

/// A sign in its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Glyph {
    pub(crate) sign: Sign,
    /// The grapheme that it is of, counted from 0.
    pub(crate) unit: u32,
    /// The first of its grapheme, and the last.
    pub(crate) opens: bool,
    pub(crate) closes: bool,
    /// Of a Hangul syllable, and not a jamo on its own.
    pub(crate) in_syllable: bool,
}

impl<'t> Reading<'t> {
    pub(crate) fn new(text: &'t str) -> Reading<'t> {
        let mut starts = Vec::with_capacity(text.len() + 1);
        let mut glyphs = Vec::with_capacity(text.len());
        let (mut memo, mut signs) = (Memo::new(), Vec::new());
        // Each character of ASCII is a grapheme, but for CR LF, with neither of which a word begins or ends.
        if text.is_ascii() {
            for (unit, c) in text.chars().enumerate() {
                starts.push(unit);
                signs.clear();
                fold(c, &mut memo, &mut signs);
                let glyph = |sign: &Sign| Glyph {
                    sign: *sign,
                    unit: unit as u32,
                    opens: true,
                    closes: true,
                    in_syllable: false,
                };
                glyphs.extend(signs.first().map(glyph));
            }
            starts.push(text.len());
            return Reading { text, starts, glyphs };
        }
        for (unit, (start, grapheme)) in text.grapheme_indices(true).enumerate() {
            starts.push(start);
            signs.clear();
            grapheme.chars().for_each(|c| fold(c, &mut memo, &mut signs));
            let in_syllable = signs.windows(2).any(|pair| pair[0].is_consonant() && pair[1].is_vowel());
            for (at, sign) in signs.iter().enumerate() {
                let (opens, closes) = (at == 0, at + 1 == signs.len());
                glyphs.push(Glyph { sign: *sign, unit: unit as u32, opens, closes, in_syllable });
            }
        }
        starts.push(text.len());
        Reading { text, starts, glyphs }
    }

    /// The text as it was written.
    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    /// How many graphemes it has.
    pub(crate) fn units(&self) -> usize {
        self.starts.len() - 1
    }

    /// The bytes of these graphemes, the last one included.
    pub(crate) fn bytes(&self, first: u32, last: u32) -> Range<usize> {
        self.starts[first as usize]..self.starts[last as usize + 1]
    }

    /// One grapheme as it was written; behind the last one, nothing.
    pub(crate) fn grapheme(&self, unit: u32) -> &str {
        if unit as usize >= self.units() { "" } else { &self.text[self.bytes(unit, unit)] }
    }
}
