//! A text as a sequence of signs. Each sign knows its grapheme, because a match covers whole graphemes.

use std::ops::Range;

use crate::grapheme::for_each_grapheme;
use crate::sign::{Sign, fold, fold_ascii};

/// A folded text.
#[derive(Debug)]
pub(crate) struct Reading<'t> {
    text: &'t str,
    pub(crate) glyphs: Vec<Glyph>,
    /// Where each grapheme begins, and where the last one ends. Empty for ASCII: each byte is a grapheme.
    starts: Vec<usize>,
    pub(crate) seen: Seen,
}

/// The memory of a reading, for the next one.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    glyphs: Vec<Glyph>,
    starts: Vec<usize>,
}

/// A sign in its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Glyph {
    pub(crate) sign: Sign,
    /// Its grapheme, counted from 0.
    pub(crate) unit: u32,
    /// The first sign of its grapheme, and the last.
    pub(crate) opens: bool,
    pub(crate) closes: bool,
    /// Part of a Hangul syllable, and not a jamo on its own.
    pub(crate) in_syllable: bool,
    /// Its grapheme is `I`, which is often meant as an `l`.
    pub(crate) is_capital_i: bool,
}

/// What a text has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen(u8);

impl Seen {
    pub(crate) const JAMO: Seen = Seen(1);
    pub(crate) const LATIN: Seen = Seen(1 << 1);
    pub(crate) const DIGIT: Seen = Seen(1 << 2);
    pub(crate) const OTHER: Seen = Seen(1 << 3);
    /// A digit or a symbol that may stand for a letter.
    pub(crate) const LEET: Seen = Seen(1 << 4);
    pub(crate) const CAPITAL_I: Seen = Seen(1 << 5);
    /// A `1`, `!`, `|` or `I`, each of which may stand for an `i` or an `l`.
    pub(crate) const EITHER: Seen = Seen(1 << 6);
    /// A `!`, which stands for a letter only before another.
    const EXCLAMATION: Seen = Seen(1 << 7);

    /// Whether the text has all of this.
    #[inline]
    pub(crate) fn has(self, other: Seen) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the text has any of this.
    pub(crate) fn has_any(self, other: Seen) -> bool {
        self.0 & other.0 != 0
    }

    #[inline]
    pub(crate) const fn and(self, other: Seen) -> Seen {
        Seen(self.0 | other.0)
    }

    /// What a text with this byte of ASCII has.
    #[inline]
    pub(crate) const fn of_ascii(byte: u8) -> Seen {
        SEEN_IN_ASCII[(byte & 127) as usize]
    }

    /// What a character is as written.
    #[inline]
    pub(crate) const fn of_char(c: char) -> Seen {
        match c {
            'I' => Seen::CAPITAL_I.and(Seen::EITHER),
            '1' | '!' | '|' | '１' => Seen::EITHER,
            _ => Seen(0),
        }
    }

    /// What of it are letters, digits and symbols.
    pub(crate) fn letters(self) -> Seen {
        Seen(self.0 & Seen::JAMO.and(Seen::LATIN).and(Seen::DIGIT).and(Seen::OTHER).0)
    }

    /// What a text with this sign has.
    #[inline]
    pub(crate) const fn of(sign: Sign) -> Seen {
        match sign {
            Sign::Jamo(_) => Seen::JAMO,
            Sign::Latin { .. } => Seen::LATIN,
            Sign::Digit(b'2') => Seen::DIGIT,
            Sign::Digit(_) => Seen::DIGIT.and(Seen::LEET),
            Sign::Symbol('€') => Seen::OTHER.and(Seen::LEET),
            Sign::Letter(_) | Sign::Symbol(_) => Seen::OTHER,
            Sign::Mark('@' | '$' | '+' | '*' | '#' | '|' | '%' | '&' | '^') => Seen::LEET,
            Sign::Mark('!') => Seen::EXCLAMATION,
            Sign::Mark(_) | Sign::Space => Seen(0),
        }
    }
}

/// What a text with this byte of ASCII has.
const SEEN_IN_ASCII: [Seen; 128] = {
    let (mut seen, mut byte) = ([Seen(0); 128], 0);
    while byte < 128 {
        if let Some(sign) = fold_ascii(byte) {
            seen[byte as usize] = Seen::of(sign).and(Seen::of_char(byte as char));
        }
        byte += 1;
    }
    seen
};

