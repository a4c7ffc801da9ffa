//! Message texts: one line of 1 to 500 characters, at least one of them visible, none of them able to disturb the lines
//! around it. A text is stored as sent, trimmed, in whatever normal form it has. The word filter is elsewhere.
//!
//! Unassigned code points pass, because next year's emoji are unassigned today. Private-use ones pass, because
//! platforms use them for their own symbols. Noncharacters do not: no keyboard writes them, and programs use them as
//! sentinels.

pub(crate) use chat::settings::LONGEST_TEXT;
use unicode_segmentation::UnicodeSegmentation;
use words::{is_forbidden, is_invisible};

#[cfg(test)]
mod tests;

/// 8 KB: a grapheme can have any number of combining marks, so a bound on graphemes alone bounds nothing.
pub(crate) const LONGEST_TEXT_BYTES: usize = 8 * 1024;

/// A valid message text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text(String);

/// Why a text is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvalidText {
    /// No visible characters.
    Empty,
    /// More than 500 characters or 8 KB.
    TooLong,
    /// A line break, another control character, a bidi override or a noncharacter.
    Forbidden,
}

impl Text {
    /// Trims and checks.
    pub(crate) fn parse(text: &str) -> Result<Text, InvalidText> {
        let text = text.trim();
        if text.len() > LONGEST_TEXT_BYTES {
            return Err(InvalidText::TooLong);
        }
        // Printable ASCII, as most texts are in part of the world, has nothing else that could be wrong.
        if all_bytes(text, |byte| matches!(byte, b' '..=b'~')) {
            return match text.len() {
                0 => Err(InvalidText::Empty),
                1..=LONGEST_TEXT => Ok(Text(text.to_owned())),
                _ => Err(InvalidText::TooLong),
            };
        }
        if !all_bytes(text, is_harmless) && text.chars().any(is_forbidden) {
            return Err(InvalidText::Forbidden);
        }
        if !text.chars().any(is_visible) {
            return Err(InvalidText::Empty);
        }
        if is_longer(text, LONGEST_TEXT) {
            return Err(InvalidText::TooLong);
        }
        Ok(Text(text.to_owned()))
    }

    /// Whether it has more characters than that, as people count them.
    pub(crate) fn is_longer_than(&self, most: usize) -> bool {
        is_longer(&self.0, most)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The text with stars in place of the matches. It is still visible, so it stays valid.
    pub(crate) fn masked(&self, found: &[words::Match]) -> Text {
        Text(words::mask(&self.0, found))
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// In grapheme clusters. There are no more of them than of code points, and those are quickly counted.
fn is_longer(text: &str, most: usize) -> bool {
    text.len() > most && text.chars().count() > most && text.graphemes(true).count() > most
}

/// Whether no forbidden character has this byte in UTF-8. Hangul, kana and Han have no others.
fn is_harmless(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | 0x80..=0xBF | 0xC3..=0xE1 | 0xE3..=0xEE)
}

/// Whether this is true of all bytes. Asks even those after one of which it is not, many at a time.
fn all_bytes(text: &str, is_true: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & is_true(byte))
}

/// Whether the character is visible by itself.
fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !is_invisible(c)
}
