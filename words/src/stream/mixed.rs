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
        let mut bytes = [0; 4];
        let symbols = match glyph.sign {
            Sign::Space => {
                skipped.spaces += 1;
                continue;
            }
            Sign::Mark(_) => {
                skipped.marks += 1;
                continue;
            }
            Sign::Jamo(code) => {
                bytes[0] = code;
                &bytes[..1]
            }
            Sign::Latin { letter, .. } => {
                bytes[0] = letter;
                &bytes[..1]
            }
            Sign::Digit(digit) => {
                bytes[0] = digit - b'0' + b'A';
                &bytes[..1]
            }
            // In lower case if the script has one. A character whose lower case is several keeps the first.
            Sign::Letter(c) | Sign::Symbol(c) => {
                c.to_lowercase().next().unwrap_or(c).encode_utf8(&mut bytes).as_bytes()
            }
        };
        for (at, symbol) in symbols.iter().enumerate() {
            let mut place = Place::of(glyph, skipped.take(), Source::Letter);
            place.opens &= at == 0;
            place.closes &= at + 1 == symbols.len();
            stream.push(*symbol, place);
        }
    }
}
