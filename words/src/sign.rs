//! Folds a character into signs: what it stands for, whatever it looks like. Full-width, circled, mathematical and
//! accented letters become plain letters, a Cyrillic `а` becomes `a`, a Hangul syllable becomes its jamo, and an
//! invisible character becomes nothing. Knows no words.

mod lookalike;

use lookalike::lookalike;
use unicode_normalization::char::decompose_compatible;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use crate::invisible::is_invisible_in;

/// A folded character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// A part of Hangul: 1 to 51, in the order of U+3131 to U+3163. Consonants end at 30, vowels follow.
    Jamo(u8),
    /// `a` to `z`. `foreign`: a letter of everyday Russian or Greek that only looks Latin.
    Latin { letter: u8, foreign: bool },
    /// `0` to `9`.
    Digit(u8),
    /// White space.
    Space,
    /// Punctuation and ASCII symbols.
    Mark(char),
    /// A letter or a digit of another script.
    Letter(char),
    /// Emoji and other symbols.
    Symbol(char),
}

/// A Hangul syllable as the codes of its jamo.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Syllable {
    pub(crate) lead: u8,
    pub(crate) vowel: u8,
    pub(crate) tail: Option<u8>,
}

/// One below the first compatibility jamo: a jamo's code is its distance from here.
const JAMO: u32 = 0x3130;
/// Leading consonants, from U+1100 on.
const LEADS: [u8; 19] = jamos([
    'ㄱ', 'ㄲ', 'ㄴ', 'ㄷ', 'ㄸ', 'ㄹ', 'ㅁ', 'ㅂ', 'ㅃ', 'ㅅ', 'ㅆ', 'ㅇ', 'ㅈ', 'ㅉ', 'ㅊ', 'ㅋ', 'ㅌ', 'ㅍ', 'ㅎ',
]);
/// Vowels, from U+1161 on. They are in the order of the compatibility jamo.
const VOWELS: u32 = 21;
/// Trailing consonants, from U+11A8 on.
const TAILS: [u8; 27] = jamos([
    'ㄱ', 'ㄲ', 'ㄳ', 'ㄴ', 'ㄵ', 'ㄶ', 'ㄷ', 'ㄹ', 'ㄺ', 'ㄻ', 'ㄼ', 'ㄽ', 'ㄾ', 'ㄿ', 'ㅀ', 'ㅁ', 'ㅂ', 'ㅄ', 'ㅅ',
    'ㅆ', 'ㅇ', 'ㅈ', 'ㅊ', 'ㅋ', 'ㅌ', 'ㅍ', 'ㅎ',
]);

impl Sign {
    pub(crate) fn is_vowel(self) -> bool {
        matches!(self, Sign::Jamo(code) if is_vowel(code))
    }

    pub(crate) fn is_consonant(self) -> bool {
        matches!(self, Sign::Jamo(code) if !is_vowel(code))
    }
}

impl Syllable {
    /// Its distance from `가`. None: one of the jamo does not stand in this place of a composed syllable.
    pub(crate) fn index(self) -> Option<u32> {
        let lead = LEADS.iter().position(|code| *code == self.lead)?;
        let vowel = self.vowel.checked_sub(jamo('ㅏ'))?;
        let tail = match self.tail {
            Some(tail) => TAILS.iter().position(|code| *code == tail)? + 1,
            None => 0,
        };
        Some((lead as u32 * VOWELS + u32::from(vowel)) * 28 + tail as u32)
    }

    /// The syllable at this distance from `가`.
    #[inline]
    pub(crate) fn of_index(index: u32) -> Syllable {
        let (lead, rest) = (index / (VOWELS * 28), index % (VOWELS * 28));
        let (vowel, tail) = (rest / 28, rest % 28);
        Syllable {
            lead: LEADS[lead as usize],
            vowel: vowel as u8 + jamo('ㅏ'),
            tail: tail.checked_sub(1).map(|tail| TAILS[tail as usize]),
        }
    }
}

/// Whether the jamo of this code is a vowel, and not a consonant.
#[inline]
pub(crate) const fn is_vowel(code: u8) -> bool {
    code > 30
}

/// The code of a compatibility jamo.
#[inline]
pub(crate) const fn jamo(c: char) -> u8 {
    (c as u32 - JAMO) as u8
}

const fn jamos<const N: usize>(letters: [char; N]) -> [u8; N] {
    let (mut codes, mut at) = ([0; N], 0);
    while at < N {
        codes[at] = jamo(letters[at]);
        at += 1;
    }
    codes
}

/// What each character of ASCII stands for. None: it is invisible.
const ASCII: [Option<Sign>; 128] = {
    let (mut signs, mut byte) = ([None; 128], 0);
    while byte < 128 {
        signs[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => Some(Sign::Latin { letter: byte.to_ascii_lowercase(), foreign: false }),
            b'0'..=b'9' => Some(Sign::Digit(byte)),
            b'\t'..=b'\r' | b' ' => Some(Sign::Space),
            0..b'!' | 127.. => None,
            _ => Some(Sign::Mark(byte as char)),
        };
        byte += 1;
    }
    signs
};

