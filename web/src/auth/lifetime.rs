//! The lifetime of a token and its end. A stolen token without an end would work for ever.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::TokenError;

/// Bounds of a token's times, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetime {
    /// Tolerated clock difference in `exp`.
    pub(super) leeway: u64,
    /// From `iat` to `exp`.
    pub(super) longest: u64,
}

/// 10 minutes: the clock of the issuer may be ahead, and no leeway is configured for `iat`.
const AHEAD_SECONDS: u64 = 600;

impl Lifetime {
    /// When the token ends. The library has checked that `exp` is there and a number.
    pub(super) fn check(self, claims: &Map<String, Value>, now: SystemTime) -> Result<SystemTime, TokenError> {
        let now_seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let end = claims.get("exp").and_then(seconds).ok_or(TokenError::Claims)?;
        let issued = match claims.get("iat") {
            None | Some(Value::Null) => now_seconds,
            Some(issued) => seconds(issued).ok_or(TokenError::Claims)?,
        };
        if issued > now_seconds.saturating_add(AHEAD_SECONDS) || end.saturating_sub(issued) > self.longest {
            return Err(TokenError::Lifetime);
        }
        let until = UNIX_EPOCH.checked_add(Duration::from_secs(end.saturating_add(self.leeway)));
        // An end past the calendar is longer than any lifetime.
        let until = until.ok_or(TokenError::Lifetime)?;
        if until <= now { Err(TokenError::Expired) } else { Ok(until) }
    }
}

/// Whole seconds of a NumericDate (RFC 7519), which may have a fraction.
fn seconds(value: &Value) -> Option<u64> {
    // A cast of a too large number gives the largest.
    value.as_u64().or_else(|| value.as_f64().filter(|seconds| *seconds >= 0.0).map(|seconds| seconds as u64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn check(claims: Value, leeway: u64) -> Result<u64, TokenError> {
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        let lifetime = Lifetime { leeway, longest: 3_600 };
        let until = lifetime.check(claims.as_object().unwrap(), now)?;
        Ok(until.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn a_token_ends_at_exp_and_the_leeway_and_lives_no_longer_than_it_may() {
        use TokenError::{Claims, Expired, Lifetime};
        let cases = [
            ("an hour", json!({"exp": NOW + 3_600}), 0, Ok(NOW + 3_600)),
            ("with leeway", json!({"exp": NOW + 60}), 30, Ok(NOW + 90)),
            ("ends now", json!({"exp": NOW}), 0, Err(Expired)),
            ("ended, within the leeway", json!({"exp": NOW}), 30, Ok(NOW + 30)),
            ("a fraction", json!({"exp": NOW as f64 + 0.5 + 60.0}), 0, Ok(NOW + 60)),
            ("longer", json!({"exp": NOW + 3_601}), 0, Err(Lifetime)),
            ("longer, the leeway is none of it", json!({"exp": NOW + 3_601}), 30, Err(Lifetime)),
            ("issued long ago", json!({"exp": NOW + 60, "iat": NOW - 3_600}), 0, Err(Lifetime)),
            ("an hour, issued before", json!({"exp": NOW + 60, "iat": NOW - 3_540}), 0, Ok(NOW + 60)),
            ("issued soon", json!({"exp": NOW + 3_600, "iat": NOW + 600}), 0, Ok(NOW + 3_600)),
            ("issued in a year", json!({"exp": NOW + 60, "iat": NOW + 31_536_000}), 0, Err(Lifetime)),
            (
                "issued in a year, ends after it",
                json!({"exp": NOW + 31_537_000, "iat": NOW + 31_536_000}),
                0,
                Err(Lifetime),
            ),
            ("never ends", json!({"exp": u64::MAX}), 600, Err(Lifetime)),
            ("never ends, issued then", json!({"exp": u64::MAX, "iat": u64::MAX}), 600, Err(Lifetime)),
            ("never ends, as a float", json!({"exp": 1e300}), 0, Err(Lifetime)),
            ("iat is null", json!({"exp": NOW + 60, "iat": null}), 0, Ok(NOW + 60)),
            ("iat is text", json!({"exp": NOW + 60, "iat": "0"}), 0, Err(Claims)),
            ("iat is negative", json!({"exp": NOW + 60, "iat": -1}), 0, Err(Claims)),
            ("iat is 0", json!({"exp": NOW + 60, "iat": 0}), 0, Err(Lifetime)),
        ];
        for (name, claims, leeway, expected) in cases {
            assert_eq!(check(claims, leeway), expected, "{name}");
        }
    }

    #[test]
    fn a_lifetime_without_bounds_overflows_nothing() {
        let lifetime = Lifetime { leeway: u64::MAX, longest: u64::MAX };
        let claims = json!({"exp": u64::MAX, "iat": 0});
        assert_eq!(lifetime.check(claims.as_object().unwrap(), SystemTime::now()), Err(TokenError::Lifetime));
    }
}
