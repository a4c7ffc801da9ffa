//! What a character stands for, whatever it looks like: full-width, circled, mathematical and accented letters are the
//! plain ones, a Cyrillic `а` is an `a`, a Hangul syllable is its jamo, what cannot be seen is nothing. Knows no words.

use unicode_normalization::char::decompose_compatible;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::invisible::is_invisible;

/// A character, folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// A part of Hangul: 1 to 51, in the order of U+3131 to U+3163. Consonants end at 30, vowels follow.
    Jamo(u8),
    /// `a` to `z`. `foreign`: a letter of everyday Russian or Greek that only looks like it.
    Latin { letter: u8, foreign: bool },
    /// `0` to `9`.
    Digit(u8),
    /// White space.
    Space,
    /// Punctuation and ASCII symbols.
    Mark(char),
    /// Letters of other scripts, and symbols such as emoji.
    Other(char),
}

/// Where the compatibility jamo begin, less one: a jamo's code is what is left.
const JAMO: u32 = 0x3130;
/// Leading consonants, from U+1100 on.
const LEADS: [char; 19] =
    ['ㄱ', 'ㄲ', 'ㄴ', 'ㄷ', 'ㄸ', 'ㄹ', 'ㅁ', 'ㅂ', 'ㅃ', 'ㅅ', 'ㅆ', 'ㅇ', 'ㅈ', 'ㅉ', 'ㅊ', 'ㅋ', 'ㅌ', 'ㅍ', 'ㅎ'];
/// Trailing consonants, from U+11A8 on.
const TAILS: [char; 27] = [
    'ㄱ', 'ㄲ', 'ㄳ', 'ㄴ', 'ㄵ', 'ㄶ', 'ㄷ', 'ㄹ', 'ㄺ', 'ㄻ', 'ㄼ', 'ㄽ', 'ㄾ', 'ㄿ', 'ㅀ', 'ㅁ', 'ㅂ', 'ㅄ', 'ㅅ',
    'ㅆ', 'ㅇ', 'ㅈ', 'ㅊ', 'ㅋ', 'ㅌ', 'ㅍ', 'ㅎ',
];

impl Sign {
    pub(crate) fn is_vowel(self) -> bool {
        matches!(self, Sign::Jamo(31..))
    }

    pub(crate) fn is_consonant(self) -> bool {
        matches!(self, Sign::Jamo(..=30))
    }
}

/// The code of a compatibility jamo.
pub(crate) const fn jamo(c: char) -> u8 {
    (c as u32 - JAMO) as u8
}

/// What the last few letters of a text turned out to be: to look one up among the confusables costs as much as everything
/// else that is done with it, and a text has few different letters.
pub(crate) struct Memo([(char, Option<Sign>); Memo::SLOTS]);

impl Memo {
    /// A power of two; an alphabet's letters have neighbouring numbers, so each has a slot.
    const SLOTS: usize = 64;

    pub(crate) fn new() -> Memo {
        Memo([('\0', None); Memo::SLOTS])
    }

    /// A character that has no decomposition.
    fn simple(&mut self, c: char) -> Option<Sign> {
        let slot = &mut self.0[c as usize % Memo::SLOTS];
        if slot.0 != c {
            *slot = (c, simple(c));
        }
        slot.1
    }
}

/// What the character stands for, appended: nothing, for what cannot be seen; several signs for a syllable or `㎏`.
pub(crate) fn fold(c: char, memo: &mut Memo, signs: &mut Vec<Sign>) {
    match c {
        'a'..='z' => signs.push(Sign::Latin { letter: c as u8, foreign: false }),
        'A'..='Z' => signs.push(Sign::Latin { letter: c.to_ascii_lowercase() as u8, foreign: false }),
        '0'..='9' => signs.push(Sign::Digit(c as u8)),
        // Two consonants that are written as one: `ㅄ` is `ㅂㅅ`.
        'ㄳ' => signs.extend([Sign::Jamo(jamo('ㄱ')), Sign::Jamo(jamo('ㅅ'))]),
        'ㅄ' => signs.extend([Sign::Jamo(jamo('ㅂ')), Sign::Jamo(jamo('ㅅ'))]),
        '\u{3131}'..='\u{3163}' => signs.push(Sign::Jamo(jamo(c))),
        // Squared and negative letters, which have no decomposition.
        '\u{1F130}'..='\u{1F189}' => {
            signs.push(Sign::Latin { letter: b'a' + ((c as u32 - 0x1F130) % 32 % 26) as u8, foreign: false });
        }
        // A skin tone is a colour of the symbol before it.
        '\u{1F3FB}'..='\u{1F3FF}' => {}
        _ if is_invisible(c) => {}
        _ if c.is_ascii() => signs.push(if c.is_ascii_graphic() { Sign::Mark(c) } else { Sign::Space }),
        // Whole sentences, of 18 letters and of 8: no word is written with them, and each would cost as much as a message.
        '\u{FDFA}' | '\u{FDFB}' => signs.push(Sign::Other(c)),
        '가'..='힣' => decompose_compatible(c, |c| signs.extend(simple(c))),
        _ => decompose_compatible(c, |c| signs.extend(memo.simple(c))),
    }
}

