//! All letters, digits and symbols of a text, for words that one alphabet cannot spell: `c발`, `ネタバレ`, `🖕`.

use super::{Place, Skipped, Source, Stream};
use crate::reading::Reading;
use crate::sign::Sign;

/// Reads all but spaces and punctuation into `stream`. Jamo are below 64, digits are `A` to `J`, letters `a` to `z`;
/// everything else is its UTF-8, above 127.
pub(crate) fn mixed(reading: &Reading<'_>, stream: &mut Stream) {
    stream.clear();
    let mut skipped = Skipped::default();
    for glyph in &reading.glyphs {
        match glyph.sign {
            Sign::Space => skipped.spaces += 1,
            Sign::Mark(_) => skipped.marks += 1,
            _ => {}
        }
        let mut bytes = [0; 4];
        let symbols = mixed_symbols(glyph.sign, &mut bytes);
        for (at, symbol) in symbols.iter().enumerate() {
            let mut place = Place::of(glyph, skipped.take(), Source::Letter);
            place.opens &= at == 0;
            place.closes &= at + 1 == symbols.len();
            stream.push(*symbol, place);
        }
    }
}

/// The symbols of a letter, a digit or a symbol. Spaces and punctuation have none.
pub(crate) fn mixed_symbols(sign: Sign, bytes: &mut [u8; 4]) -> &[u8] {
    let symbol = match sign {
        Sign::Space | Sign::Mark(_) => return &[],
        Sign::Jamo(code) => code,
        Sign::Latin { letter, .. } => letter,
        Sign::Digit(digit) => digit - b'0' + b'A',
        // In lower case if the script has one. A character whose lower case is several keeps the first.
        Sign::Letter(c) | Sign::Symbol(c) => {
            let has_no_case = matches!(c, '\u{2E80}'..='\u{A63F}' | '\u{1F200}'..='\u{1FAFF}');
            let c = if has_no_case { c } else { c.to_lowercase().next().unwrap_or(c) };
            return c.encode_utf8(bytes).as_bytes();
        }
    };
    bytes[0] = symbol;
    &bytes[..1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_in_lower_case_if_it_has_one() {
        for c in '\0'..=char::MAX {
            let lower: char = c.to_lowercase().next().unwrap();
            assert_eq!(mixed_symbols(Sign::Letter(c), &mut [0; 4]), lower.to_string().as_bytes(), "U+{:04X}", c as u32);
        }
    }
}
