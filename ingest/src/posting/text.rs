//! What may be said: one line of 1 to 500 characters, some of them visible, none of them able to disturb the lines
//! around it. A text is stored as sent, trimmed; whatever normal form it is in, it stays so. Words are not judged here.
//!
//! Unassigned code points pass, because the next year's emoji are unassigned to us, and so do private ones, which
//! platforms use for symbols of their own. Noncharacters do not: no keyboard writes them, and programs use them as
//! sentinels.

use unicode_segmentation::UnicodeSegmentation;
use words::{is_forbidden, is_invisible};

#[cfg(test)]
mod tests;

/// Characters as people count them: extended grapheme clusters.
pub(crate) const LONGEST_TEXT: usize = 500;

/// 8 KB: one grapheme can have any number of combining marks, so their number alone bounds nothing.
pub(crate) const LONGEST_TEXT_BYTES: usize = 8 * 1024;

/// A text that may be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text(String);

/// Why a text may not be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvalidText {
    /// Nothing, or nothing that can be seen.
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
        if text.chars().any(is_forbidden) {
            return Err(InvalidText::Forbidden);
        }
        if !text.chars().any(is_visible) {
            return Err(InvalidText::Empty);
        }
        if length(text) > LONGEST_TEXT {
            return Err(InvalidText::TooLong);
        }
        Ok(Text(text.to_owned()))
    }

    /// Characters, as people count them.
    pub(crate) fn length(&self) -> usize {
        length(&self.0)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// With stars for what was found. There is as much to see as before.
    pub(crate) fn masked(&self, found: &[words::Match]) -> Text {
        Text(words::mask(&self.0, found))
    }

    /// The text.
    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// Grapheme clusters. Of ASCII without line breaks each character is one.
fn length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.graphemes(true).count() }
}

/// Leaves a mark on the screen by itself.
fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !is_invisible(c)
}