/// A character that has no decomposition.
fn simple(c: char) -> Option<Sign> {
    match c {
        'a'..='z' | 'A'..='Z' => Some(Sign::Latin { letter: c.to_ascii_lowercase() as u8, foreign: false }),
        '0'..='9' => Some(Sign::Digit(c as u8)),
        '\u{1100}'..='\u{1112}' => Some(Sign::Jamo(jamo(LEADS[c as usize - 0x1100]))),
        '\u{1161}'..='\u{1175}' => Some(Sign::Jamo((c as u32 - 0x1161) as u8 + jamo('ㅏ'))),
        '\u{11A8}'..='\u{11C2}' => Some(Sign::Jamo(jamo(TAILS[c as usize - 0x11A8]))),
        _ if is_invisible(c) => None,
        _ if c.is_whitespace() => Some(Sign::Space),
        _ if c.is_ascii() => Some(Sign::Mark(c)),
        _ if c.general_category_group() == GeneralCategoryGroup::Punctuation => Some(Sign::Mark(c)),
        _ => Some(lookalike(c).map_or(Sign::Other(c), |letter| {
            let foreign = matches!(c, '\u{0391}'..='\u{03C9}' | '\u{0410}'..='\u{044F}' | '\u{0451}');
            Sign::Latin { letter, foreign }
        })),
    }
}

/// The Latin letter that this one is confused with, by the tables of UTS 39: as it is, or as its capital.
fn lookalike(c: char) -> Option<u8> {
    if !c.is_alphabetic() {
        return None;
    }
    let prototype = |c: char| {
        let mut buffer = [0; 4];
        let mut skeleton = unicode_security::confusable_detection::skeleton(c.encode_utf8(&mut buffer));
        let first = skeleton.next().filter(char::is_ascii_alphabetic)?;
        // What follows is a mark on the letter, or makes it another one: `rn`, for `m`.
        match skeleton.next() {
            Some('n') if first == 'r' => Some(b'm'),
            Some(next) if next.is_ascii() => None,
            _ => Some(first.to_ascii_lowercase() as u8),
        }
    };
    prototype(c).or_else(|| c.to_uppercase().next().filter(|capital| *capital != c).and_then(prototype))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        let mut signs = Vec::new();
        let mut memo = Memo::new();
        text.chars().for_each(|c| fold(c, &mut memo, &mut signs));
        let show = |sign: &Sign| match sign {
            Sign::Jamo(code) => char::from_u32(JAMO + u32::from(*code)).unwrap(),
            Sign::Latin { letter, .. } => *letter as char,
            Sign::Digit(digit) => *digit as char,
            Sign::Space => ' ',
            Sign::Mark(c) | Sign::Other(c) => *c,
        };
        signs.iter().map(show).collect()
    }

    /// What is done with a text is in proportion to its signs.
    #[test]
    fn no_character_stands_for_more_than_a_few_signs() {
        let mut memo = Memo::new();
        for c in '\0'..=char::MAX {
            let mut signs = Vec::new();
            fold(c, &mut memo, &mut signs);
            assert!(signs.len() <= 8, "U+{:04X} stands for {} signs", c as u32, signs.len());
        }
    }

    #[test]
    fn a_letter_is_the_same_letter_in_every_dress() {
        for dressed in
            ["abc", "ABC", "ａｂｃ", "ⓐⓑⓒ", "𝓪𝓫𝓬", "𝕒𝕓𝕔", "🅐🅑🅒", "🄰🄱🄲", "🅰🅱🅲", "áb̶ç", "a\u{200B}b\u{AD}c\u{FE0F}"]
        {
            assert_eq!(folded(dressed), "abc", "{dressed}");
        }
    }

    #[test]
    fn a_syllable_is_its_jamo_however_it_is_encoded() {
        for written in ["시발", "ㅅㅣㅂㅏㄹ", "\u{1109}\u{1175}\u{1107}\u{1161}\u{11AF}", "ﾵￜﾲￂﾩ", "㉦ㅣㅂㅏㄹ"]
        {
            assert_eq!(folded(written), "ㅅㅣㅂㅏㄹ", "{written}");
        }
        assert_eq!(folded("ㅄ"), "ㅂㅅ");
    }

    #[test]
    fn letters_of_other_alphabets_that_look_latin_are_latin() {
        assert_eq!(folded("ѕһіт"), "shit");
        assert_eq!(folded("Βοοκ"), "book");
        assert_eq!(folded("аеосрху"), "aeocpxy");
    }

    #[test]
    fn a_sign_that_looks_like_nothing_else_is_itself() {
        assert_eq!(folded("日ж🖕🏿。"), "日ж🖕。");
    }
}
