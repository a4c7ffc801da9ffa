//! Hangul as jamo, so that it does not matter whether syllables were composed. Drawn-out syllables are shortened:
//! `씨이이발`, `시바알`, `ㅅㅅㅂㅂ`. Laughter and everything that is not Hangul are skipped.

use super::{Gap, Place, Skipped, Source, Stream};
use crate::reading::Reading;
use crate::sign::{Sign, jamo};

pub(crate) const IEUNG: u8 = jamo('ㅇ');
/// Also written as a long dash between letters.
pub(crate) const EU: u8 = jamo('ㅡ');
/// The sound that each vowel, in the order of Unicode, ends in when it is held.
const SOUNDS: [char; 21] = [
    'ㅏ', 'ㅐ', 'ㅏ', 'ㅐ', 'ㅓ', 'ㅐ', 'ㅓ', 'ㅐ', 'ㅗ', 'ㅏ', 'ㅐ', 'ㅐ', 'ㅗ', 'ㅜ', 'ㅓ', 'ㅐ', 'ㅣ', 'ㅜ', 'ㅡ',
    'ㅣ', 'ㅣ',
];

/// Reads the jamo into `stream`. `shorten`: whether to shorten what is drawn out. That can hide a word that begins with
/// the vowel that the previous one ends in (`개애미`), so a text is searched both ways. Returns whether anything is drawn
/// out.
pub(crate) fn hangul(reading: &Reading<'_>, shorten: bool, stream: &mut Stream) -> bool {
    stream.clear();
    let (mut skipped, mut is_drawn_out) = (Skipped::default(), false);
    let (mut after_digit, mut is_counted) = (false, false);
    let mut glyphs = reading.glyphs.iter().peekable();
    while let Some(glyph) = glyphs.next() {
        let Sign::Jamo(code) = glyph.sign else {
            after_digit = matches!(glyph.sign, Sign::Digit(_));
            is_counted = after_digit || is_counted && glyph.sign == Sign::Space;
            match glyph.sign {
                Sign::Space => skipped.spaces += 1,
                Sign::Mark(_) | Sign::Symbol(_) => skipped.marks += 1,
                Sign::Digit(_) => skipped.digits += 1,
                Sign::Jamo(_) | Sign::Latin { .. } | Sign::Letter(_) => skipped.intruders += 1,
            }
            continue;
        };
        if !glyph.in_syllable && is_laughter(code) {
            skipped.intruders += 1;
            (after_digit, is_counted) = (false, false);
            continue;
        }
        let gap = skipped.take();
        let (after_digit, is_counted) = (std::mem::take(&mut after_digit), std::mem::take(&mut is_counted));
        if let (Some(&before), Some(last), Gap::None) = (stream.symbols.last(), stream.places.last_mut(), gap) {
            let is_dash = code == EU && last.in_syllable;
            let is_lone_repeat = !glyph.in_syllable && (code == before || is_dash || lengthens(before, code));
            let is_long_vowel = glyph.opens
                && code == IEUNG
                && glyph.in_syllable
                && last.closes
                && glyphs.peek().is_some_and(|next| matches!(next.sign, Sign::Jamo(code) if lengthens(before, code)));
            is_drawn_out |= is_lone_repeat || is_long_vowel;
            if shorten && is_lone_repeat {
                last.last = glyph.unit;
                continue;
            }
            if shorten && is_long_vowel {
                let vowel = glyphs.next().expect("it was peeked at");
                last.last = vowel.unit;
                // A consonant after it closes the syllable that is drawn out.
                last.closes = vowel.closes;
                continue;
            }
        }
        let place = Place { after_digit, is_counted, ..Place::of(glyph, gap, Source::Letter) };
        stream.push(code, place);
    }
    is_drawn_out
}

/// `ㅋㅋㅋ` and `ㅎㅎ` can stand anywhere, also inside a word.
#[inline]
pub(crate) fn is_laughter(code: u8) -> bool {
    code == jamo('ㅋ') || code == jamo('ㅎ')
}

/// Whether a syllable that ends in the first vowel is drawn out by the second: `시이`, `벼어`.
#[inline]
pub(crate) fn lengthens(vowel: u8, with: u8) -> bool {
    let sound = |code: u8| SOUNDS.get(usize::from(code.checked_sub(jamo('ㅏ'))?));
    sound(vowel).is_some() && sound(vowel) == sound(with)
}
