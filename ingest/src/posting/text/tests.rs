//! Texts and nicknames as data.

use words::nickname;

use super::*;

fn check(text: &str, expected: Result<&str, InvalidText>) {
    let found = Text::parse(text).map(Text::into_string);
    assert_eq!(found.as_deref(), expected.as_ref().copied(), "{}", text.escape_unicode());
}

#[test]
fn ordinary_text_is_trimmed_and_otherwise_stored_as_sent() {
    for text in [
        "a",
        "안녕하세요",
        "ㅋㅋㅋㅋ",
        "ㅅ",
        // The same syllable: composed, and as conjoining jamo.
        "각",
        "\u{1100}\u{1161}\u{11A8}",
        "e\u{301}",
        "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}\u{200D}\u{1F466}",
        "\u{1F3F4}\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
        "☺\u{FE0F}",
        "#\u{FE0F}\u{20E3}",
        "שלום \u{200F}!",
        "می\u{200C}خواهم",
        "\u{0600}",
        // Unassigned in every version of Unicode so far, and private-use: see the top of text.rs.
        "\u{1FAFF}",
        "\u{F8FF}",
        "\u{FFFD}",
        "a  b",
        "a\u{00A0}b",
        "<script>alert(1)</script>",
        "'; DROP TABLE chatting_log; --",
        "{\"$ne\": null}",
        "ping",
    ] {
        check(text, Ok(text));
    }
    check("  a \u{3000}", Ok("a"));
    check("a\r\n", Ok("a"));
    check("\u{2028}a", Ok("a"));
}

#[test]
fn a_text_without_visible_characters_is_refused() {
    for text in [
        "",
        " ",
        "\u{3000}\u{00A0}",
        "\n",
        "\u{200B}",
        "\u{200B}\u{200C}\u{200D}\u{FEFF}\u{2060}",
        "\u{AD}",
        "\u{34F}",
        "\u{301}\u{302}",
        "\u{20DD}",
        "\u{115F}\u{1160}",
        "\u{3164}",
        "\u{FFA0}",
        "\u{2800}",
        "\u{FE0F}",
        "\u{E0100}",
        "\u{E0061}\u{E007F}",
        "\u{180E}",
        "\u{200E}\u{200F}",
        "\u{2065}",
        "\u{FFF0}",
        "\u{1D173}",
        "\u{FFF9}",
        "\u{1D159}",
        "\u{13441}\u{13442}",
        "\u{E0000} \u{34F}",
    ] {
        check(text, Err(InvalidText::Empty));
    }
}

#[test]
fn control_characters_bidi_overrides_and_noncharacters_are_refused() {
    for c in ['\0', '\u{7}', '\t', '\n', '\r', '\u{1B}', '\u{7F}', '\u{85}', '\u{9F}', '\u{2028}', '\u{2029}'] {
        check(&format!("a{c}b"), Err(InvalidText::Forbidden));
    }
    for c in ('\u{202A}'..='\u{202E}').chain('\u{2066}'..='\u{2069}') {
        check(&format!("a{c}b"), Err(InvalidText::Forbidden));
    }
    for c in ['\u{FDD0}', '\u{FDEF}', '\u{FFFE}', '\u{FFFF}', '\u{1FFFE}', '\u{10FFFF}'] {
        check(&format!("a{c}b"), Err(InvalidText::Forbidden));
    }
}

#[test]
fn every_forbidden_character_is_found_at_any_offset() {
    for c in '\0'..=char::MAX {
        let is_found = is_any_harmful(c.to_string().as_bytes()) && has_forbidden(&format!("각{c}"));
        assert_eq!(is_found, is_forbidden(c), "U+{:04X}", c as u32);
    }
    assert!(!is_any_harmful("안녕하세요, 오늘 방송 あ 日 é ㅋㅋ".as_bytes()));
    for before in 0..100 {
        check(&format!("{}\u{202E}{}", "x".repeat(before), "각".repeat(before)), Err(InvalidText::Forbidden));
        check(&format!("{}👍", "x".repeat(before)), Ok(&format!("{}👍", "x".repeat(before))));
    }
}

#[test]
fn length_is_counted_in_grapheme_clusters() {
    let family = "\u{1F468}\u{200D}\u{1F469}";
    for one in ["a", "각", "\u{1100}\u{1161}\u{11A8}", family, "e\u{301}"] {
        check(&one.repeat(500), Ok(&one.repeat(500)));
        check(&one.repeat(501), Err(InvalidText::TooLong));
    }
    check(&format!(" {} ", "a".repeat(500)), Ok(&"a".repeat(500)));
}

#[test]
fn length_is_also_bounded_in_bytes() {
    let zalgo = |marks| format!("a{}", "\u{301}".repeat(marks));
    check(&zalgo(4_095), Ok(&zalgo(4_095)));
    check(&zalgo(4_096), Err(InvalidText::TooLong));
    check(&"a".repeat(1024 * 1024), Err(InvalidText::TooLong));
}

#[test]
fn a_nickname_is_cleaned_and_cut() {
    for (given, expected) in
        [("가나", "가나"), (" a b ", "a b"), ("", ""), ("a\nb\u{202E}c\0", "abc"), ("\u{FFFF}\n ", "")]
    {
        assert_eq!(nickname(given), expected, "{given:?}");
    }
    assert_eq!(nickname(&"각".repeat(100)), "각".repeat(64));
    assert_eq!(nickname(&"a\u{301}".repeat(100)), "a\u{301}".repeat(64));
    assert_eq!(nickname(&format!("ba{}", "\u{301}".repeat(400))), "ba", "the marks go, not the letter");
    assert_eq!(nickname(&format!("Z{}", "\u{301}".repeat(300))), "Z");
    assert_eq!(nickname(&format!("{} a{}", "각".repeat(62), "\u{301}".repeat(400))), format!("{} a", "각".repeat(62)));
    for invisible in
        ["\u{3164}", "\u{200B}\u{200D}", "\u{E0000} \u{34F}", "\u{2800}", "\u{301}", "\u{1D159}", "\u{13441}"]
    {
        assert_eq!(nickname(invisible), "", "{}", invisible.escape_unicode());
        let named = format!("{invisible}a");
        assert_eq!(nickname(&named), named.trim(), "what has something to see stays as it is");
    }
    assert!(nickname(&"\u{301}".repeat(1_000_000)).is_empty());
}
