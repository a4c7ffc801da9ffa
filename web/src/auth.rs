//! The sender of a request, by its token: a JWT in the header `token` or `Authorization: Bearer`. A secret shared with
//! the auth server verifies it (HS256), or one of the public keys of an issuer (`auth.jwks`). Each key has one
//! algorithm, whatever a token claims. A token's header can name a key, but neither bring one nor say where to fetch
//! one. The module does not know what an identity may do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use conf::{Address, Problem, Problems, Secret, Span};
use jsonwebtoken::{Algorithm, decode_header};
use parking_lot::RwLock;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use self::metrics::VerifierMetrics;
use jwks::Jwks;
use key::Required;
use secrets::Secrets;

pub use claims::split as split_scopes;
pub use claims::{Identity, mint};
pub use jwks::fetch_issuer_keys;
pub use token_cache::TokenCache;
pub use token_error::TokenError;

mod claims;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod jwks;
mod key;
mod key_set;
mod lifetime;
mod metrics;
mod secrets;
#[cfg(test)]
mod tests;
mod token_cache;
mod token_error;

/// The section `[auth]` of the configuration. At least one of `secret` and `jwks.url` is required.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The HS256 key: the raw bytes of this string, at least 32. Empty: it verifies no token.
    #[serde(default)]
    pub secret: Secret,
    /// A second key of that kind, while the auth server changes from one to the other. Empty: none.
    #[serde(default)]
    pub previous_secret: Secret,
    /// Whether the secret may be shorter, as that of some teams of the original is.
    #[serde(default)]
    pub allow_short_secret: bool,
    /// Required `iss` of a token of the secret, if not empty.
    pub issuer: String,
    /// Required `aud` of such a token, if not empty. Without one, a token with an audience is refused: it is for
    /// another service.
    pub audience: String,
    /// Clock difference tolerated in `exp` and `nbf`: whole seconds, at most 10 minutes.
    pub leeway: Span,
    /// How long a token may live, from `iat` (or now, without one) to `exp`: whole seconds.
    pub max_lifetime: Span,
    /// Accepted values of a token's header `typ`, without `application/` and in any case. `none`: it may be absent.
    pub token_types: Vec<String>,
    /// The issuer that publishes its keys.
    pub jwks: JwksConfig,
}

/// The section `[auth.jwks]` of the configuration. It has an issuer and an audience of its own: tokens of an issuer
/// with published keys always name them, tokens of the auth server never do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwksConfig {
    /// The address of the keys, http or https. Empty: none.
    #[serde(deserialize_with = "conf::optional_address")]
    pub url: Option<Address>,
    /// Required `iss` of a token of these keys, if not empty.
    pub issuer: String,
    /// Required `aud` of such a token, if not empty, as above.
    pub audience: String,
    /// The time between two fetches, at least 1 s.
    pub refresh: Span,
    /// The time for a fetch, and for a request to wait for one: at most 5 s.
    pub deadline: Span,
}

impl Config {
    /// Refuses a secret that is missing, or too short unless that is allowed.
    pub fn check_secret(&self) -> Result<(), Problem> {
        match self.secret.check("auth.secret") {
            Err(_) if self.allow_short_secret && !self.secret.bytes().is_empty() => Ok(()),
            Err(Problem { key, reason }) if self.secret.is_short() => {
                let hint = "if the auth server's cannot be changed, auth.allow_short_secret lets it pass";
                Err(Problem::new(key, format!("{reason}; {hint}")))
            }
            checked => checked,
        }
    }

