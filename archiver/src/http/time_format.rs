//! Times in queries and answers. The archive keeps milliseconds. RFC 3339 has one day more than the timestamps of
//! `jiff`, which end on 9999-12-30 so that they exist in every time zone.

use jiff::civil::{self, DateTime as Civil};
use jiff::fmt::temporal::Pieces;
use jiff::{SignedDuration, Timestamp};
use mongodb::bson::DateTime;
use serde::Deserialize;

const NANOS_PER_MS: i128 = 1_000_000;

const EPOCH: Civil = civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// A time in a query, rounded up to the next millisecond. The messages before it, and those at it or later, stay the
/// same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct QueryTime(DateTime);

impl QueryTime {
    pub(super) fn date(self) -> DateTime {
        self.0
    }
}

impl TryFrom<String> for QueryTime {
    type Error = String;

    fn try_from(text: String) -> Result<QueryTime, String> {
        let nanos = match text.parse::<Timestamp>() {
            Ok(at) => at.as_nanosecond(),
            Err(error) => beyond(&text).ok_or_else(|| format!("must be an RFC 3339 time: {error}"))?,
        };
        let ms = nanos.div_euclid(NANOS_PER_MS) + i128::from(nanos.rem_euclid(NANOS_PER_MS) > 0);
        let ms = i64::try_from(ms).map_err(|_| "must be an RFC 3339 time".to_owned())?;
        Ok(QueryTime(DateTime::from_millis(ms)))
    }
}

/// Nanoseconds since 1970 of a time beyond the range of [`Timestamp`].
fn beyond(text: &str) -> Option<i128> {
    let pieces = Pieces::parse(text).ok()?;
    let offset = pieces.to_numeric_offset()?;
    let local = pieces.date().to_datetime(pieces.time()?);
    Some((local.duration_since(EPOCH) - SignedDuration::from_secs(offset.seconds().into())).as_nanos())
}

/// RFC 3339, UTC, to the millisecond. A year of five digits becomes the last time of year 9999.
pub(super) fn time(at: DateTime) -> String {
    let since = SignedDuration::from_millis(at.timestamp_millis());
    let end = if since.is_negative() { Civil::MIN } else { Civil::MAX };
    format!("{:.3}Z", EPOCH.checked_add(since).unwrap_or(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_any_of_rfc_3339_and_to_the_millisecond_that_is_not_before_it() {
        for (text, told) in [
            ("2026-11-22T10:00:00Z", Some("2026-11-22T10:00:00.000Z")),
            ("2026-11-22T10:00:00.123000000Z", Some("2026-11-22T10:00:00.123Z")),
            ("2026-11-22T10:00:00.123000001Z", Some("2026-11-22T10:00:00.124Z")),
            ("2026-11-22T19:00:00.9999+09:00", Some("2026-11-22T10:00:01.000Z")),
            ("1969-12-31T23:59:59.9985Z", Some("1969-12-31T23:59:59.999Z")),
            ("9999-12-30T22:00:00.000000001Z", Some("9999-12-30T22:00:00.001Z")),
            ("9999-12-31T23:59:59Z", Some("9999-12-31T23:59:59.000Z")),
            ("9999-12-31T23:59:59.999Z", Some("9999-12-31T23:59:59.999Z")),
            ("9999-12-31T23:59:59.9999Z", Some("9999-12-31T23:59:59.999Z")),
            ("9999-12-31T23:59:59-12:00", Some("9999-12-31T23:59:59.999Z")),
            ("9999-12-31T23:59:59+09:00", Some("9999-12-31T14:59:59.000Z")),
            ("0000-01-01T00:00:00Z", Some("0000-01-01T00:00:00.000Z")),
            ("10000-01-01T00:00:00Z", None),
            ("9999-12-31T24:00:00Z", None),
            ("9999-12-32T00:00:00Z", None),
            ("9999-12-31T23:59:59", None),
            ("9999-12-31", None),
            ("yesterday", None),
            ("", None),
        ] {
            let read = QueryTime::try_from(text.to_owned()).ok().map(|moment| time(moment.date()));
            assert_eq!(read.as_deref(), told, "{text}");
        }
    }
}
