//! A duration in the configuration, such as `"250ms"`, `"10s"`, `"5m"`, `"24h"` or `"30d"`. A number without a unit is
//! refused.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, SpanRelativeTo};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A configured duration: whole milliseconds, from 0 to 100 years. It dereferences to [`Duration`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(Duration);

/// The text is not a valid duration of a setting. The message does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpan {
    /// Not a number with a unit.
    #[error("must be a time with its unit, such as \"250ms\", \"10s\", \"5m\", \"24h\" or \"30d\"")]
    Format,
    /// Negative.
    #[error("must not be negative")]
    Negative,
    /// Has a fraction of a millisecond.
    #[error("must be a whole number of milliseconds")]
    Fraction,
    /// Longer than [`Span::LONGEST`].
    #[error("must be at most 36525d, 100 years")]
    TooLong,
}

impl Span {
    /// Zero.
    pub const ZERO: Span = Span(Duration::ZERO);

    /// 100 years: sums and small multiples do not overflow a clock.
    pub const LONGEST: Span = Span::from_days(36_525);

    /// A duration in milliseconds.
    pub const fn from_millis(millis: u64) -> Span {
        Span(Duration::from_millis(millis))
    }

    /// A duration in seconds.
    pub const fn from_secs(seconds: u64) -> Span {
        Span(Duration::from_secs(seconds))
    }

    /// A duration in hours.
    pub const fn from_hours(hours: u64) -> Span {
        Span(Duration::from_secs(hours * 60 * 60))
    }

    /// As a [`Duration`].
    pub const fn get(self) -> Duration {
        self.0
    }

    /// A duration in days of 24 hours.
    pub const fn from_days(days: u64) -> Span {
        Span(Duration::from_secs(days * 24 * 60 * 60))
    }

    /// The number of days. None: it has a fraction of a day.
    pub fn whole_days(self) -> Option<u64> {
        self.whole_seconds().filter(|seconds| seconds % (24 * 60 * 60) == 0).map(|seconds| seconds / (24 * 60 * 60))
    }

    /// The number of seconds. None: it has a fraction of a second.
    pub fn whole_seconds(self) -> Option<u64> {
        (self.0.subsec_nanos() == 0).then_some(self.0.as_secs())
    }
}

impl Deref for Span {
    type Target = Duration;

    fn deref(&self) -> &Duration {
        &self.0
    }
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Span, InvalidSpan> {
        // The library fails at its own bounds, which are wider than ours.
        let is_time = |text: &str| text.starts_with(|char: char| char.is_ascii_digit() || char == '-');
        let text = Some(text.trim()).filter(|text| is_time(text)).ok_or(InvalidSpan::Format)?;
        let is_negative = text.starts_with('-');
        let digits = text.trim_start_matches(|char: char| char.is_ascii_digit());
        let span = match text.parse::<jiff::Span>() {
            Ok(span) => span,
            Err(_) if digits.chars().all(|char| char.is_ascii_alphabetic()) && unit(digits).is_some() => {
                return Err(InvalidSpan::TooLong);
            }
            Err(_) => return Err(InvalidSpan::Format),
        };
        // Months vary in length; days and weeks do not.
        let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| InvalidSpan::Format)?;
        if is_negative || duration.is_negative() {
            return Err(InvalidSpan::Negative);
        }
        let duration = Duration::try_from(duration).map_err(|_| InvalidSpan::TooLong)?;
        if duration.subsec_nanos() % 1_000_000 != 0 {
            return Err(InvalidSpan::Fraction);
        }
        if duration > Span::LONGEST.0 {
            return Err(InvalidSpan::TooLong);
        }
        Ok(Span(duration))
    }
}

/// The unit of a number that is too large for the library.
fn unit(text: &str) -> Option<&str> {
    ["ms", "s", "m", "h", "d", "w"].into_iter().find(|unit| *unit == text)
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Span {
        Span(duration)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: u64 = 24 * 60 * 60;
        match SignedDuration::try_from(self.0) {
            // From two days on: "24h" stays as people write it.
            Ok(_)
                if self.0.subsec_nanos() == 0
                    && self.0.as_secs().is_multiple_of(DAY)
                    && self.0.as_secs() >= 2 * DAY =>
            {
                write!(f, "{}d", self.0.as_secs() / DAY)
            }
            Ok(duration) => write!(f, "{duration:#}"),
            Err(_) => write!(f, "{:?}", self.0),
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time with its unit, such as \"250ms\", \"10s\", \"5m\", \"24h\" or \"30d\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit_and_is_printed_as_it_is_read() {
        for (text, millis) in [
            ("0s", 0),
            ("250ms", 250),
            ("10s", 10_000),
            ("5m", 300_000),
            ("24h", 86_400_000),
            ("30d", 2_592_000_000),
            ("1h 30m", 5_400_000),
            (" 1.5s ", 1_500),
            ("876600h", 3_155_760_000_000),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.as_millis(), millis, "{text}");
            assert_eq!(span.to_string().parse(), Ok(span), "{span}");
        }
        let spans =
            [Span::ZERO, Span::from_millis(250), Span::from_secs(90), Span::from_hours(24), Span::from_days(30)];
        assert_eq!(spans.map(|span| span.to_string()), ["0s", "250ms", "1m 30s", "24h", "30d"]);
    }

    #[test]
    fn an_invalid_duration_is_refused() {
        for (text, expected) in [
            ("", InvalidSpan::Format),
            ("10", InvalidSpan::Format),
            ("ten seconds", InvalidSpan::Format),
            ("P1D", InvalidSpan::Format),
            ("1mo", InvalidSpan::Format),
            ("-1s", InvalidSpan::Negative),
            ("1us", InvalidSpan::Fraction),
            ("876601h", InvalidSpan::TooLong),
            ("9223372036854775807s", InvalidSpan::TooLong),
            ("9223372036854775807d", InvalidSpan::TooLong),
        ] {
            assert_eq!(text.parse::<Span>(), Err(expected), "{text}");
        }
        let number = serde_json::from_str::<Span>("5000").unwrap_err().to_string();
        assert!(number.contains("expected a time with its unit, such as \"250ms\""), "{number}");
    }

    #[test]
    fn only_a_duration_without_a_fraction_is_whole_seconds() {
        assert_eq!(Span::from_secs(90).whole_seconds(), Some(90));
        assert_eq!(Span::from_millis(1_500).whole_seconds(), None);
        assert_eq!((Span::from_days(2).whole_days(), Span::from_hours(36).whole_days()), (Some(2), None));
    }
}
