//! Who sends a request, by its token: a JWT in the header `token` or `Authorization: Bearer`. It is verified by the secret
//! that the auth server shares with us (HS256), or by one of the public keys that an issuer publishes (`auth.jwks`). One
//! algorithm is pinned to each key, whatever a token says of itself, and a token's header names a key at most: it brings
//! none and makes nobody fetch one from elsewhere. What an identity may do is not known here.

use std::time::SystemTime;

use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use jsonwebtoken::{Algorithm, decode_header};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use jwks::Jwks;
use key::{Key, Required};

use crate::address::Address;
use crate::idx::IDX_BOUNDS;
pub use crate::secret::Secret;
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
    /// Clock difference tolerated in `exp` and `nbf`, in seconds, 600 at most.
    pub leeway_seconds: u64,
    /// How long a token may live, in seconds: from `iat`, or where there is none from now on, to `exp`.
    pub max_lifetime_seconds: u64,
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
    #[serde(deserialize_with = "crate::address::optional")]
    pub url: Option<Address>,
    /// Required `iss` of a token that one of the keys verifies, if not empty.
    pub issuer: String,
    /// Required `aud` of such a token, if not empty, as above.
    pub audience: String,
    /// Seconds between two fetches, 1 or more.
    pub refresh_seconds: u64,
    /// Milliseconds for a fetch, and for a request to wait for one; 1 to 5,000.
    pub deadline_ms: u64,
}

impl Config {
    /// Refuses a secret that is missing, or too short unless that is allowed, naming its key.
    pub fn check_secret(&self) -> Result<(), String> {
        match self.secret.check("auth.secret") {
            Err(_) if self.allow_short_secret && !self.secret.bytes().is_empty() => Ok(()),
            Err(wrong) if self.secret.is_short() => {
                Err(format!("{wrong}; if the auth server's cannot be changed, auth.allow_short_secret lets it pass"))
            }
            checked => checked,
        }
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
const LONGEST_LEEWAY_SECONDS: u64 = 600;

/// 5 s: a request waits for so long, and has to be answered within the deadline of its role.
const LONGEST_DEADLINE_MS: u64 = 5_000;

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
    /// Fetches nothing: [`Verifier::follow_keys`] does. Err: what is wrong with the configuration, naming the key
    /// (`auth.secret is required`).
    pub fn new(config: &Config) -> Result<Verifier, String> {
        let Config { secret, issuer, audience, leeway_seconds, jwks, .. } = config;
        if *leeway_seconds > LONGEST_LEEWAY_SECONDS {
            return Err(format!("auth.leeway_seconds is more than {LONGEST_LEEWAY_SECONDS}"));
        }
        let has_secret = !secret.bytes().is_empty();
        match &jwks.url {
            None => config.check_secret().map_err(|wrong| format!("{wrong}, or set auth.jwks.url"))?,
            Some(_) if has_secret => config.check_secret()?,
            Some(_) if !issuer.is_empty() || !audience.is_empty() => {
                return Err(
                    "auth.issuer and auth.audience are for tokens that auth.secret verifies, and there is none: \
                    set auth.jwks.issuer and auth.jwks.audience"
                        .to_owned(),
                );
            }
            Some(_) => {}
        }
        if has_secret && secret.is_short() {
            tracing::warn!(
                bytes = secret.bytes().len(),
                "auth.secret has {} bytes, and auth.allow_short_secret lets it pass: whoever has a token can find it by trying, \
                 and then be anybody; set one of at least 32",
                secret.bytes().len()
            );
        }
        if config.max_lifetime_seconds == 0 {
            return Err("auth.max_lifetime_seconds is 0: every token would be refused".to_owned());
        }
        if config.token_types.is_empty() {
            return Err("auth.token_types is empty: every token would be refused".to_owned());
        }
        let required = Required::new(issuer, audience, config);
        let jwks = match &jwks.url {
            None => None,
            Some(_) if jwks.refresh_seconds == 0 => return Err("auth.jwks.refresh_seconds is 0".to_owned()),
            Some(_) if !(1..=LONGEST_DEADLINE_MS).contains(&jwks.deadline_ms) => {
                return Err(format!("auth.jwks.deadline_ms is not from 1 to {LONGEST_DEADLINE_MS}"));
            }
            Some(url) => Some(Jwks::new(url, jwks, Required::new(&jwks.issuer, &jwks.audience, config))?),
        };
        let types = config.token_types.iter().map(|name| plain_type(name)).collect();
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
