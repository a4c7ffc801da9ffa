//! The secrets that are shared with the auth server: the one in use, and while it is changed a second one.

use super::key::{Key, Required};
use super::{Config, Pass, TokenError};

/// The keys made of them, at most two.
#[derive(Debug)]
pub(super) struct Secrets(Vec<Key>);

impl Secrets {
    pub(super) fn new(config: &Config) -> Secrets {
        let Config { secret, previous_secret, issuer, audience, .. } = config;
        let set = [secret, previous_secret].into_iter().filter(|secret| !secret.bytes().is_empty());
        Secrets(set.map(|secret| Key::from_secret(secret, Required::new(issuer, audience, config))).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The token, as the first key reads it whose signature it has.
    pub(super) fn read(&self, token: &str) -> Result<Pass, TokenError> {
        for key in &self.0 {
            match key.read(token) {
                Err(TokenError::Signature) => {}
                read => return read,
            }
        }
        Err(TokenError::Signature)
    }
}