/// What a byte of ASCII stands for.
#[inline]
pub(crate) const fn fold_ascii(byte: u8) -> Option<Sign> {
    ASCII[(byte & 127) as usize]
}

/// The [index](Syllable::index) of a composed syllable. None: the character is none.
#[inline]
pub(crate) fn syllable(c: char) -> Option<u32> {
    matches!(c, '가'..='힣').then(|| c as u32 - '가' as u32)
}

/// Passes on what the character stands for: nothing if it is invisible, several signs for a syllable or `㎏`.
#[inline]
pub(crate) fn fold(c: char, mut add: impl FnMut(Sign)) {
    match c {
        '\0'..='\u{7F}' => ASCII[c as usize].into_iter().for_each(add),
        '가'..='힣' => {
            let Syllable { lead, vowel, tail } = Syllable::of_index(c as u32 - '가' as u32);
            add(Sign::Jamo(lead));
            add(Sign::Jamo(vowel));
            tail.map(Sign::Jamo).into_iter().for_each(add);
        }
        // Two consonants written as one: `ㅄ` is `ㅂㅅ`.
        'ㄳ' => [Sign::Jamo(jamo('ㄱ')), Sign::Jamo(jamo('ㅅ'))].into_iter().for_each(add),
        'ㅄ' => [Sign::Jamo(jamo('ㅂ')), Sign::Jamo(jamo('ㅅ'))].into_iter().for_each(add),
        '\u{3131}'..='\u{3163}' => add(Sign::Jamo(jamo(c))),
        '\u{1100}'..='\u{1112}' | '\u{1161}'..='\u{1175}' | '\u{11A8}'..='\u{11C2}' => {
            simple(c).into_iter().for_each(add)
        }
        // Combining marks, zero-width characters and variation selectors.
        '\u{300}'..='\u{36F}' | '\u{200B}'..='\u{200F}' | '\u{FE00}'..='\u{FE0F}' => {}
        // Emoji.
        '\u{1F300}'..='\u{1F3FA}'
        | '\u{1F400}'..='\u{1F64F}'
        | '\u{1F680}'..='\u{1F6FF}'
        | '\u{1F900}'..='\u{1F9FF}' => add(Sign::Symbol(c)),
        // Han has no decompositions and, but for two characters, no look-alikes.
        '\u{4E07}'..='\u{4E2A}' | '\u{4E2C}'..='\u{9FFF}' => add(Sign::Letter(c)),
        _ => fold_rare(c, &mut add),
    }
}

fn fold_rare(c: char, add: &mut impl FnMut(Sign)) {
    match c {
        // Squared and negative letters, which have no decomposition.
        '\u{1F130}'..='\u{1F189}' => {
            add(Sign::Latin { letter: b'a' + ((c as u32 - 0x1F130) % 32 % 26) as u8, foreign: false });
        }
        // A skin tone is a colour of the symbol before it.
        '\u{1F3FB}'..='\u{1F3FF}' => {}
        // Sentences of 18 and of 8 letters: no word is written with them, and each would cost as much as a message.
        '\u{FDFA}' | '\u{FDFB}' => add(Sign::Letter(c)),
        _ => decompose_compatible(c, |c| simple(c).into_iter().for_each(&mut *add)),
    }
}

/// Folds a character that has no decomposition.
fn simple(c: char) -> Option<Sign> {
    use GeneralCategory as Is;
    match c {
        '\0'..='\u{7F}' => return ASCII[c as usize],
        '\u{1100}'..='\u{1112}' => return Some(Sign::Jamo(LEADS[c as usize - 0x1100])),
        '\u{1161}'..='\u{1175}' => return Some(Sign::Jamo((c as u32 - 0x1161) as u8 + jamo('ㅏ'))),
        '\u{11A8}'..='\u{11C2}' => return Some(Sign::Jamo(TAILS[c as usize - 0x11A8])),
        // Kana.
        '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FA}' => return Some(Sign::Letter(c)),
        _ => {}
    }
    match c.general_category() {
        category if is_invisible_in(c, category) => None,
        _ if c.is_whitespace() => Some(Sign::Space),
        Is::ConnectorPunctuation | Is::DashPunctuation | Is::OpenPunctuation | Is::ClosePunctuation => {
            Some(Sign::Mark(c))
        }
        Is::InitialPunctuation | Is::FinalPunctuation | Is::OtherPunctuation => Some(Sign::Mark(c)),
        category => Some(match lookalike(c) {
            Some(letter) => {
                let foreign = matches!(c, '\u{0391}'..='\u{03C9}' | '\u{0410}'..='\u{044F}' | '\u{0451}');
                Sign::Latin { letter, foreign }
            }
            None if is_letter(c, category) => Sign::Letter(c),
            None => Sign::Symbol(c),
        }),
    }
}

