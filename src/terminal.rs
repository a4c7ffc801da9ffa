//! Escapes untrusted text for a terminal.

/// The text with escapes for characters that control a terminal: control characters, and those that change the writing
/// direction or break the line.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::new();
    for char in text.chars() {
        match char {
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                printable.extend(char.escape_unicode());
            }
            char if char.is_control() => printable.extend(char.escape_default()),
            char => printable.push(char),
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("안녕 👋\t\u{1b}[2J\u{9b}\u{202e}\n"), r"안녕 👋\t\u{1b}[2J\u{9b}\u{202e}\n");
        assert_eq!(printable("a\u{2028}b\u{61c}"), r"a\u{2028}b\u{61c}");
    }
}
