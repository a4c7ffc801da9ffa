//! Escapes text of strangers for a terminal.

/// The same, with an escape for what a terminal obeys: control characters, and those that change the direction of writing
/// or break the line.
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
    fn nothing_that_a_terminal_obeys_is_printed() {
        assert_eq!(printable("안녕 👋\t\u{1b}[2J\u{9b}\u{202e}\n"), r"안녕 👋\t\u{1b}[2J\u{9b}\u{202e}\n");
        assert_eq!(printable("a\u{2028}b\u{61c}"), r"a\u{2028}b\u{61c}");
    }
}
