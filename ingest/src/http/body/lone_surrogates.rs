//! Lone surrogates in JSON: `\ud83d` without its other half. JSON allows them, but a Rust string cannot hold them. Each
//! is read as a noncharacter, which no text may contain, so that only the member that contains it is refused.

use std::borrow::Cow;

/// U+FFFF, escaped: as long as the escape that it replaces.
const NONCHARACTER: &str = "\\uffff";

const ESCAPE: usize = NONCHARACTER.len();

/// The JSON with a noncharacter in place of each lone surrogate. Invalid JSON stays invalid.
pub(super) fn replace_lone_surrogates(json: &str) -> Cow<'_, str> {
    let mut replaced = Cow::Borrowed(json);
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        match (unit(json, at), unit(json, at + ESCAPE)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => at += 2 * ESCAPE,
            (Some(0xD800..=0xDFFF), _) => {
                replaced.to_mut().replace_range(at..at + ESCAPE, NONCHARACTER);
                at += ESCAPE;
            }
            // Another escape: a backslash and one character, which may itself be a backslash.
            _ => at += 1 + json[at + 1..].chars().next().map_or(0, char::len_utf8),
        }
    }
    replaced
}

/// The UTF-16 code unit that is escaped at `at`.
fn unit(json: &str, at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix("\\u")?;
    let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hexadecimal.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_character_is_a_noncharacter_and_everything_else_is_what_it_was() {
        for (json, expected) in [
            (r#""\ud83d""#, r#""\uffff""#),
            (r#""\uDE00\uD83D""#, r#""\uffff\uffff""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\uffff\ud83d\ude00""#),
            (r#""\ud83dx\ude00""#, r#""\uffffx\uffff""#),
            (r#""\ud83d\u0041""#, r#""\uffff\u0041""#),
            (r#""\ud83d\\ude00""#, r#""\uffff\\ude00""#),
            (r#"{"a":"가\ud83d"}"#, r#"{"a":"가\uffff"}"#),
        ] {
            assert_eq!(replace_lone_surrogates(json), expected, "{json}");
        }
        for same in [
            "",
            "{}",
            r#""\ud83d\ude00""#,
            r#""\\ud83d""#,
            r#""\n\"\\""#,
            r#""\u""#,
            r#""\ud8"#,
            r#""\ud83가""#,
            "\\",
            "\\가",
        ] {
            assert!(matches!(replace_lone_surrogates(same), Cow::Borrowed(json) if json == same), "{same}");
        }
    }
}
