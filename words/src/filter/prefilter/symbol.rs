//! Symbols of ASCII that may stand for Latin letters, judged where they stand in a text.

use std::cell::Cell;

use crate::sign::{Sign, fold, fold_ascii, jamo, syllable};
use crate::stream::spells;

/// What a symbol of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AsciiSymbol {
    /// Punctuation.
    Mark,
    /// A letter, or another one where what may be an `i` or an `l` is an `l`.
    Letter { with_i: u8, with_l: u8 },
    /// That depends on a character that a reading alone understands.
    Unclear,
}

/// Symbols before and behind one decide what it is, at most so many.
const MOST: usize = 8;

/// What the symbol at this byte of the text is.
pub(super) fn symbol(text: &str, at: usize) -> AsciiSymbol {
    let mark = text.as_bytes()[at];
    if matches!(mark, b'!' | b'?') && !may_spell(text.as_bytes(), at) {
        return AsciiSymbol::Mark;
    }
    let is_unclear = Cell::new(false);
    let sign = |at| {
        sign_at(text, at).unwrap_or_else(|Unknown| {
            is_unclear.set(true);
            None
        })
    };
    let spelled = [b'i', b'l'].map(|either| spells(sign, at, char::from(mark), either));
    match spelled {
        _ if is_unclear.get() => AsciiSymbol::Unclear,
        [Some(with_i), Some(with_l)] => AsciiSymbol::Letter { with_i, with_l },
        _ => AsciiSymbol::Mark,
    }
}

/// Whether a `!` or `?` is among symbols that stand for letters, or before a letter. Nearly all end a sentence.
fn may_spell(bytes: &[u8], at: usize) -> bool {
    let ends_sentences = |byte: &u8| matches!(byte, b'!' | b'?');
    let before = bytes[..at].iter().rev().take(MOST).find(|byte| !ends_sentences(byte));
    let after = bytes[at + 1..].iter().take(MOST).find(|byte| !ends_sentences(byte));
    let is_symbol = |byte: &u8| matches!(byte, b'*' | b'#' | b'%' | b'&' | b'^' | b'@' | b'$' | b'+' | b'|');
    before.is_some_and(is_symbol) || after.is_some_and(|byte| is_symbol(byte) || byte.is_ascii_alphanumeric())
}

/// The sign at a byte cannot be told without a reading.
struct Unknown;

/// The sign of the character that this byte is a part of. None: the text has ended. A sign other than letters, digits
/// and marks stands for any of its kind, as a search for those ends there.
fn sign_at(text: &str, at: usize) -> Result<Option<Sign>, Unknown> {
    let Some(byte) = text.as_bytes().get(at) else { return Ok(None) };
    if byte.is_ascii() {
        return fold_ascii(*byte).map(Some).ok_or(Unknown);
    }
    let c = text[text.floor_char_boundary(at)..].chars().next().ok_or(Unknown)?;
    if syllable(c).is_some() {
        return Ok(Some(Sign::Jamo(jamo('ㅇ'))));
    }
    let (mut only, mut signs) = (None, 0);
    fold(c, |sign| (only, signs) = (Some(sign), signs + 1));
    match only {
        Some(Sign::Latin { .. } | Sign::Digit(_) | Sign::Mark(_)) | None => Err(Unknown),
        sign if signs == 1 => Ok(sign),
        Some(_) => Err(Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the first of these symbols in the text is.
    fn first(text: &str, mark: char) -> AsciiSymbol {
        symbol(text, text.find(mark).unwrap())
    }

    #[test]
    fn a_symbol_is_judged_by_its_neighbours() {
        let letter = |with_i, with_l| AsciiSymbol::Letter { with_i, with_l };
        for (text, mark, expected) in [
            ("lucky* skill", '*', AsciiSymbol::Mark),
            ("f*ck", '*', letter(b'*', b'*')),
            ("f**", '*', letter(b'*', b'*')),
            ("sh!t", '!', letter(b'i', b'l')),
            ("sh!!t", '!', letter(b'i', b'l')),
            ("sh!+", '!', letter(b'i', b'l')),
            ("hi! you", '!', AsciiSymbol::Mark),
            ("첫빠!! hiii", '!', AsciiSymbol::Mark),
            ("what?!", '?', AsciiSymbol::Mark),
            ("@하루", '@', letter(b'a', b'a')),
            ("1+1", '+', letter(b't', b't')),
            ("발+", '+', AsciiSymbol::Mark),
            ("f*\u{200B}ck", '*', AsciiSymbol::Unclear),
            ("ｆ*ck", '*', AsciiSymbol::Unclear),
            ("👍*", '*', AsciiSymbol::Mark),
        ] {
            assert_eq!(first(text, mark), expected, "{text}");
        }
    }
}
