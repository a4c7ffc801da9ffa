//! Latin letters, twice. Plain: letters only, whatever they look like. Leet: digits and symbols that are put in place of
//! letters are letters too; `1`, `!`, `|` and `I` stand for `i` and for `l`, so a text is looked at both ways. Letters that stand alone spell
//! a word together (`s h i t`), and a repeated letter is one symbol that knows how often it was written.

use super::{Gap, Place, Skipped, Source, Stream};
use crate::reading::{Glyph, Reading};
use crate::sign::Sign;

/// A letter that was blotted out: `f*ck`.
pub(crate) const MASKED: u8 = b'*';

/// The letters of a text.
pub(crate) fn latin(reading: &Reading<'_>) -> Stream {
    read(reading, |glyphs, at| match glyphs[at].sign {
        Sign::Latin { letter, foreign: false } => Some((letter, Source::Letter)),
        Sign::Latin { letter, foreign: true } => Some((letter, Source::Foreign)),
        _ => None,
    })
}

/// Whether the symbol at this place is one of those that stand for whatever is left of a word: `f***`, `sh%@`, `f@#k`.
fn is_blotted(glyphs: &[Glyph], at: usize) -> bool {
    const SYMBOLS: &[char] = &['*', '#', '%', '&', '^', '@', '$', '!', '?', '+'];
    const BLOTS: &[char] = &['*', '#', '%', '&', '^'];
    /// The longest word that is blotted out has fewer letters.
    const MOST: usize = 8;
    let symbol = |at: usize| match glyphs.get(at).map(|glyph| glyph.sign) {
        Some(Sign::Mark(c)) if SYMBOLS.contains(&c) => Some(c),
        _ => None,
    };
    let is_letter = |at: usize| matches!(glyphs.get(at), Some(Glyph { sign: Sign::Latin { .. }, .. }));
    let first = (at.saturating_sub(MOST)..=at).rev().take_while(|at| symbol(*at).is_some()).last().unwrap_or(at);
    let length = (first..first + MOST).take_while(|at| symbol(*at).is_some()).count();
    let mut run = (first..first + length).filter_map(symbol);
    let follows_letter = first > 0 && is_letter(first - 1);
    let is_long = length > 1;
    follows_letter && is_long && run.any(|c| BLOTS.contains(&c))
}

/// The letters of a text, and what may stand for one; `either` is what those stand for that can be `i` or `l`.
pub(crate) fn leet(reading: &Reading<'_>, either: u8) -> Stream {
    read(reading, |glyphs, at| {
        let is_letter =
            |at: usize| glyphs.get(at).is_some_and(|glyph| matches!(glyph.sign, Sign::Latin { .. } | Sign::Digit(_)));
        let is_symbol = |at: usize| {
            matches!(glyphs.get(at), Some(Glyph { sign: Sign::Mark('*' | '!' | '|' | '@' | '$' | '#' | '+'), .. }))
        };
        let is_behind = || (0..at).rev().take(4).find(|at| !is_symbol(*at)).is_some_and(is_letter);
        let is_plus = |at: usize| matches!(glyphs.get(at), Some(Glyph { sign: Sign::Mark('+'), .. }));
        let is_inside = || {
            let after = (at + 1..glyphs.len()).take(4).find(|at| !is_symbol(*at));
            is_behind() && after.is_some_and(is_letter)
        };
        Some(match glyphs[at].sign {
            Sign::Latin { .. } if reading.grapheme(glyphs[at].unit) == "I" => (either, Source::Letter),
            Sign::Latin { letter, foreign: false } => (letter, Source::Letter),
            Sign::Latin { letter, foreign: true } => (letter, Source::Foreign),
            Sign::Digit(b'1') => (either, Source::Digit),
            Sign::Digit(b'2') => return None,
            Sign::Digit(digit) => (b"o__easgtbg"[usize::from(digit - b'0')], Source::Digit),
            Sign::Mark('*' | '#' | '%' | '&' | '^' | '@' | '$' | '!' | '?' | '+') if is_blotted(glyphs, at) => {
                (MASKED, Source::Symbol)
            }
            Sign::Mark('@') => (b'a', Source::Symbol),
            Sign::Mark('$') => (b's', Source::Symbol),
            Sign::Other('€') => (b'e', Source::Symbol),
            // `sh!+` ends in what is a letter only there.
            Sign::Mark('!' | '|') if is_inside() || is_plus(at + 1) && is_behind() => (either, Source::Symbol),
            Sign::Mark('+') if is_behind() => (b't', Source::Symbol),
            Sign::Mark('*' | '#') if is_inside() => (MASKED, Source::Symbol),
            _ => return None,
        })
    })
}

fn read(reading: &Reading<'_>, letter: impl Fn(&[Glyph], usize) -> Option<(u8, Source)>) -> Stream {
    let mut letters = Stream::with_capacity(reading.glyphs.len());
    let (mut skipped, mut is_wall) = (Skipped::default(), false);
    for (at, glyph) in reading.glyphs.iter().enumerate() {
        let Some((letter, source)) = letter(&reading.glyphs, at) else {
            match glyph.sign {
                // `who're` is two words, and no third one.
                Sign::Mark('\'' | '’') => is_wall = true,
                Sign::Space => skipped.spaces += 1,
                Sign::Mark(_) => skipped.marks += 1,
                Sign::Other(c) if !c.is_alphanumeric() => skipped.marks += 1,
                _ => is_wall = true,
            }
            continue;
        };
        let skipped = std::mem::take(&mut skipped).gap();
        let gap = if std::mem::take(&mut is_wall) { Gap::Wall } else { skipped };
        let (unit, opens, closes) = (glyph.unit, glyph.opens, glyph.closes);
        let place = Place {
            first: unit,
            last: unit,
            gap,
            after_digit: false,
            is_counted: false,
            opens,
            closes,
            in_syllable: false,
            times: 1,
            source,
        };
        letters.push(letter, place);
    }
    spell(&mut letters);
    repeats_as_one(&letters)
}

/// Letters that stand alone, next to each other, are one word. A letter and its repetitions count as one.
fn spell(letters: &mut Stream) {
    let starts: Vec<usize> = (0..letters.places.len()).filter(|at| letters.begins(*at)).collect();
    let stands_alone = |word: usize| {
        let end = starts.get(word + 1).copied().unwrap_or(letters.symbols.len());
        letters.symbols[starts[word]..end].windows(2).all(|pair| pair[0] == pair[1])
    };
    let alone: Vec<bool> = (0..starts.len()).map(stands_alone).collect();
    for word in 1..starts.len() {
        let place = &mut letters.places[starts[word]];
        if alone[word - 1] && alone[word] && place.gap != Gap::Wall {
            place.gap = Gap::Spelled;
        }
    }
}

fn repeats_as_one(letters: &Stream) -> Stream {
    let mut stream = Stream::with_capacity(letters.symbols.len());
    for (at, (symbol, place)) in letters.symbols.iter().zip(&letters.places).enumerate() {
        match stream.places.last_mut() {
            Some(last) if stream.symbols.last() == Some(symbol) && !letters.begins(at) => {
                last.last = place.last;
                last.times += 1;
                last.source = match (last.source, place.source) {
                    // `A5s` is a model's name, and `4s$` is none.
                    (Source::Digit, _) | (_, Source::Digit) => Source::Digit,
                    (Source::Symbol, written) => written,
                    (written, _) => written,
                };
            }
            _ => stream.push(*symbol, *place),
        }
    }
    stream
}
