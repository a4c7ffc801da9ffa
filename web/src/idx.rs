//! User numbers in JSON: one rule for tokens, headers and bodies.

use chat::LARGEST_IDX;
use serde_json::Value;

/// The bounds in words, for refusals.
pub const IDX_BOUNDS: &str = "an integer from 1 to 9007199254740991 (2^53 - 1)";

/// 2^52. The parser may be off by the last bit of a float. Below this, that leaves a fraction; above, another id.
const LARGEST_FLOAT: f64 = (1_i64 << 52) as f64;

/// A number from 1 to [`LARGEST_IDX`]. It may be written as 7.0, because some JSON writers have only floating point.
/// Then it must be less than 2^52.
pub fn idx(value: &Value) -> Option<i64> {
    let float = |float: f64| (float.fract() == 0.0 && float.abs() < LARGEST_FLOAT).then_some(float as i64);
    let number = value.as_i64().or_else(|| value.as_f64().and_then(float))?;
    (1..=LARGEST_IDX).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_taken_however_it_is_written_and_only_where_pages_can_hold_it() {
        let read = |json: &str| idx(&serde_json::from_str(json).unwrap());
        for (json, expected) in [
            ("1", Some(1)),
            ("7.0", Some(7)),
            ("7e0", Some(7)),
            ("9007199254740991", Some(LARGEST_IDX)),
            ("4503599627370495.0", Some((1 << 52) - 1)),
            ("4503599627370496.0", None),
            ("9007199254740991.0", None),
            ("9007199254740992", None),
            ("9007199254740992.0", None),
            ("9007199254740993.0", None),
            ("9223372036854775807", None),
            ("18446744073709551615", None),
            ("1e300", None),
            ("0", None),
            ("-0.0", None),
            ("-1", None),
            ("7.5", None),
            ("\"7\"", None),
            ("null", None),
            ("true", None),
            ("[7]", None),
        ] {
            assert_eq!(read(json), expected, "{json}");
        }
        assert!(IDX_BOUNDS.contains(&LARGEST_IDX.to_string()));
    }
}