    /// Every setting that cannot work.
    pub fn problems(&self) -> Vec<Problem> {
        let Config { issuer, audience, jwks, .. } = self;
        let mut problems = Problems::of("auth");
        let has_secret = !self.secret.bytes().is_empty();
        let secret = match &jwks.url {
            None => self.check_secret().map_err(|Problem { reason, .. }| format!("{reason}, or set auth.jwks.url")),
            Some(_) if has_secret => self.check_secret().map_err(|Problem { reason, .. }| reason),
            Some(_) => Ok(()),
        };
        if let Err(reason) = secret {
            problems.require(false, "secret", reason);
        }
        if !self.previous_secret.bytes().is_empty() {
            problems.require(
                has_secret,
                "previous_secret",
                "is set without auth.secret: it is for the time of a change",
            );
            let is_long_enough = self.allow_short_secret || !self.previous_secret.is_short();
            problems.require(is_long_enough, "previous_secret", "is shorter than 32 bytes");
        }
        for (key, value) in [("issuer", issuer), ("audience", audience)] {
            let is_of_use = value.is_empty() || has_secret || jwks.url.is_none();
            let reason = "is for tokens that auth.secret verifies, and there is none";
            problems.require(is_of_use, key, format!("{reason}: set auth.jwks.{key}"));
        }
        problems.within("leeway", self.leeway, Span::ZERO..=LONGEST_LEEWAY);
        problems.at_least("max_lifetime", self.max_lifetime, Span::from_secs(1));
        for (key, span) in [("leeway", self.leeway), ("max_lifetime", self.max_lifetime)] {
            problems.require(span.whole_seconds().is_some(), key, "must be whole seconds");
        }
        problems.require(!self.token_types.is_empty(), "token_types", "is empty: every token would be refused");
        if jwks.url.is_some() {
            problems.at_least("jwks.refresh", jwks.refresh, Span::from_secs(1));
            problems.within("jwks.deadline", jwks.deadline, Span::from_millis(1)..=LONGEST_DEADLINE);
        }
        problems.found()
    }
}

const TOKEN: HeaderName = HeaderName::from_static("token");

/// 8 KB: a token of the auth server has about 250 bytes. A longer one is refused before it is hashed.
const LONGEST_TOKEN_BYTES: usize = 8 * 1024;

/// 10 minutes: more would hide a broken clock.
const LONGEST_LEEWAY: Span = Span::from_secs(600);

/// 5 s: a request waits that long, and must be answered within the deadline of its role.
const LONGEST_DEADLINE: Span = Span::from_secs(5);

/// Verifies tokens.
#[derive(Debug)]
pub struct Verifier {
    secrets: RwLock<Arc<Secrets>>,
    /// How often the secrets were set.
    times_set: AtomicU64,
    jwks: Option<Jwks>,
    types: Vec<String>,
    metrics: VerifierMetrics,
}

/// A verified token: its identity, and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The identity of the token.
    pub identity: Identity,
    /// The token's `exp` plus the leeway, from when on it is refused. Sessions and streams end then.
    pub until: SystemTime,
}

impl Verifier {
    /// Fetches nothing: [`Verifier::follow_keys`] does. Err: the first setting that cannot work.
    pub fn new(config: &Config) -> Result<Verifier, Problem> {
        if let Some(problem) = config.problems().into_iter().next() {
            return Err(problem);
        }
        let Config { secret, jwks, .. } = config;
        if secret.is_short() {
            tracing::warn!(
                bytes = secret.bytes().len(),
                "auth.secret has {} bytes: a holder of one token can find it by brute force, and forge tokens for anyone; \
                 set one of at least 32 at the auth server and here, then auth.allow_short_secret = false",
                secret.bytes().len()
            );
        }
        let jwks = match &jwks.url {
            None => None,
            Some(url) => Some(Jwks::new(url, jwks, Required::new(&jwks.issuer, &jwks.audience, config))?),
        };
        let types = config.token_types.iter().map(|name| plain_type(name)).collect();
        Ok(Verifier {
            secrets: RwLock::new(Arc::new(Secrets::new(config))),
            times_set: AtomicU64::new(0),
            jwks,
            types,
            metrics: VerifierMetrics::new(),
        })
    }

    /// From now on the secrets of that configuration count, and tokens of others are refused. Nothing else of it does.
    pub fn set_secrets(&self, config: &Config) {
        *self.secrets.write() = Arc::new(Secrets::new(config));
        self.times_set.fetch_add(1, Ordering::Release);
    }

    /// Fetches the issuer's keys, again and again, until the stop. Returns at once if no issuer is configured.
    pub async fn follow_keys(&self, stop: &CancellationToken) {
        if let Some(jwks) = &self.jwks {
            // A dropped fetch has changed nothing.
            stop.run_until_cancelled(jwks.follow()).await;
        }
    }

