//! Latin letters, read in two ways: plain letters only, or leetspeak, where digits and symbols stand for letters. `1`,
//! `!`, `|` and `I` can stand for `i` or `l`, so leetspeak is read once for each. Letters that stand alone form one
//! word (`s h i t`). A repeated letter is one symbol that knows how often it was written.

use super::{Gap, Place, Skipped, Source, Stream};
use crate::reading::{Glyph, Reading};
use crate::sign::Sign;

/// A letter that was blotted out: `f*ck`.
pub(crate) const MASKED: u8 = b'*';

/// Reads the letters into `stream`.
pub(crate) fn latin(reading: &Reading<'_>, stream: &mut Stream) {
    read(reading, stream, |glyphs, at| match glyphs[at].sign {
        Sign::Latin { letter, foreign } => Some((letter, source(foreign))),
        _ => None,
    });
}

/// Reads the letters and whatever may stand for one into `stream`. `either` is read for a character that can be `i` or
/// `l`.
pub(crate) fn leet(reading: &Reading<'_>, either: u8, stream: &mut Stream) {
    read(reading, stream, |glyphs, at| match glyphs[at].sign {
        Sign::Latin { .. } if glyphs[at].is_capital_i => Some((either, Source::Letter)),
        Sign::Latin { letter, foreign } => Some((letter, source(foreign))),
        Sign::Digit(digit) => stands_for(digit, either).map(|letter| (letter, Source::Digit)),
        Sign::Symbol('€') => Some((b'e', Source::Symbol)),
        Sign::Mark(mark) => {
            let sign = |at: usize| glyphs.get(at).map(|glyph| glyph.sign);
            spells(sign, at, mark, either).map(|letter| (letter, Source::Symbol))
        }
        Sign::Space | Sign::Jamo(_) | Sign::Letter(_) | Sign::Symbol(_) => None,
    });
}

fn source(foreign: bool) -> Source {
    if foreign { Source::Foreign } else { Source::Letter }
}

/// The letter that a digit stands for.
pub(crate) fn stands_for(digit: u8, either: u8) -> Option<u8> {
    match digit {
        b'1' => Some(either),
        b'2' => None,
        _ => Some(b"o__easgtbg"[usize::from(digit - b'0')]),
    }
}

/// Whether it stands for a letter also where no letter and no digit is around. A word can have nothing but such symbols:
/// `@$$`.
pub(crate) fn spells_alone(sign: Sign) -> bool {
    matches!(sign, Sign::Mark('@' | '$') | Sign::Symbol('€'))
}

/// The letter that the symbol at this place stands for, if it does. `sign`: the sign at any place of the text.
pub(crate) fn spells(sign: impl Fn(usize) -> Option<Sign>, at: usize, mark: char, either: u8) -> Option<u8> {
    let is_letter = |at: usize| matches!(sign(at), Some(Sign::Latin { .. } | Sign::Digit(_)));
    let is_symbol = |at: usize| matches!(sign(at), Some(Sign::Mark('*' | '!' | '|' | '@' | '$' | '#' | '+')));
    let is_plus = |at: usize| matches!(sign(at), Some(Sign::Mark('+')));
    let is_after_letter = || (0..at).rev().take(4).find(|at| !is_symbol(*at)).is_some_and(is_letter);
    let is_inside = || {
        let after = (at + 1..).take(4).find(|at| !is_symbol(*at));
        is_after_letter() && after.is_some_and(is_letter)
    };
    match mark {
        '*' | '#' | '%' | '&' | '^' | '@' | '$' | '!' | '?' | '+' if is_blotted(&sign, at) => Some(MASKED),
        '@' => Some(b'a'),
        '$' => Some(b's'),
        // `sh!+`: the plus, which is a letter only at the end, comes next.
        '!' | '|' if is_inside() || is_plus(at + 1) && is_after_letter() => Some(either),
        '+' if is_after_letter() => Some(b't'),
        '*' | '#' if is_inside() => Some(MASKED),
        _ => None,
    }
}