/// As `char::is_alphanumeric`, which takes microseconds for a character of some scripts.
pub(crate) fn is_alphanumeric(c: char) -> bool {
    match c.general_category() {
        _ if c.is_ascii() => c.is_ascii_alphanumeric(),
        GeneralCategory::NonspacingMark | GeneralCategory::OtherSymbol => c.is_alphanumeric(),
        category => is_letter(c, category),
    }
}

/// The same, for a character that is neither invisible nor decomposed.
fn is_letter(c: char, category: GeneralCategory) -> bool {
    use GeneralCategory as Is;
    match category {
        Is::UppercaseLetter | Is::LowercaseLetter | Is::TitlecaseLetter | Is::ModifierLetter | Is::OtherLetter => true,
        Is::DecimalNumber | Is::LetterNumber | Is::OtherNumber => true,
        // Vowels, but not the signs for no vowel, nor those of music.
        Is::SpacingMark => !matches!(
            c,
            '\u{F3E}' | '\u{F3F}' | '\u{1715}' | '\u{1734}' | '\u{1B44}' | '\u{1BAA}' | '\u{1BF2}' | '\u{1BF3}'
            | '\u{1CE1}' | '\u{1CF7}' | '\u{302E}' | '\u{302F}' | '\u{A953}' | '\u{A9C0}' | '\u{ABEC}' | '\u{111C0}'
            | '\u{11235}' | '\u{1134D}' | '\u{113CF}' | '\u{116B6}' | '\u{1193D}' | '\u{11F41}'
            | '\u{1D165}'..='\u{1D172}' | '\u{1D250}'..='\u{1D281}'
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        let mut signs = Vec::new();
        text.chars().for_each(|c| fold(c, |sign| signs.push(sign)));
        let show = |sign: &Sign| match sign {
            Sign::Jamo(code) => char::from_u32(JAMO + u32::from(*code)).unwrap(),
            Sign::Latin { letter, .. } => *letter as char,
            Sign::Digit(digit) => *digit as char,
            Sign::Space => ' ',
            Sign::Mark(c) | Sign::Letter(c) | Sign::Symbol(c) => *c,
        };
        signs.iter().map(show).collect()
    }

    /// The cost of a text is proportional to its signs.
    #[test]
    fn no_character_stands_for_more_than_eight_signs() {
        for c in '\0'..=char::MAX {
            let mut signs = 0;
            fold(c, |_| signs += 1);
            assert!(signs <= 8, "U+{:04X} stands for {signs} signs", c as u32);
        }
    }

    /// The shortcuts for Hangul, Han and ASCII change nothing.
    #[test]
    fn a_character_folds_as_its_decomposition_does() {
        for c in ('\0'..=char::MAX).filter(|c| !matches!(c, '\u{FDFA}' | '\u{FDFB}')) {
            let (mut folded, mut slowly) = (Vec::new(), Vec::new());
            fold(c, |sign| folded.push(sign));
            decompose_compatible(c, |part| slowly.extend(simple(part)));
            let is_special =
                matches!(c, '\u{3131}'..='\u{3163}' | '\u{1F130}'..='\u{1F189}' | '\u{1F3FB}'..='\u{1F3FF}');
            assert!(folded == slowly || is_special, "U+{:04X}: {folded:?}, {slowly:?}", c as u32);
        }
    }

    /// Letters that the standard library does not know yet are letters.
    #[test]
    fn alphanumeric_characters_are_those_of_the_standard_library() {
        for c in '\0'..=char::MAX {
            let is_new = || c.general_category() != GeneralCategory::SpacingMark && is_alphanumeric(c);
            assert!(is_alphanumeric(c) == c.is_alphanumeric() || is_new(), "U+{:04X}", c as u32);
        }
    }

    #[test]
    fn a_letter_is_the_same_letter_in_every_form() {
        for written in
            ["abc", "ABC", "ａｂｃ", "ⓐⓑⓒ", "𝓪𝓫𝓬", "𝕒𝕓𝕔", "🅐🅑🅒", "🄰🄱🄲", "🅰🅱🅲", "áb̶ç", "a\u{200B}b\u{AD}c\u{FE0F}"]
        {
            assert_eq!(folded(written), "abc", "{written}");
        }
    }

    #[test]
    fn a_syllable_folds_into_its_jamo_in_every_encoding() {
        for written in ["시발", "ㅅㅣㅂㅏㄹ", "\u{1109}\u{1175}\u{1107}\u{1161}\u{11AF}", "ﾵￜﾲￂﾩ", "㉦ㅣㅂㅏㄹ"]
        {
            assert_eq!(folded(written), "ㅅㅣㅂㅏㄹ", "{written}");
        }
        assert_eq!(folded("ㅄ"), "ㅂㅅ");
    }

    #[test]
    fn letters_of_other_scripts_that_look_latin_are_latin() {
        assert_eq!(folded("ѕһіт"), "shit");
        assert_eq!(folded("Βοοκ"), "book");
        assert_eq!(folded("аеосрху"), "aeocpxy");
    }

    #[test]
    fn a_character_without_a_lookalike_stands_for_itself() {
        assert_eq!(folded("日ж🖕🏿。"), "日ж🖕。");
    }
}
