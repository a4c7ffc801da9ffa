//! Values of query parameters. Each refuses text that is not as documented, and names what is wrong.

use std::ops::RangeInclusive;

use chat::folded;
use serde::Deserialize;
use unicode_segmentation::UnicodeSegmentation as _;

use super::refusal::Refusal;
use super::schemas::LONGEST_SEARCH_BYTES;

/// How many items a page has at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct First(pub(super) usize);

impl Default for First {
    fn default() -> First {
        First(100)
    }
}

impl TryFrom<String> for First {
    type Error = &'static str;

    fn try_from(text: String) -> Result<First, &'static str> {
        let first = text.parse().ok().filter(|first| (1..=1_000).contains(first));
        first.map(First).ok_or("must be an integer from 1 to 1000")
    }
}

/// The cursor where the previous page ended.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct After(String);

impl After {
    /// The cursor as the list parses it; none at the beginning.
    pub(super) fn parse<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Refusal> {
        if self.0.is_empty() {
            return Ok(None);
        }
        parse(&self.0).map(Some).ok_or(Refusal::CursorInvalid)
    }
}

/// An integer from 1 to `MOST`; `USUAL` by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Number<const USUAL: i64, const MOST: i64>(i64);

impl<const USUAL: i64, const MOST: i64> Number<USUAL, MOST> {
    /// As any integer type: no `MOST` is too large for one.
    pub(super) fn get<T: TryFrom<i64>>(self) -> T {
        T::try_from(self.0).ok().expect("it is positive and small")
    }
}

impl<const USUAL: i64, const MOST: i64> Default for Number<USUAL, MOST> {
    fn default() -> Self {
        Number(USUAL)
    }
}

impl<const USUAL: i64, const MOST: i64> TryFrom<String> for Number<USUAL, MOST> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| (1..=MOST).contains(number));
        number.map(Number).ok_or_else(|| format!("must be an integer from 1 to {MOST}"))
    }
}

/// Milliseconds into a recording.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct PlayerTime(pub(super) i64);

impl TryFrom<String> for PlayerTime {
    type Error = &'static str;

    fn try_from(text: String) -> Result<PlayerTime, &'static str> {
        let number = |digits: &str, lengths: RangeInclusive<usize>| {
            let is_number = lengths.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse::<i64>().ok()).flatten()
        };
        let clock = |text: &str| {
            let (clock, fraction) = text.split_once('.').unwrap_or((text, "000"));
            let mut parts = clock.split(':');
            let hours = number(parts.next()?, 2..=5)?;
            let minutes = number(parts.next()?, 2..=2).filter(|minutes| *minutes < 60)?;
            let seconds = number(parts.next()?, 2..=2).filter(|seconds| *seconds < 60)?;
            let ms = number(fraction, 3..=3)?;
            parts.next().is_none().then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000 + ms)
        };
        let time = number(&text, 1..=12).or_else(|| clock(&text));
        time.map(PlayerTime).ok_or("must be milliseconds, or a time such as 01:02:03 or 01:02:03.250")
    }
}

/// The text that messages must contain, folded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct SearchText(String);

/// 100 characters: a longer text is a copy of a whole message.
const LONGEST_SEARCH: usize = 100;

impl SearchText {
    pub(super) fn folded(self) -> String {
        self.0
    }
}

impl TryFrom<String> for SearchText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<SearchText, &'static str> {
        // Grapheme clusters, as ingest counts them.
        let fits = text.len() <= LONGEST_SEARCH_BYTES && (1..=LONGEST_SEARCH).contains(&text.graphemes(true).count());
        if !fits || text.contains(char::is_control) {
            return Err("`text` must have 1 to 100 characters, and no control characters");
        }
        let folded = folded(&text);
        if folded.is_empty() {
            return Err("`text` must have a visible character or a space");
        }
        Ok(SearchText(folded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_text_has_1_to_100_graphemes_including_blanks() {
        let read = |text: &str| SearchText::try_from(text.to_owned()).ok().map(SearchText::folded);
        for (text, folded) in [
            (" The ", " the "),
            (" ", " "),
            ("\u{3000}", " "),
            (r"\E[x].*", r"\e[x].*"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            (&"\u{1112}\u{1161}\u{11ab}".repeat(100), &"한".repeat(100)),
        ] {
            assert_eq!(read(text).as_deref(), Some(folded), "{text:?}");
        }
        let marks = format!("e{}", "\u{301}".repeat(5_000));
        for text in ["", "a\0b", "a\nb", "\u{200b}", "\u{fe0f}\u{2060}", &"한".repeat(101), &marks] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_time_in_a_recording_is_milliseconds_or_what_a_player_shows() {
        for (text, ms) in [
            ("0", Some(0)),
            ("3723000", Some(3_723_000)),
            ("01:02:03", Some(3_723_000)),
            ("01:02:03.250", Some(3_723_250)),
            ("100:00:00", Some(360_000_000)),
            ("999999999999", Some(999_999_999_999)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1:02:03", None),
            ("01:60:00", None),
            ("01:00:60", None),
            ("01:02", None),
            ("01:02:03:04", None),
            ("01:02:03.2", None),
            ("1000000000000", None),
            ("００:00:00", None),
        ] {
            assert_eq!(PlayerTime::try_from(text.to_owned()).ok(), ms.map(PlayerTime), "{text:?}");
        }
    }

    #[test]
    fn a_page_has_1_to_1000_items() {
        for (text, first) in
            [("1", Some(1)), ("1000", Some(1000)), ("0", None), ("1001", None), ("-1", None), ("", None)]
        {
            assert_eq!(First::try_from(text.to_owned()).ok(), first.map(First), "{text:?}");
        }
    }

    #[test]
    fn a_number_keeps_its_bounds() {
        for (text, number) in [("1", Some(1)), ("60", Some(60)), ("0", None), ("61", None), ("-1", None), ("1.5", None)]
        {
            let read = Number::<10, 60>::try_from(text.to_owned());
            assert_eq!(read.ok().map(Number::get::<i64>), number, "{text:?}");
        }
        assert_eq!(Number::<10, 60>::default().get::<usize>(), 10);
    }
}
