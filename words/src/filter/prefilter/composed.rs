//! Syllables of conjoining jamo, as some systems write all Hangul (NFD).

use crate::grapheme::stands_alone;

/// The index of the syllable that begins with this consonant and goes on with the text, and the text behind it. None: a
/// reading has to tell where the graphemes are.
pub(super) fn composed(lead: char, rest: &str) -> Option<(u32, &str)> {
    let lead = matches!(lead, '\u{1100}'..='\u{1112}').then(|| lead as u32 - 0x1100)?;
    let mut chars = rest.chars();
    let vowel = chars.next().filter(|c| matches!(c, '\u{1161}'..='\u{1175}'))? as u32 - 0x1161;
    let mut rest = chars.as_str();
    let mut tail = 0;
    if let Some(c @ '\u{11A8}'..='\u{11C2}') = chars.next() {
        (tail, rest) = (c as u32 - 0x11A7, chars.as_str());
    }
    let is_boundary = |next: char| stands_alone(next) || matches!(next, '\u{1100}'..='\u{1112}');
    rest.chars().next().is_none_or(is_boundary).then_some(((lead * 21 + vowel) * 28 + tail, rest))
}

#[cfg(test)]
mod tests {
    use unicode_normalization::UnicodeNormalization;
    use unicode_segmentation::UnicodeSegmentation;

    use super::*;

    #[test]
    fn every_syllable_is_known_in_its_decomposed_form() {
        for syllable in '가'..='힣' {
            for after in ["", "가", " ", "\u{1100}", "ㄱ", "a", "👍"] {
                let text: String = syllable.to_string().nfd().chain(after.chars()).collect();
                let mut chars = text.chars();
                let lead = chars.next().unwrap();
                assert_eq!(composed(lead, chars.as_str()), Some((syllable as u32 - '가' as u32, after)), "{text}");
                assert_eq!(text.graphemes(true).next().map(|first| text.len() - first.len()), Some(after.len()));
            }
        }
    }

    #[test]
    fn what_may_be_a_larger_grapheme_is_left_to_a_reading() {
        for text in
            ["\u{1100}", "\u{1100}\u{1100}\u{1161}", "\u{1100}\u{1161}\u{1161}", "\u{1100}\u{1161}\u{11A8}\u{11A8}"]
        {
            assert_eq!(composed('\u{1100}', &text[3..]), None, "{}", text.escape_unicode());
        }
        for after in ["\u{301}", "\u{200D}", "\u{302E}"] {
            assert_eq!(composed('\u{1100}', &format!("\u{1161}{after}")), None, "{}", after.escape_unicode());
        }
    }
}
