//! What may be said: one line of 1 to 500 characters, some of them visible, none of them able to disturb the lines
//! around it. A text is stored as sent, trimmed; whatever normal form it is in, it stays so. Words are not judged here.
//!
//! Unassigned code points pass, because the next year's emoji are unassigned to us, and so do private ones, which
//! platforms use for symbols of their own. Noncharacters do not: no keyboard writes them, and programs use them as
//! sentinels.

use unicode_segmentation::UnicodeSegmentation;
use words::is_invisible;

#[cfg(test)]
mod tests;

/// Characters as people count them: extended grapheme clusters.
pub(crate) const LONGEST_TEXT: usize = 500;

/// 8 KB: one grapheme can have any number of combining marks, so their number alone bounds nothing.
pub(crate) const LONGEST_TEXT_BYTES: usize = 8 * 1024;

/// Longer nicknames are cut.
const LONGEST_NICKNAME: usize = 64;

/// As for texts, eight bytes a character.
const LONGEST_NICKNAME_BYTES: usize = 512;

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

/// A nickname that is fit to be shown. It comes out of a token, so whoever posts cannot mend it, and refusing would
/// silence a user for what the auth server let pass: what a text may not have is left out, what is too long is cut, and
/// one with nothing to see is none.
pub(crate) fn nickname(nickname: &str) -> String {
    let allowed: String = nickname.chars().filter(|c| !is_forbidden(*c)).take(LONGEST_NICKNAME_BYTES).collect();
    let mut fit = String::new();
    for grapheme in allowed.trim().graphemes(true).take(LONGEST_NICKNAME) {
        if fit.len() + grapheme.len() <= LONGEST_NICKNAME_BYTES {
            fit.push_str(grapheme);
            continue;
        }
        // Of a letter with too many marks the letter stays.
        fit.extend(grapheme.chars().next().filter(|letter| fit.len() + letter.len_utf8() <= LONGEST_NICKNAME_BYTES));
        break;
    }
    if !fit.chars().any(is_visible) {
        return String::new();
    }
    fit.truncate(fit.trim_end().len());
    fit
}

/// Breaks the line, turns the direction of what follows it, or is not a character.
fn is_forbidden(c: char) -> bool {
    let is_bidi_control = matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let is_line_break = matches!(c, '\u{2028}' | '\u{2029}');
    let is_noncharacter = matches!(c, '\u{FDD0}'..='\u{FDEF}') || (c as u32) & 0xFFFE == 0xFFFE;
    c.is_control() || is_bidi_control || is_line_break || is_noncharacter
}

/// Leaves a mark on the screen by itself.
fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !is_invisible(c)
}
