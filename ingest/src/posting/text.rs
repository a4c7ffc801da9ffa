//! Message texts: one line of 1 to 500 characters, at least one of them visible, none of them able to disturb the lines
//! around it. A text is stored as sent, trimmed, in whatever normal form it has. The word filter is elsewhere.
//!
//! Unassigned code points pass, because next year's emoji are unassigned today. Private-use ones pass, because
//! platforms use them for their own symbols. Noncharacters do not: no keyboard writes them, and programs use them as
//! sentinels.

use unicode_segmentation::UnicodeSegmentation;
use words::{is_forbidden, is_invisible};

#[cfg(test)]
mod tests;

/// In characters as people count them: extended grapheme clusters.
pub(crate) const LONGEST_TEXT: usize = 500;

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

    /// In characters as people count them.
    pub(crate) fn length(&self) -> usize {
        length(&self.0)
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

/// Grapheme clusters. In ASCII without line breaks, each character is one.
fn length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.graphemes(true).count() }
}

/// Whether the character is visible by itself.
fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !is_invisible(c)
}