impl<'t> Reading<'t> {
    pub(crate) fn new(text: &'t str) -> Reading<'t> {
        Reading::with_buffers(text, Buffers::default())
    }

    pub(crate) fn with_buffers(text: &'t str, buffers: Buffers) -> Reading<'t> {
        let Buffers { mut glyphs, mut starts } = buffers;
        glyphs.clear();
        starts.clear();
        let mut reading = Reading { text, glyphs, starts, seen: Seen::default() };
        if text.is_ascii() {
            reading.add_ascii();
        } else {
            reading.starts.reserve(text.len() / 2);
            for_each_grapheme(text, |start, grapheme| reading.add(start, grapheme));
            reading.starts.push(text.len());
        }
        reading.look_for_exclamations();
        reading
    }

    /// Reads a text of these graphemes.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn of_graphemes(text: &'t str, graphemes: impl Iterator<Item = (usize, &'t str)>) -> Reading<'t> {
        let mut reading = Reading { text, glyphs: Vec::new(), starts: Vec::new(), seen: Seen::default() };
        graphemes.for_each(|(start, grapheme)| reading.add(start, grapheme));
        reading.starts.push(text.len());
        reading
    }

    pub(crate) fn into_buffers(self) -> Buffers {
        Buffers { glyphs: self.glyphs, starts: self.starts }
    }

    /// Each byte is a grapheme. CR LF is one by the rules, but no word begins or ends with it.
    fn add_ascii(&mut self) {
        let mut seen = Seen::default();
        let glyph = |(unit, byte): (usize, u8)| {
            let sign = fold_ascii(byte)?;
            seen = seen.and(Seen::of_ascii(byte));
            let (unit, is_capital_i) = (unit as u32, byte == b'I');
            Some(Glyph { sign, unit, opens: true, closes: true, in_syllable: false, is_capital_i })
        };
        self.glyphs.extend(self.text.bytes().enumerate().filter_map(glyph));
        self.seen = seen;
    }

    fn add(&mut self, start: usize, grapheme: &str) {
        let (unit, from) = (self.starts.len() as u32, self.glyphs.len());
        self.starts.push(start);
        let is_capital_i = grapheme == "I";
        for c in grapheme.chars() {
            self.seen = self.seen.and(Seen::of_char(c));
            fold(c, |sign| {
                self.seen = self.seen.and(Seen::of(sign));
                self.glyphs.push(Glyph { sign, unit, opens: false, closes: false, in_syllable: false, is_capital_i });
            });
        }
        let glyphs = &mut self.glyphs[from..];
        if glyphs.windows(2).any(|pair| pair[0].sign.is_consonant() && pair[1].sign.is_vowel()) {
            glyphs.iter_mut().for_each(|glyph| glyph.in_syllable = true);
        }
        if let Some(first) = glyphs.first_mut() {
            first.opens = true;
        }
        if let Some(last) = glyphs.last_mut() {
            last.closes = true;
        }
    }

    /// An exclamation mark stands for a letter only directly before a letter or a digit, or among other such symbols.
    fn look_for_exclamations(&mut self) {
        let is_letter = |sign| matches!(sign, Sign::Latin { .. } | Sign::Digit(_));
        let is_before_letter = |pair: &[Glyph]| pair[0].sign == Sign::Mark('!') && is_letter(pair[1].sign);
        if self.seen.has(Seen::EXCLAMATION) && self.glyphs.windows(2).any(is_before_letter) {
            self.seen = self.seen.and(Seen::LEET);
        }
    }

    /// The text as it was written.
    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    /// The number of graphemes.
    pub(crate) fn units(&self) -> usize {
        self.starts.len().checked_sub(1).unwrap_or(self.text.len())
    }

    /// The bytes from the first of these graphemes to the end of the last.
    pub(crate) fn bytes(&self, first: u32, last: u32) -> Range<usize> {
        let start = |unit: usize| self.starts.get(unit).copied().unwrap_or(unit);
        start(first as usize)..start(last as usize + 1)
    }

    /// One grapheme as it was written; after the last one, nothing.
    pub(crate) fn grapheme(&self, unit: u32) -> &'t str {
        if unit as usize >= self.units() { "" } else { &self.text[self.bytes(unit, unit)] }
    }
}