    /// Err: no token can be verified, with the reason. A secret works without the issuer's keys.
    pub fn ready(&self) -> Result<(), String> {
        match &self.jwks {
            Some(jwks) if self.secrets.read().is_empty() && !jwks.has_keys() => {
                Err("the keys at auth.jwks.url were never fetched".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The identity of a token, as [`Verifier::pass`] finds it.
    pub async fn verify(&self, token: &str) -> Result<Identity, TokenError> {
        Ok(self.pass(token).await?.identity)
    }

    /// Verifies a token. It waits, within the configured deadline, only if the token names an unknown key.
    pub async fn pass(&self, token: &str) -> Result<Pass, TokenError> {
        self.metrics.counted(self.read(token).await)
    }

    async fn read(&self, token: &str) -> Result<Pass, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        if token.len() > LONGEST_TOKEN_BYTES {
            return Err(TokenError::Malformed);
        }
        let header = decode_header(token).map_err(key::reason)?;
        // RFC 7515: a critical extension has to be understood, and none is.
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        // RFC 8725, 3.11: an issuer signs tokens of several kinds with one key.
        let kind = plain_type(header.typ.as_deref().unwrap_or("none"));
        if !self.types.contains(&kind) {
            return Err(TokenError::Type);
        }
        let kid = header.kid.as_deref();
        let secrets = self.secrets.read().clone();
        match (header.alg, secrets.is_empty(), &self.jwks) {
            // HS256 with the name of a published key would take the public key for a secret.
            (Algorithm::HS256, false, Some(jwks)) if kid.is_some_and(|kid| jwks.has_kid(kid)) => {
                Err(TokenError::Signature)
            }
            (Algorithm::HS256, false, _) => secrets.read(token),
            (Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512, _, _) | (_, _, None) => Err(TokenError::Signature),
            (algorithm, _, Some(jwks)) => jwks.key(kid, algorithm).await?.read(token),
        }
    }

    /// A number that grows with each change of the secrets and of the issuer's keys. While it stays, what a token's
    /// signature and key are worth does too.
    pub fn generation(&self) -> u64 {
        self.times_set.load(Ordering::Acquire) + self.jwks.as_ref().map_or(0, Jwks::generation)
    }

    /// The [`token`] of a request that needs one: a request without it counts as refused.
    pub fn token_of<'h>(&self, headers: &'h HeaderMap) -> Result<&'h str, TokenError> {
        self.metrics.counted(token(headers))
    }

    /// The pass of a request: its [`token`], verified.
    pub async fn pass_of(&self, headers: &HeaderMap) -> Result<Pass, TokenError> {
        self.pass(self.token_of(headers)?).await
    }
}

/// A `typ` for comparison (RFC 7515, 4.1.9): a media type in any case, with an optional `application/`.
fn plain_type(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_prefix("application/").map(str::to_owned).unwrap_or(name)
}

/// The token of a request: header `token` or `Authorization: Bearer`. Both may be present if they are equal.
pub fn token(headers: &HeaderMap) -> Result<&str, TokenError> {
    token_in(headers.get_all(TOKEN).iter(), headers.get_all(AUTHORIZATION).iter())
}

/// The same, from the values of the headers `token` and `Authorization`.
pub(crate) fn token_in<'a>(
    own: impl Iterator<Item = &'a HeaderValue>,
    authorization: impl Iterator<Item = &'a HeaderValue>,
) -> Result<&'a str, TokenError> {
    let (own, authorization) = (single(own)?, single(authorization)?);
    let bearer = authorization.and_then(|value| match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim_start()),
        _ => None,
    });
    match (own.filter(|token| !token.is_empty()), bearer) {
        (Some(own), Some(bearer)) if own != bearer => Err(TokenError::Ambiguous),
        (Some(token), _) | (None, Some(token)) => Ok(token),
        (None, None) => Err(TokenError::Missing),
    }
}

/// As `HeaderValue::to_str`, many bytes at a time: a token has hundreds.
fn text(value: &HeaderValue) -> Option<&str> {
    let bytes = value.as_bytes();
    let is_visible = |byte: u8| matches!(byte, b' '..=b'~') | (byte == b'\t');
    let is_text = bytes.iter().fold(true, |all, byte| all & is_visible(*byte));
    if is_text { str::from_utf8(bytes).ok() } else { None }
}

fn single<'a>(mut values: impl Iterator<Item = &'a HeaderValue>) -> Result<Option<&'a str>, TokenError> {
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => text(value).map(|value| Some(value.trim())).ok_or(TokenError::Malformed),
        (Some(_), Some(_)) => Err(TokenError::Ambiguous),
    }
}
