//! Nicknames that are safe to show beside a text.

use unicode_segmentation::UnicodeSegmentation;

use crate::is_invisible;

/// Longer nicknames are cut.
const LONGEST_NICKNAME: usize = 64;

/// Eight bytes per character.
const LONGEST_NICKNAME_BYTES: usize = 512;

/// A nickname that is safe to show: without forbidden characters, cut to 64 graphemes and 512 bytes, and empty if
/// nothing of it is visible. Nicknames come from tokens, so a user cannot correct them; refusing one would silence its
/// user.
#[must_use]
pub fn nickname(nickname: &str) -> String {
    let allowed: String = nickname.chars().filter(|c| !is_forbidden(*c)).take(LONGEST_NICKNAME_BYTES).collect();
    let mut fit = String::new();
    for grapheme in allowed.trim().graphemes(true).take(LONGEST_NICKNAME) {
        if fit.len() + grapheme.len() <= LONGEST_NICKNAME_BYTES {
            fit.push_str(grapheme);
            continue;
        }
        // A letter with too many marks loses the marks.
        fit.extend(grapheme.chars().next().filter(|letter| fit.len() + letter.len_utf8() <= LONGEST_NICKNAME_BYTES));
        break;
    }
    if !fit.chars().any(|c| !c.is_whitespace() && !is_invisible(c)) {
        return String::new();
    }
    fit.truncate(fit.trim_end().len());
    fit
}

/// Whether the character disturbs the text around it: a control character, a line break, a bidi override or a
/// noncharacter.
#[must_use]
pub fn is_forbidden(c: char) -> bool {
    let is_bidi_control = matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let is_line_break = matches!(c, '\u{2028}' | '\u{2029}');
    let is_noncharacter = matches!(c, '\u{FDD0}'..='\u{FDEF}') || (c as u32) & 0xFFFE == 0xFFFE;
    c.is_control() || is_bidi_control || is_line_break || is_noncharacter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nickname_keeps_its_visible_characters_and_no_forbidden_ones() {
        for (given, fit) in [
            ("별명", "별명"),
            (" a\u{0}b\n ", "ab"),
            ("evil\u{202E}lived", "evillived"),
            ("\u{2066}a\u{2069}", "a"),
            ("a\u{2028}b\u{FDD0}", "ab"),
            ("\u{3164}\u{200B}\u{E0000}", ""),
            ("\u{202E}", ""),
        ] {
            assert_eq!(nickname(given), fit, "{}", given.escape_unicode());
        }
    }
}
