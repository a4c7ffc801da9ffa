//! Splits a text into grapheme clusters. Most characters of a chat never join their neighbours; for these the rules of
//! UAX 29 are skipped.

use unicode_segmentation::UnicodeSegmentation;

/// Calls `each` with every extended grapheme cluster of the text and its offset in bytes.
pub(crate) fn for_each_grapheme<'t>(text: &'t str, mut each: impl FnMut(usize, &'t str)) {
    let mut at = 0;
    while at < text.len() {
        // There is a boundary between any two characters that stand alone, so each but the last of a run is a grapheme.
        let mut last = None;
        let mut rest = text[at..].chars();
        for c in rest.by_ref().take_while(|c| stands_alone(*c)) {
            if let Some(len) = last.replace(c.len_utf8()) {
                each(at, &text[at..at + len]);
                at += len;
            }
        }
        let end = at + joined(&text[at..]);
        text[at..end].grapheme_indices(true).for_each(|(offset, grapheme)| each(at + offset, grapheme));
        at = end;
    }
}

/// The bytes of the text up to the first boundary between two characters that stand alone.
fn joined(text: &str) -> usize {
    let mut is_alone = false;
    let mut chars = text.char_indices();
    let boundary = chars.find(|(_, c)| std::mem::replace(&mut is_alone, stands_alone(*c)) && is_alone);
    boundary.map_or(text.len(), |(at, _)| at)
}

/// Whether there is a grapheme boundary between this character and any other of which this is true.
#[inline]
pub(crate) fn stands_alone(c: char) -> bool {
    match c {
        // CR joins LF.
        '\r' => false,
        '\0'..='\u{7F}' => true,
        // Syllables, Han, kana and jamo, without voicing marks and tone marks.
        '가'..='힣'
        | '\u{3131}'..='\u{9FFF}'
        | '\u{3000}'..='\u{3029}'
        | '\u{3030}'..='\u{3096}'
        | '\u{309B}'..='\u{3130}' => true,
        // Latin, Greek and Cyrillic.
        '\u{A0}'..='\u{AC}' | '\u{AE}'..='\u{2FF}' | '\u{370}'..='\u{482}' | '\u{48A}'..='\u{52F}' => true,
        // Punctuation, currency, arrows, symbols.
        '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205E}' | '\u{20A0}'..='\u{20CF}' | '\u{2100}'..='\u{2BFF}' => true,
        // Full-width forms.
        '\u{FF01}'..='\u{FF9D}' | '\u{FFA0}'..='\u{FFEF}' => true,
        // Mathematical letters; emoji, without regional indicators and skin tones.
        '\u{1D400}'..='\u{1D7FF}'
        | '\u{1F000}'..='\u{1F1E5}'
        | '\u{1F200}'..='\u{1F3FA}'
        | '\u{1F400}'..='\u{1FAFF}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quickly(text: &str) -> Vec<(usize, &str)> {
        let mut graphemes = Vec::new();
        for_each_grapheme(text, |at, grapheme| graphemes.push((at, grapheme)));
        graphemes
    }

    /// One character of each class of UAX 29 that a character that stands alone can have.
    const CLASSES: [char; 6] = ['a', '\n', '가', '각', '©', '👍'];

    #[test]
    fn a_character_that_stands_alone_joins_none_of_its_kind() {
        for c in ('\0'..=char::MAX).filter(|c| stands_alone(*c)) {
            for other in CLASSES.into_iter().chain([c]) {
                for text in [format!("{c}{other}"), format!("{other}{c}")] {
                    assert_eq!(text.graphemes(true).count(), 2, "{}", text.escape_unicode());
                }
            }
        }
    }

    /// Characters of every class of UAX 29, and any others.
    const TEXT: &str = r"(a|각|가|日|\r|\n|\u{301}|\u{200D}|👩|🏿|🇰|🇷|ᄀ|ᅡ|ᆨ|\u{600}|क|\u{94D}|\u{FE0F}|\PC){0,30}";

    proptest! {
        #[test]
        fn the_shortcut_changes_no_boundary(text in TEXT) {
            let expected: Vec<_> = text.grapheme_indices(true).collect();
            prop_assert_eq!(quickly(&text), expected);
        }
    }
}
