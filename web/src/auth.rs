//! Who sends a request, by its token: a JWT in the header `token` or `Authorization: Bearer`. It is verified by the secret
//! that the auth server shares with us (HS256), or by one of the public keys that an issuer publishes (`auth.jwks`). One
//! algorithm is pinned to each key, whatever a token says of itself, and a token's header names a key at most: it brings
//! none and makes nobody fetch one from elsewhere. What an identity may do is not known here.

use std::time::SystemTime;

use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use conf::{Address, Problem, Problems, Secret, Span};
use jsonwebtoken::{Algorithm, decode_header};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use jwks::Jwks;
use key::{Key, Required};

use crate::idx::IDX_BOUNDS;
pub(crate) use claims::split as split_scopes;
pub use claims::{Identity, mint};

mod claims;
mod jwks;
mod key;
mod key_set;
mod lifetime;
#[cfg(test)]
mod tests;

/// The section `[auth]` of the configuration. At least one of `secret` and `jwks.url` is required.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// HS256 key: the raw bytes of this string, at least 32. No default; empty: no token is verified by it.
    #[serde(default)]
    pub secret: Secret,
    /// Whether the secret may have fewer bytes than that, as some teams of the original have it.
    #[serde(default)]
    pub allow_short_secret: bool,
    /// Required `iss` of a token that the secret verifies, if not empty.
    pub issuer: String,
    /// Required `aud` of such a token, if not empty. A token that names an audience is refused while none is configured:
    /// it is meant for somebody else.
    pub audience: String,
    /// Clock difference tolerated in `exp` and `nbf`: whole seconds, at most 10 minutes.
    pub leeway: Span,
    /// How long a token may live, from `iat` (or now, without one) to `exp`: whole seconds.
    pub max_lifetime: Span,
    /// What a token's header may name as its `typ`, without `application/` and in any case; `none`: it may have none.
    pub token_types: Vec<String>,
    /// The issuer that publishes its keys.
    pub jwks: JwksConfig,
}

/// The section `[auth.jwks]` of the configuration. It has an issuer and an audience of its own: the auth server's tokens,
/// which the secret verifies, name neither, while those of an issuer with published keys always do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwksConfig {
    /// Where the keys are, http or https; empty: there are none.
    #[serde(deserialize_with = "conf::optional_address")]
    pub url: Option<Address>,
    /// Required `iss` of a token that one of the keys verifies, if not empty.
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

/// Why a request has no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No header carries a token.
    #[error("there is no token")]
    Missing,
    /// Two headers carry tokens, and it is not for us to choose.
    #[error("there is more than one token")]
    Ambiguous,
    /// Not three parts of base64url JSON, or longer than 8 KB, or with critical header members.
    #[error("the token is not a JWT")]
    Malformed,
    /// Another key, another algorithm or none.
    #[error("the token is not signed as required")]
    Signature,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// A claim is missing, of the wrong type, or not what is configured.
    #[error("the token's claims are not as required")]
    Claims,
    /// It says of itself that it is of another kind: a refresh token, an ID token, a proof of possession.
    #[error("the token is not an access token")]
    Type,
    /// From `iat` to `exp` it lives longer than is configured, or it was issued in the future.
    #[error("the token lives too long")]
    Lifetime,
    /// There is no `user_idx`, or none that an id can be.
    #[error("the token's claim user_idx must be {IDX_BOUNDS}")]
    UserIdx,
    /// The issuer's keys could not be fetched, so that nobody can say whether the token is good.
    #[error("the keys that verify the token cannot be fetched")]
    KeysUnavailable,
}

/// 8 KB: a token of the auth server has about 250 bytes, and what is longer is not worth a hash.
const LONGEST_TOKEN_BYTES: usize = 8 * 1024;

/// 10 minutes: more would rather hide a broken clock than tolerate one.
const LONGEST_LEEWAY: Span = Span::from_secs(600);

/// 5 s: a request waits for so long, and has to be answered within the deadline of its role.
const LONGEST_DEADLINE: Span = Span::from_secs(5);

/// Checks tokens.
#[derive(Debug)]
pub struct Verifier {
    secret: Option<Key>,
    jwks: Option<Jwks>,
    types: Vec<String>,
}

/// What a token allows, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Who the token speaks for.
    pub identity: Identity,
    /// From then on the token is refused: its `exp` plus the leeway. What goes on for longer than a request ends then.
    pub until: SystemTime,
}

