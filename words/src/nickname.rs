//! Names beside texts: one notion of what is fit to be shown there, for whoever writes one into the log.

use unicode_segmentation::UnicodeSegmentation;

use crate::is_invisible;

/// Longer nicknames are cut.
const LONGEST_NICKNAME: usize = 64;

/// As for texts, eight bytes a character.
const LONGEST_NICKNAME_BYTES: usize = 512;

/// A nickname that is fit to be shown. It comes out of a token, so whoever posts cannot mend it, and refusing would
/// silence a user for what the auth server let pass: what a text may not have is left out, what is too long is cut, and
/// one with nothing to see is none.
#[must_use]
pub fn nickname(nickname: &str) -> String {
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
    if !fit.chars().any(|c| !c.is_whitespace() && !is_invisible(c)) {
        return String::new();
    }
    fit.truncate(fit.trim_end().len());
    fit
}

/// Whether the character disturbs what is beside it: it breaks the line, turns the direction of what follows, or is none.
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
    fn a_nickname_keeps_what_can_be_seen_and_disturbs_nothing_beside_it() {
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
