//! Text folding, for searches and for the rules of sweeps: texts are folded before they are compared, so that case,
//! width and Unicode form do not matter.
//!
//! Folding is Unicode's `NFKC_Casefold` with two differences. Standalone Hangul letters (`ㅋㅋㅋ`, `ㅠㅠ`) stay as they are:
//! NFKC would compose `ㅇㅠ` into a syllable, and `ㅇㅠㅠ` would no longer contain `ㅠㅠ`. The four forms of the Turkish i
//! become one, because their case depends on the language: `TÜRKİYE` is `türkiye`.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::decompose_compatible;

/// The folded text.
pub fn folded(text: &str) -> String {
    if text.chars().all(is_plain) {
        return text.to_ascii_lowercase();
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        decompose(c, &mut plain);
    }
    let mut cased = String::with_capacity(plain.len());
    // NFD first, to order the marks: U+0345 is a mark that case folding turns into a letter, and no other mark moves
    // past a letter. Case folding decomposes some letters, such as `ŉ`, so the result is decomposed once more.
    for c in plain.nfd().flat_map(char::to_lowercase).flat_map(char::to_uppercase).flat_map(char::to_lowercase) {
        decompose(c, &mut cased);
    }
    let mut folded = String::with_capacity(cased.len());
    let mut is_i = false;
    for c in cased.nfd() {
        if c == DOT_ABOVE && is_i {
            continue;
        }
        is_i = c == 'i' || (is_i && is_combining(c));
        folded.push(c);
    }
    folded.nfc().collect()
}

/// Whether the character folds to itself, except for the case of ASCII, next to any other plain character. Most texts
/// of a Korean chat are plain.
fn is_plain(c: char) -> bool {
    c.is_ascii() || matches!(c, '가'..='힣' | '\u{3131}'..='\u{3163}')
}

const DOT_ABOVE: char = '\u{307}';

fn is_combining(c: char) -> bool {
    unicode_normalization::char::canonical_combining_class(c) != 0
}

/// Decomposes full-width, circled and composed characters. Ignorable characters become nothing.
fn decompose(c: char, into: &mut String) {
    match c {
        _ if is_ignorable(c) => {}
        '\u{20}'..='\u{7e}' | '\u{3131}'..='\u{318e}' => into.push(c),
        _ => match half_width(c) {
            Some(letter) => into.push(letter),
            None => decompose_compatible(c, |c| {
                if !is_ignorable(c) {
                    into.push(c);
                }
            }),
        },
    }
}

/// The full-width form of a half-width Hangul letter.
fn half_width(c: char) -> Option<char> {
    let (first, letter) = match c {
        '\u{ffa1}'..='\u{ffbe}' => ('\u{ffa1}', '\u{3131}'),
        '\u{ffc2}'..='\u{ffc7}' => ('\u{ffc2}', '\u{314f}'),
        '\u{ffca}'..='\u{ffcf}' => ('\u{ffca}', '\u{3155}'),
        '\u{ffd2}'..='\u{ffd7}' => ('\u{ffd2}', '\u{315b}'),
        '\u{ffda}'..='\u{ffdc}' => ('\u{ffda}', '\u{3161}'),
        _ => return None,
    };
    char::from_u32(letter as u32 + (c as u32 - first as u32))
}

/// Unicode's `Default_Ignorable_Code_Point`: programs that do not know these characters show nothing. Unlike in the
/// word filter, marks are not among them, because a search distinguishes `é` from `e`.
fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_read_the_same_fold_to_the_same() {
        for (text, expected) in [
            ("\u{f9e1}씨네", "李씨네"),
            ("\u{1112}\u{1161}\u{11ab} 한", "한 한"),
            ("TÜRKİYE Türkıye TÜRKIYE i\u{307}", "türkiye türkiye türkiye i"),
            ("STRASSE straße STRAẞE", "strasse strasse strasse"),
            ("ΟΔΟΣ οδος", "οδοσ οδοσ"),
            ("ＨＥＬＬＯ　①㎏ﬁ", "hello 1kgfi"),
            ("ﾊﾟﾁﾝｺ ﾡﾢ ￂ", "パチンコ ㄱㄲ ㅏ"),
            ("ㅋㅋㅋㅏ ㅇㅠㅠ", "ㅋㅋㅋㅏ ㅇㅠㅠ"),
            ("a\u{200b}b\u{ad}\u{e0041}c\u{fe0f}", "abc"),
            ("e\u{34f}\u{301}", "é"),
            ("\u{1e9b}\u{323} \u{212b}", "ṩ å"),
            (" two  blanks ", " two  blanks "),
        ] {
            assert_eq!(folded(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_fast_path_for_plain_text_folds_like_the_slow_one() {
        let plain: Vec<char> = all().filter(|c| is_plain(*c)).collect();
        for (number, c) in plain.iter().enumerate() {
            // Next to another plain character, then next to one that is not, which takes the slow path.
            let text = format!("{c}{}{c}", plain[number * 7_919 % plain.len()]);
            assert_eq!(folded(&format!("{text} é")), format!("{} é", folded(&text)), "{text:?}");
        }
    }

    /// All characters except rare ideographs and private use, which fold to themselves.
    fn all() -> impl Iterator<Item = char> {
        ('\u{0}'..'\u{20000}').chain('\u{2f800}'..='\u{2fa1f}').chain('\u{e0000}'..'\u{e0200}')
    }

    #[test]
    fn folding_once_more_changes_nothing_and_no_case_is_left() {
        for c in all() {
            let once = folded(c.encode_utf8(&mut [0; 4]));
            assert_eq!(folded(&once), once, "{c:?} U+{:04X}", c as u32);
            let [upper, lower]: [String; 2] = [c.to_uppercase().collect(), c.to_lowercase().collect()];
            assert_eq!([folded(&upper), folded(&lower)], [once.clone(), once], "{c:?} U+{:04X}", c as u32);
        }
    }

    #[test]
    fn the_forms_of_a_text_are_folded_alike() {
        for c in all() {
            for text in [format!("{c}"), format!("a{c}e\u{301}"), format!("{c}\u{1161}"), format!("{c}\u{3099}")] {
                let (composed, decomposed) = (text.nfc().collect::<String>(), text.nfd().collect::<String>());
                assert_eq!(folded(&composed), folded(&decomposed), "{text:?}");
                assert_eq!(folded(&composed), folded(&text), "{text:?}");
            }
        }
    }
}