/// Whether the symbol at this place is one of several that blot out the rest of a word: `f***`, `sh%@`, `f@#k`.
fn is_blotted(sign: impl Fn(usize) -> Option<Sign>, at: usize) -> bool {
    const SYMBOLS: &[char] = &['*', '#', '%', '&', '^', '@', '$', '!', '?', '+'];
    const BLOTS: &[char] = &['*', '#', '%', '&', '^'];
    /// The longest word that is blotted out has fewer letters.
    const MOST: usize = 8;
    let symbol = |at: usize| match sign(at) {
        Some(Sign::Mark(c)) if SYMBOLS.contains(&c) => Some(c),
        _ => None,
    };
    let is_letter = |at: usize| matches!(sign(at), Some(Sign::Latin { .. }));
    let first = (at.saturating_sub(MOST)..=at).rev().take_while(|at| symbol(*at).is_some()).last().unwrap_or(at);
    let length = (first..first + MOST).take_while(|at| symbol(*at).is_some()).count();
    let mut run = (first..first + length).filter_map(symbol);
    let follows_letter = first > 0 && is_letter(first - 1);
    let is_long = length > 1;
    follows_letter && is_long && run.any(|c| BLOTS.contains(&c))
}

#[inline]
fn read(reading: &Reading<'_>, stream: &mut Stream, letter: impl Fn(&[Glyph], usize) -> Option<(u8, Source)>) {
    stream.clear();
    let (mut skipped, mut is_wall, mut word) = (Skipped::default(), false, OpenWord::default());
    for (at, glyph) in reading.glyphs.iter().enumerate() {
        let Some((letter, source)) = letter(&reading.glyphs, at) else {
            match glyph.sign {
                // `who're` is two words, and not `whore`.
                Sign::Mark('\'' | '’') => is_wall = true,
                Sign::Space => skipped.spaces += 1,
                Sign::Mark(_) | Sign::Symbol(_) => skipped.marks += 1,
                _ => is_wall = true,
            }
            continue;
        };
        let skipped = skipped.take();
        let gap = if std::mem::take(&mut is_wall) { Gap::Wall } else { skipped };
        let place = Place { in_syllable: false, ..Place::of(glyph, gap, source) };
        if gap > Gap::Spelled {
            word = word.next(stream);
        } else if let (Some(last), Some(before)) = (stream.places.last_mut(), stream.symbols.last())
            && *before == letter
        {
            last.repeat(&place);
            continue;
        }
        stream.push(letter, place);
    }
    word.next(stream);
}

/// Letters between two gaps.
#[derive(Default)]
struct OpenWord {
    /// Its first symbol.
    start: usize,
    /// The word before it is one letter, and its repetitions.
    follows_lone_letter: bool,
}

impl OpenWord {
    /// Ends this word and begins the next. Letters that stand alone next to each other form one word.
    fn next(self, stream: &mut Stream) -> OpenWord {
        let is_lone = stream.symbols.len() == self.start + 1;
        if is_lone && self.follows_lone_letter && stream.places[self.start].gap != Gap::Wall {
            stream.places[self.start].gap = Gap::Spelled;
            if stream.symbols[self.start - 1] == stream.symbols[self.start] {
                let place = stream.places[self.start];
                stream.pop();
                stream.places[self.start - 1].repeat(&place);
            }
        }
        OpenWord { start: stream.symbols.len(), follows_lone_letter: is_lone }
    }
}

impl Place {
    /// Adds a repetition of the same letter.
    fn repeat(&mut self, place: &Place) {
        self.last = place.last;
        self.times += place.times;
        self.source = match (self.source, place.source) {
            // `A5s` is a model's name. `4s$` is not.
            (Source::Digit, _) | (_, Source::Digit) => Source::Digit,
            (Source::Symbol, written) => written,
            (written, _) => written,
        };
    }
}
