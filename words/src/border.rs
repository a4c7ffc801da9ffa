//! Where a word begins and ends without a blank: between scripts, between symbols, in scripts without blanks, and
//! before the particles of Korean.

use unicode_script::{Script, UnicodeScript};

use crate::reading::Reading;
use crate::stream::Stream;

/// Particles and endings of one syllable. They count only if nothing else follows in the word.
const SHORT: &str = "은는이가을를의에도만로와과야아여요다인임랑나들뿐쯤께네냐지죠고며란서니던면까군라";
/// Longer particles and endings, which are unmistakable whatever follows.
const LONG: [&str; 44] = [
    "이었",
    "였다",
    "였는",
    "였고",
    "였던",
    "였지",
    "이에요",
    "예요",
    "입니",
    "입니다",
    "이라",
    "이다",
    "이고",
    "이지",
    "이네",
    "이야",
    "인데",
    "인가",
    "인지",
    "에서",
    "에게",
    "에는",
    "에도",
    "에다",
    "한테",
    "까지",
    "부터",
    "처럼",
    "보다",
    "마다",
    "조차",
    "마저",
    "밖에",
    "라고",
    "라는",
    "하고",
    "으로",
    "로부",
    "같은",
    "같이",
    "들이",
    "들은",
    "거든",
    "이랑",
];
/// In syllables: no chain of particles is longer.
const MOST: usize = 6;

/// Whether particles follow a Korean word directly.
pub(crate) fn is_particles(reading: &Reading<'_>, stream: &Stream, end: usize) -> bool {
    let Some(first) = stream.places.get(end) else { return false };
    let (mut rest, mut syllables, mut unit) = (String::with_capacity(4 * MOST), 0, first.first);
    for at in end..stream.places.len() {
        let place = stream.places[at];
        if at > end && stream.begins(at) || !place.in_syllable {
            break;
        }
        if at == end || place.first != unit {
            unit = place.first;
            syllables += 1;
            rest.push_str(reading.grapheme(unit));
        }
        if syllables > MOST {
            break;
        }
    }
    LONG.iter().any(|particle| rest.starts_with(particle))
        || !rest.is_empty() && syllables <= MOST && rest.chars().all(|syllable| SHORT.contains(syllable))
}

/// Whether one word may end and another begin before this symbol of a mixed stream.
///
/// `strictly`: not between Hangul and Latin letters or digits, so that `비타민c발포정` is innocent.
pub(crate) fn is_border(reading: &Reading<'_>, stream: &Stream, at: usize, strictly: bool) -> bool {
    let (Some(after), Some(before)) = (stream.places.get(at), at.checked_sub(1).map(|before| stream.places[before]))
    else {
        return true;
    };
    let kind = |unit: u32| reading.grapheme(unit).chars().next().map_or(Kind::Alone, kind);
    match (kind(before.last), kind(after.first)) {
        (Kind::Alone, _) | (_, Kind::Alone) => before.last != after.first,
        (Kind::Hangul, Kind::Letter) | (Kind::Letter, Kind::Hangul) => !strictly,
        (before, after) => before != after,
    }
}

/// What a character is to its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Hangul,
    /// Digits, and letters of scripts that have blanks between words.
    Letter,
    /// Symbols, and letters of scripts without blanks: each may be a word.
    Alone,
}

fn kind(c: char) -> Kind {
    use Script::{
        Balinese, Bopomofo, Common, Han, Hangul, Hiragana, Inherited, Javanese, Katakana, Khmer, Lao, Myanmar,
        New_Tai_Lue, Tai_Le, Tai_Tham, Tai_Viet, Thai, Tibetan, Unknown, Yi,
    };
    match c.script() {
        Hangul => Kind::Hangul,
        Han | Hiragana | Katakana | Bopomofo | Yi => Kind::Alone,
        Thai | Lao | Khmer | Myanmar | Tibetan | Balinese | Javanese => Kind::Alone,
        Tai_Le | Tai_Tham | Tai_Viet | New_Tai_Lue => Kind::Alone,
        // Full-width and mathematical letters and digits have no script, and neither do the marks of kana.
        Common | Inherited | Unknown if c.is_numeric() || c.is_alphabetic() && !is_of_kana(c) => Kind::Letter,
        Common | Inherited | Unknown => Kind::Alone,
        _ => Kind::Letter,
    }
}

/// Letters that Hiragana and Katakana share: `ー`.
fn is_of_kana(c: char) -> bool {
    matches!(c, '\u{3031}'..='\u{3035}' | '\u{309B}'..='\u{309C}' | '\u{30FC}' | '\u{FF70}' | '\u{3006}')
}
