//! A secret in the configuration: usable, but never shown.

use std::fmt;

use serde::Deserialize;

use crate::Problem;

/// A secret of the configuration, as raw bytes. `Debug` hides it, and it has no `Display`.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// 32 bytes: RFC 7518 requires an HS256 key to be at least as long as the hash.
const SHORTEST_BYTES: usize = 32;

impl Secret {
    /// The key for signing and verifying.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The same as text, for libraries that take text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether the secret is set but too short.
    pub fn is_short(&self) -> bool {
        (1..SHORTEST_BYTES).contains(&self.0.len())
    }

    /// Refuses a missing or short secret. `key` names the setting.
    pub fn check(&self, key: &str) -> Result<(), Problem> {
        let reason = match self.0.len() {
            0 => format!("is required: set it to a secret of at least {SHORTEST_BYTES} bytes"),
            length if length < SHORTEST_BYTES => {
                format!("has {length} bytes: set it to a secret of at least {SHORTEST_BYTES}")
            }
            _ => return Ok(()),
        };
        Err(Problem::new(key, reason))
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::from("hunter2".to_owned())), "[secret]");
    }

    #[test]
    fn a_short_or_missing_secret_is_refused_and_its_key_named() {
        let check = |secret: &str| Secret::from(secret.to_owned()).check("auth.secret");
        assert!(check("").unwrap_err().to_string().starts_with("auth.secret: is required"));
        assert!(check(&"x".repeat(31)).unwrap_err().to_string().starts_with("auth.secret: has 31 bytes"));
        assert_eq!(check(&"x".repeat(32)), Ok(()));
    }
}
