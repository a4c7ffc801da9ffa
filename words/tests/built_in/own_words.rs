//! Words of a room or an operator that are symbols or of scripts without blanks.

use words::{Filter, List};

use crate::found;

/// Each row: a room's word, a text, the matches.
#[test]
fn a_rooms_word_needs_no_blank_in_a_script_without_blanks() {
    for (word, text, expected) in [
        ("🤡", "🤡", &["🤡"][..]),
        ("🤡", "🤡🤡🤡", &["🤡", "🤡", "🤡"]),
        ("🤡", "you🤡", &["🤡"]),
        ("🤡", "너 🤡🤡", &["🤡", "🤡"]),
        ("🤡", "🤡다", &["🤡"]),
        ("🤡", "3🤡3", &["🤡"]),
        ("🤡", "🤡🏿👍", &["🤡🏿"]),
        ("❤", "❤️❤️", &["❤️", "❤️"]),
        ("🇰🇷", "🇰🇷🇯🇵", &["🇰🇷"]),
        ("🇰🇷", "🇺🇰🇷🇺", &[]),
        ("👩", "👨‍👩‍👧", &[]),
        ("★", "★★", &["★", "★"]),
        ("剧透", "不要剧透啊", &["剧透"]),
        ("剧透", "剧.透了", &["剧.透"]),
        ("剧透", "我看剧,透明的", &[]),
        ("ネタバレ", "これはネタバレです", &["ネタバレ"]),
        ("ネタバレ", "ネタバレ禁止", &["ネタバレ"]),
        ("สปอย", "อย่าสปอยนะ", &["สปอย"]),
        ("スカー", "スカーフ", &["スカー"]),
        ("T1", "T1이 이겼다", &["T1"]),
        ("T1", "우리T1", &["T1"]),
        ("T1", "GT1 T10", &[]),
        ("010-1234", "0010-12345", &[]),
        ("010-1234", "번호는010-1234야", &["010-1234"]),
        ("рот", "рот", &["рот"]),
        ("рот", "работа", &[]),
        ("спойлер", "спойлеры", &[]),
        ("spoiler", "spoiler임", &["spoiler"]),
        ("a$$", "what an ass", &["ass"]),
        ("a$$", "a $ sign", &[]),
        ("a$$", "A$$", &["A$$"]),
    ] {
        assert_eq!(found(&Filter::with_words(&[word.to_owned()]), text), expected, "{word} in {text}");
    }
}

#[test]
fn an_operators_symbols_are_found_beside_letters_and_each_other() {
    let filter = Filter::new(&List::parse("label: a\n🖕 c발*").unwrap());
    assert_eq!(found(&filter, "🖕🖕 너🖕"), ["🖕", "🖕", "🖕"]);
    assert_eq!(found(&filter, "비타민c발포정 c발"), ["c발"]);
}
