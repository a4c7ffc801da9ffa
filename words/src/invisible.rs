//! Which characters show nothing: the one notion of it, for the filter and for whoever else has to know whether two texts
//! read alike or whether there is anything to read.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Whether the character shows nothing by itself: default ignorables, format characters and controls, blanks that count
/// as letters or symbols, and marks, which only change the character before them. White space is not among them.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    use GeneralCategory::{Control, EnclosingMark, Format, NonspacingMark, Surrogate};
    match c {
        ' '..='~' | '가'..='힣' => false,
        // Blank by design: the Hangul fillers, the braille pattern without dots, a note head and hieroglyphs that are none.
        '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{2800}' | '\u{1D159}' | '\u{13441}' | '\u{13442}' => {
            true
        }
        // Reserved for default ignorables to come, and so unassigned.
        '\u{2065}' | '\u{FFF0}'..='\u{FFF8}' | '\u{E0000}'..='\u{E0FFF}' => true,
        // Format characters that are drawn: the signs that Arabic, Syriac and Kaithi put before numbers.
        '\u{0600}'..='\u{0605}' | '\u{06DD}' | '\u{070F}' | '\u{0890}' | '\u{0891}' | '\u{08E2}' => false,
        '\u{110BD}' | '\u{110CD}' => false,
        _ => match c.general_category() {
            Control => !c.is_whitespace(),
            Format | NonspacingMark | EnclosingMark | Surrogate => true,
            _ => false,
        },
    }
}
