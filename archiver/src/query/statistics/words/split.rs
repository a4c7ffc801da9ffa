//! Splits a text into words.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// A word, for MongoDB. Fillers, joiners and variation selectors are excluded: by category they are letters and marks,
/// but invisible. [`words`] finds the same.
pub(super) const PATTERN: &str = concat!(
    r"(?:(?![\x{34F}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{3164}\x{FE00}-\x{FE0F}\x{FFA0}\x{E0100}-\x{E01EF}])",
    r"[\p{L}\p{N}](?:(?![\x{34F}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}])\p{M})*){2,}",
);

/// What a character is to a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A letter or a number.
    Base,
    /// Belongs to the letter before it.
    Mark,
    None,
}

/// The words of a text, in the order of Unicode. A word comes as often as it is used.
pub(super) fn sorted_words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = words(text).collect();
    words.sort_unstable();
    words
}

/// The words of a text, in its order.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.char_indices();
    std::iter::from_fn(move || {
        loop {
            let (begin, _) = rest.find(|(_, char)| part(*char) == Part::Base)?;
            let (mut bases, mut end) = (1, text.len());
            for (at, char) in rest.by_ref() {
                match part(char) {
                    Part::Base => bases += 1,
                    Part::Mark => {}
                    Part::None => {
                        end = at;
                        break;
                    }
                }
            }
            if bases > 1 {
                return Some(&text[begin..end]);
            }
        }
    })
}

fn part(char: char) -> Part {
    match char {
        '0'..='9' | 'A'..='Z' | 'a'..='z' | '가'..='힣' => Part::Base,
        '\0'..='\x7f' => Part::None,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}' => {
            Part::None
        }
        '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}' => Part::None,
        _ => match char.general_category_group() {
            GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number => Part::Base,
            GeneralCategoryGroup::Mark => Part::Mark,
            _ => Part::None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_at_least_two_letters_and_numbers_with_their_marks() {
        let cases: [(&str, &[&str]); 12] = [
            ("", &[]),
            ("a", &[]),
            ("ab", &["ab"]),
            ("방송을 보는, 방송이!", &["방송을", "보는", "방송이"]),
            ("hello\u{200b}wörld", &["hello", "wörld"]),
            ("\u{1112}\u{1161}\u{11ab}", &["\u{1112}\u{1161}\u{11ab}"]),
            ("한 a 1 🎉 👍🏽", &[]),
            ("e\u{301}a 42번 x_y don't", &["e\u{301}a", "42번", "don"]),
            ("1\u{fe0f}\u{20e3} e\u{301} \u{301}\u{302}", &[]),
            ("방송을\u{fe0f} x\u{fe0f}y \u{3164}\u{3164} \u{115f}\u{1160}", &["방송을"]),
            ("नमस्ते 日本語、テスト", &["नमस्ते", "日本語", "テスト"]),
            ("\u{301}ab\u{302}\u{303}", &["ab\u{302}\u{303}"]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
