//! Hangul as jamo, so that it does not matter whether syllables were composed. What is drawn out is pulled together:
//! `씨이이발`, `시바알`, `ㅅㅅㅂㅂ`. Everything that is not Hangul is skipped, and so is laughter.

use super::{Gap, Place, Skipped, Source, Stream};
use crate::reading::{Glyph, Reading};
use crate::sign::{Sign, jamo};

const IEUNG: u8 = jamo('ㅇ');
/// A long dash among letters, unless it stands for the vowel.
const EU: u8 = jamo('ㅡ');
/// How each vowel, in the order of Unicode, ends when it is held.
const SOUNDS: [char; 21] = [
    'ㅏ', 'ㅐ', 'ㅏ', 'ㅐ', 'ㅓ', 'ㅐ', 'ㅓ', 'ㅐ', 'ㅗ', 'ㅏ', 'ㅐ', 'ㅐ', 'ㅗ', 'ㅜ', 'ㅓ', 'ㅐ', 'ㅣ', 'ㅜ', 'ㅡ',
    'ㅣ', 'ㅣ',
];

/// `together`: whether to pull together what is drawn out. It can hide a word that begins as the one before it ends
/// (`개애미`), so a text is looked at both ways. Returns also whether there was any.
pub(crate) fn hangul(reading: &Reading<'_>, together: bool) -> (Stream, bool) {
    let (mut stream, mut skipped, mut any) = (Stream::default(), Skipped::default(), false);
    let (mut after_digit, mut is_counted) = (false, false);
    let mut glyphs = reading.glyphs.iter().peekable();
    while let Some(glyph) = glyphs.next() {
        let Sign::Jamo(code) = glyph.sign else {
            after_digit = matches!(glyph.sign, Sign::Digit(_));
            is_counted = after_digit || is_counted && glyph.sign == Sign::Space;
            match glyph.sign {
                Sign::Space => skipped.spaces += 1,
                Sign::Other(c) if c.is_alphanumeric() => skipped.intruders += 1,
                Sign::Mark(_) | Sign::Other(_) => skipped.marks += 1,
                Sign::Digit(_) => skipped.digits += 1,
                Sign::Jamo(_) | Sign::Latin { .. } => skipped.intruders += 1,
            }
            continue;
        };
        if !glyph.in_syllable && is_laughter(code) {
            skipped.intruders += 1;
            (after_digit, is_counted) = (false, false);
            continue;
        }
        let gap = std::mem::take(&mut skipped).gap();
        let (after_digit, is_counted) = (std::mem::take(&mut after_digit), std::mem::take(&mut is_counted));
        if let (Some(&before), Some(last), Gap::None) = (stream.symbols.last(), stream.places.last_mut(), gap) {
            let is_dash = code == EU && last.in_syllable;
            let is_lone_repeat = !glyph.in_syllable && (code == before || is_dash || lengthens(before, code));
            let is_long_vowel = glyph.opens
                && code == IEUNG
                && glyph.in_syllable
                && last.closes
                && glyphs.peek().is_some_and(|next| matches!(next.sign, Sign::Jamo(code) if lengthens(before, code)));
            any |= is_lone_repeat || is_long_vowel;
            if together && is_lone_repeat {
                last.last = glyph.unit;
                continue;
            }
            if together && is_long_vowel {
                let vowel = glyphs.next().expect("it was peeked at");
                last.last = vowel.unit;
                // A consonant that follows it closes the syllable that is drawn out.
                last.closes = vowel.closes;
                continue;
            }
        }
        let Glyph { unit, opens, closes, in_syllable, .. } = *glyph;
        let place = Place {
            first: unit,
            last: unit,
            gap,
            after_digit,
            is_counted,
            opens,
            closes,
            in_syllable,
            times: 1,
            source: Source::Letter,
        };
        stream.push(code, place);
    }
    (stream, any)
}

/// `ㅋㅋㅋ` and `ㅎㅎ` stand wherever one laughs, also in the middle of a word.
fn is_laughter(code: u8) -> bool {
    code == jamo('ㅋ') || code == jamo('ㅎ')
}

/// Whether a syllable that ends in this vowel is drawn out with that one: `시이`, `벼어`.
fn lengthens(vowel: u8, with: u8) -> bool {
    let sound = |code: u8| SOUNDS.get(usize::from(code.checked_sub(jamo('ㅏ'))?));
    sound(vowel).is_some() && sound(vowel) == sound(with)
}
