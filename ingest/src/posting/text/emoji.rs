//! Texts of nothing but emoji, for rooms that accept no others from viewers.

use unicode_properties::UnicodeEmoji as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// Whether everything but blanks is emoji. A platform's own emotes are left out of the text before.
pub(super) fn are_all(text: &str) -> bool {
    text.graphemes(true).filter(|grapheme| !grapheme.trim().is_empty()).all(is_emoji)
}

fn is_emoji(grapheme: &str) -> bool {
    /// Makes a key of the digit, `#` or `*` before it.
    const KEYCAP: char = '\u{20E3}';
    match grapheme.chars().next() {
        Some(first) if first.is_ascii() => grapheme.ends_with(KEYCAP),
        Some(first) => first.is_emoji_char(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emoji_of_every_form_are_emoji() {
        for text in ["😀", "😀 😀", "👍🏽", "👩‍👩‍👧‍👦", "🇰🇷", "❤️", "❤", "1️⃣#️⃣", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "©️", "😀\u{3000}🎉"]
        {
            assert!(are_all(text), "{text}");
        }
    }

    #[test]
    fn letters_digits_and_signs_are_none_also_beside_emoji() {
        for text in ["ㅋㅋ", "😀 ㅋㅋ", "a😀", "1", "12", "#", ":)", "😀!", "中", "\u{200D}", "e\u{20D0}"] {
            assert!(!are_all(text), "{text:?}");
        }
    }
}