impl Verifier {
    /// Fetches nothing: [`Verifier::follow_keys`] does. Err: the first setting that cannot work.
    pub fn new(config: &Config) -> Result<Verifier, Problem> {
        if let Some(problem) = config.problems().into_iter().next() {
            return Err(problem);
        }
        let Config { secret, issuer, audience, jwks, .. } = config;
        if secret.is_short() {
            tracing::warn!(
                bytes = secret.bytes().len(),
                "auth.secret has {} bytes: a holder of one token can find it by brute force, and forge tokens for anyone; \
                 set one of at least 32 at the auth server and here, then auth.allow_short_secret = false",
                secret.bytes().len()
            );
        }
        let required = Required::new(issuer, audience, config);
        let jwks = match &jwks.url {
            None => None,
            Some(url) => Some(Jwks::new(url, jwks, Required::new(&jwks.issuer, &jwks.audience, config))?),
        };
        let types = config.token_types.iter().map(|name| plain_type(name)).collect();
        let has_secret = !secret.bytes().is_empty();
        Ok(Verifier { secret: has_secret.then(|| Key::from_secret(secret, required)), jwks, types })
    }

    /// Fetches the issuer's keys, and fetches them again whenever it is time, until the stop. Returns at once where none
    /// are configured.
    pub async fn follow_keys(&self, stop: &CancellationToken) {
        if let Some(jwks) = &self.jwks {
            // A fetch that is dropped half-way has changed nothing.
            stop.run_until_cancelled(jwks.follow()).await;
        }
    }

    /// Whether some token can be verified, and why not. Without the issuer's keys there is still the secret.
    pub fn ready(&self) -> Result<(), String> {
        match &self.jwks {
            Some(jwks) if self.secret.is_none() && !jwks.has_keys() => {
                Err("the keys at auth.jwks.url were never fetched".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Who the token speaks for, as [`Verifier::pass`] finds it.
    pub async fn verify(&self, token: &str) -> Result<Identity, TokenError> {
        Ok(self.pass(token).await?.identity)
    }

    /// What the token allows. It waits, within the configured deadline, only where the token names a key that is not
    /// known yet.
    pub async fn pass(&self, token: &str) -> Result<Pass, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        if token.len() > LONGEST_TOKEN_BYTES {
            return Err(TokenError::Malformed);
        }
        let header = decode_header(token).map_err(key::reason)?;
        // RFC 7515: what is critical must be understood, and we understand no extension.
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        // RFC 8725, 3.11: an issuer signs tokens of several kinds with one key.
        let kind = plain_type(header.typ.as_deref().unwrap_or("none"));
        if !self.types.contains(&kind) {
            return Err(TokenError::Type);
        }
        let kid = header.kid.as_deref();
        match (header.alg, &self.secret, &self.jwks) {
            // Whoever names a published key and yet no public-key algorithm takes the one for the other.
            (Algorithm::HS256, Some(_), Some(jwks)) if kid.is_some_and(|kid| jwks.has_kid(kid)) => {
                Err(TokenError::Signature)
            }
            (Algorithm::HS256, Some(secret), _) => secret.read(token),
            (Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512, _, _) | (_, _, None) => Err(TokenError::Signature),
            (algorithm, _, Some(jwks)) => jwks.key(kid, algorithm).await?.read(token),
        }
    }

    /// Who a request's headers speak for: [`token`], verified.
    pub async fn verify_headers(&self, headers: &HeaderMap) -> Result<Identity, TokenError> {
        self.verify(token(headers)?).await
    }

    /// What a request's headers allow: [`token`], verified.
    pub async fn pass_of(&self, headers: &HeaderMap) -> Result<Pass, TokenError> {
        self.pass(token(headers)?).await
    }
}

/// A `typ` as it is compared (RFC 7515, 4.1.9): a media type in any case, of which `application/` may be left out.
fn plain_type(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_prefix("application/").map(str::to_owned).unwrap_or(name)
}

/// The one token of a request: header `token` or `Authorization: Bearer`. Both may be there if they agree.
pub fn token(headers: &HeaderMap) -> Result<&str, TokenError> {
    let own = single(headers.get_all("token").iter())?;
    let authorization = single(headers.get_all(AUTHORIZATION).iter())?;
    let bearer = authorization.and_then(|value| match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim_start_matches(' ')),
        _ => None,
    });
    match (own.filter(|token| !token.is_empty()), bearer) {
        (Some(own), Some(bearer)) if own != bearer => Err(TokenError::Ambiguous),
        (Some(token), _) | (None, Some(token)) => Ok(token),
        (None, None) => Err(TokenError::Missing),
    }
}

fn single<'a>(mut values: impl Iterator<Item = &'a HeaderValue>) -> Result<Option<&'a str>, TokenError> {
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(|value| Some(value.trim())).map_err(|_| TokenError::Malformed),
        (Some(_), Some(_)) => Err(TokenError::Ambiguous),
    }
}
