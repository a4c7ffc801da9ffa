//! Invisible characters. The filter skips them, and ingest uses the same definition to refuse a text that shows
//! nothing.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Whether the character shows nothing by itself: default ignorables, format characters, controls, letters and symbols
/// that are blank by design, and marks, which only change the character before them. White space is not invisible.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    !matches!(c, ' '..='~' | '가'..='힣') && is_invisible_in(c, c.general_category())
}

/// [`is_invisible`], for a character whose general category is known.
pub(crate) fn is_invisible_in(c: char, category: GeneralCategory) -> bool {
    use GeneralCategory::{Control, EnclosingMark, Format, NonspacingMark, Surrogate};
    match c {
        // The Hangul fillers, the braille pattern without dots, a note head and two hieroglyphs.
        '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{2800}' | '\u{1D159}' | '\u{13441}' | '\u{13442}' => {
            true
        }
        // Reserved for future default ignorables, and so unassigned.
        '\u{2065}' | '\u{FFF0}'..='\u{FFF8}' | '\u{E0000}'..='\u{E0FFF}' => true,
        // Format characters that are drawn: the signs that Arabic, Syriac and Kaithi put before numbers.
        '\u{0600}'..='\u{0605}' | '\u{06DD}' | '\u{070F}' | '\u{0890}' | '\u{0891}' | '\u{08E2}' => false,
        '\u{110BD}' | '\u{110CD}' => false,
        _ => match category {
            Control => !c.is_whitespace(),
            Format | NonspacingMark | EnclosingMark | Surrogate => true,
            _ => false,
        },
    }
}
