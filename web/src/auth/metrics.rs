//! What the verifier exposes to Prometheus: refused tokens, and the issuer's keys.

use std::sync::Arc;

use metrics::{Counters, Registry};

use super::{TokenError, Verifier};
use crate::Admin;

/// The reasons, as the label `reason`.
const REASONS: [&str; 10] = [
    "missing",
    "ambiguous",
    "malformed",
    "signature",
    "expired",
    "claims",
    "type",
    "lifetime",
    "user_idx",
    "keys_unavailable",
];

/// The counters of refused tokens.
#[derive(Debug)]
pub(super) struct VerifierMetrics {
    registry: Registry,
    failures: Counters,
}

impl VerifierMetrics {
    pub(super) fn new() -> VerifierMetrics {
        let registry = Registry::new();
        let failures = registry.counters(
            "chatting_auth_token_failures_total",
            "Tokens that were refused, and requests without the token that they need.",
            "reason",
            REASONS,
        );
        VerifierMetrics { registry, failures }
    }

    /// Counts a token that is refused.
    pub(super) fn counted<T>(&self, read: Result<T, TokenError>) -> Result<T, TokenError> {
        read.inspect_err(|error| self.failures.of(word(*error)).inc())
    }
}

impl Verifier {
    /// Exposes the metrics of tokens and of the issuer's keys, and whether those can be fetched.
    pub fn report_to(self: &Arc<Self>, admin: &Admin) {
        admin.metrics().include(&self.metrics.registry);
        let Some(jwks) = &self.jwks else { return };
        admin.metrics().include(jwks.metrics());
        let verifier = self.clone();
        admin.depends_on("issuer_keys", move || match &verifier.jwks {
            Some(jwks) if jwks.has_failed() => Err("the keys at auth.jwks.url cannot be fetched".to_owned()),
            _ => Ok(()),
        });
        let verifier = self.clone();
        admin.metrics().gauge(
            "chatting_auth_keys_fetched_timestamp_seconds",
            "When the issuer's keys were fetched last, since 1970. Absent before the first time.",
            move || Some(verifier.jwks.as_ref()?.fetched()?.as_millisecond() as f64 / 1_000.0),
        );
    }
}

fn word(error: TokenError) -> &'static str {
    match error {
        TokenError::Missing => "missing",
        TokenError::Ambiguous => "ambiguous",
        TokenError::Malformed => "malformed",
        TokenError::Signature => "signature",
        TokenError::Expired => "expired",
        TokenError::Claims => "claims",
        TokenError::Type => "type",
        TokenError::Lifetime => "lifetime",
        TokenError::UserIdx => "user_idx",
        TokenError::KeysUnavailable => "keys_unavailable",
    }
}
