//! Message texts: one line of 1 to 500 characters, at least one of them visible, none of them able to disturb the lines
//! around it. A text is stored as sent, trimmed, in whatever normal form it has. The word filter is elsewhere.
//!
//! Unassigned code points pass, because next year's emoji are unassigned today. Private-use ones pass, because
//! platforms use them for their own symbols. Noncharacters do not: no keyboard writes them, and programs use them as
//! sentinels.

pub(crate) use chat::settings::LONGEST_TEXT;
use chat::{Edit, Emotes, fragments};
use unicode_segmentation::UnicodeSegmentation;
use words::{is_forbidden, is_invisible};

mod emoji;
mod links;
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
        check(text.trim()).map(|text| Text(text.to_owned()))
    }

    /// The same, without a copy if there is nothing to trim.
    pub(crate) fn from_string(text: String) -> Result<Text, InvalidText> {
        let trimmed = check(text.trim())?;
        Ok(Text(if trimmed.len() == text.len() { text } else { trimmed.to_owned() }))
    }

    /// Whether it has more characters than that, as people count them.
    pub(crate) fn is_longer_than(&self, most: usize) -> bool {
        is_longer(&self.0, most)
    }

    /// Whether it has nothing but emoji, these emotes and blanks.
    pub(crate) fn is_emoji_only(&self, emotes: Option<&Emotes>) -> bool {
        match emotes {
            None => emoji::are_all(&self.0),
            Some(emotes) => {
                let between = fragments(&self.0, emotes).into_iter().filter(|(_, emote)| emote.is_none());
                between.into_iter().all(|(between, _)| emoji::are_all(between))
            }
        }
    }

    /// Whether it has the address of a page or a mailbox.
    pub(crate) fn has_link(&self) -> bool {
        links::has_any(&self.0)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The text with stars in place of the matches. It is still visible, so it stays valid.
    pub(crate) fn masked(&self, found: &[words::Match]) -> Text {
        Text(words::mask(&self.0, found))
    }

    /// What masking these matches changes: a star stands for each character.
    pub(crate) fn mask_edits(&self, found: &[words::Match]) -> Vec<Edit> {
        let stars = |found: &words::Match| self.0[found.range.clone()].graphemes(true).count();
        found.iter().map(|found| Edit { range: found.range.clone(), code_points: stars(found) }).collect()
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// Checks a trimmed text.
fn check(text: &str) -> Result<&str, InvalidText> {
    if text.len() > LONGEST_TEXT_BYTES {
        return Err(InvalidText::TooLong);
    }
    if is_any_harmful(text.as_bytes()) && has_forbidden(text) {
        return Err(InvalidText::Forbidden);
    }
    if !text.chars().any(is_visible) {
        return Err(InvalidText::Empty);
    }
    if is_longer(text, LONGEST_TEXT) {
        return Err(InvalidText::TooLong);
    }
    Ok(text)
}

/// In grapheme clusters. There are no more of them than of code points, and those are quickly counted.
fn is_longer(text: &str, most: usize) -> bool {
    text.len() > most && text.chars().count() > most && text.graphemes(true).count() > most
}

fn has_forbidden(text: &str) -> bool {
    let is_forbidden_at = |at: usize| text[at..].chars().next().is_some_and(is_forbidden);
    text.bytes().enumerate().any(|(at, byte)| is_harmful(byte) && is_forbidden_at(at))
}

/// Whether a forbidden character may be in a text of these bytes. Most of a text is Hangul and ASCII, of which only
/// control characters are forbidden.
fn is_any_harmful(bytes: &[u8]) -> bool {
    /// Two of what the compiler compares at once.
    const BLOCK: usize = 32;
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let has_any = |block: &[u8; BLOCK]| block.iter().fold(0, |any, byte| any | u8::from(is_harmful(*byte))) != 0;
    blocks.iter().any(has_any) || rest.iter().any(|byte| is_harmful(*byte))
}

/// Whether a forbidden character may begin with this byte in UTF-8. No other byte of a character is one of these.
/// Without a branch, and few comparisons: the compiler then tests a block of bytes at once.
#[inline]
fn is_harmful(byte: u8) -> bool {
    (byte < b' ') | (byte == 0x7F) | (byte == 0xC2) | (byte == 0xE2) | (byte >= 0xEF)
}

/// Whether the character is visible by itself.
fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !is_invisible(c)
}
