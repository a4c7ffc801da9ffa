//! All letters, digits and symbols of a text, for words that one alphabet does not hold: `c발`, `ネタバレ`, `🖕`.

use super::{Place, Skipped, Source, Stream};
use crate::reading::Reading;
use crate::sign::Sign;

/// Jamo are below 64, digits are `A` to `J`, letters `a` to `z`; everything else is its UTF-8, above 127.
pub(crate) fn mixed(reading: &Reading<'_>) -> Stream {
    let (mut stream, mut skipped) = (Stream::with_capacity(reading.glyphs.len()), Skipped::default());
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
            // Capitals of scripts that have them; what does not fit one character stays as it is.
            Sign::Other(c) => c.to_lowercase().next().unwrap_or(c).encode_utf8(&mut bytes).as_bytes(),
        };
        for (at, symbol) in symbols.iter().enumerate() {
            let place = Place {
                first: glyph.unit,
                last: glyph.unit,
                gap: std::mem::take(&mut skipped).gap(),
                after_digit: false,
                is_counted: false,
                opens: glyph.opens && at == 0,
                closes: glyph.closes && at + 1 == symbols.len(),
                in_syllable: glyph.in_syllable,
                times: 1,
                source: Source::Letter,
            };
            stream.push(*symbol, place);
        }
    }
    stream
}
