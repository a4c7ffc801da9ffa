//! Who sends a request, by its token: a JWT, HS256, in the header `token` or `Authorization: Bearer`. One algorithm is
//! pinned to the one key, whatever a token says of itself; nothing in a token's header chooses or fetches a key. What
//! an identity may do is not known here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub use crate::secret::Secret;

#[cfg(test)]
mod tests;

/// The section `[auth]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// HS256 key: the raw bytes of this string, at least 32. No default.
    #[serde(default)]
    pub secret: Secret,
    /// Required `iss`, if not empty.
    pub issuer: String,
    /// Required `aud`, if not empty. A token that names an audience is refused while none is configured: it is meant
    /// for somebody else.
    pub audience: String,
    /// Clock difference tolerated in `exp` and `nbf`, in seconds, 600 at most.
    pub leeway_seconds: u64,
}

/// Who a valid token, or a trusted gateway, speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Claim `user_idx`, 1 or more.
    pub user_idx: i64,
    /// Claim `nickname`, as it came: unbounded and unchecked. Empty where there is none.
    pub nickname: String,
    /// Claim `sub`. Empty where there is none.
    pub email: String,
    /// Claim `scope`, split at blanks.
    pub scopes: Vec<String>,
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
}

/// 8 KB: a token of the auth server has about 250 bytes, and what is longer is not worth a hash.
const LONGEST_TOKEN_BYTES: usize = 8 * 1024;

/// 10 minutes: more would rather hide a broken clock than tolerate one.
const LONGEST_LEEWAY_SECONDS: u64 = 600;

/// Checks tokens.
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// Err: what is wrong with the configuration, naming the key (`auth.secret is required`).
    pub fn new(config: &Config) -> Result<Verifier, String> {
        config.secret.check("auth.secret")?;
        if config.leeway_seconds > LONGEST_LEEWAY_SECONDS {
            return Err(format!("auth.leeway_seconds is more than {LONGEST_LEEWAY_SECONDS}"));
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = config.leeway_seconds;
        validation.validate_nbf = true;
        // The library checks an issuer or audience only where there is one, unless presence is required as well.
        let mut required = vec!["exp"];
        if !config.issuer.is_empty() {
            validation.set_issuer(&[&config.issuer]);
            required.push("iss");
        }
        if !config.audience.is_empty() {
            validation.set_audience(&[&config.audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        Ok(Verifier { key: DecodingKey::from_secret(config.secret.bytes()), validation })
    }

    /// Who the token speaks for.
    pub fn verify(&self, token: &str) -> Result<Identity, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        if token.len() > LONGEST_TOKEN_BYTES {
            return Err(TokenError::Malformed);
        }
        let token = decode::<Map<String, Value>>(token, &self.key, &self.validation).map_err(reason)?;
        // RFC 7515: what is critical must be understood, and we understand no extension.
        if token.header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        identity(&token.claims).ok_or(TokenError::Claims)
    }

    /// Who a request's headers speak for: [`token`], verified.
    pub fn verify_headers(&self, headers: &HeaderMap) -> Result<Identity, TokenError> {
        self.verify(token(headers)?)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
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

/// A token for development and tests, as the auth server issues them.
pub fn mint(secret: &Secret, user_idx: i64, nickname: &str, email: &str, lifetime: Duration) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let claims = json!({
        "sub": email,
        "nickname": nickname,
        "user_idx": user_idx,
        "iat": now.as_secs(),
        "exp": now.saturating_add(lifetime).as_secs(),
    });
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret.bytes()))
        .expect("HS256 signs any JSON with any key")
}

fn single<'a>(mut values: impl Iterator<Item = &'a HeaderValue>) -> Result<Option<&'a str>, TokenError> {
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(|value| Some(value.trim())).map_err(|_| TokenError::Malformed),
        (Some(_), Some(_)) => Err(TokenError::Ambiguous),
    }
}

/// None: a claim is not of its type.
fn identity(claims: &Map<String, Value>) -> Option<Identity> {
    let text = |claim| match claims.get(claim) {
        None | Some(Value::Null) => Some(""),
        Some(value) => value.as_str(),
    };
    // The library lets an `iss` be a list, and an `aud` that nobody asked for be anything.
    text("iss")?;
    if let Some(audience) = claims.get("aud")
        && !(audience.is_string() || audience.is_array())
    {
        return None;
    }
    Some(Identity {
        user_idx: claims.get("user_idx")?.as_i64().filter(|idx| *idx >= 1)?,
        nickname: text("nickname")?.to_owned(),
        email: text("sub")?.to_owned(),
        scopes: text("scope")?.split_ascii_whitespace().map(str::to_owned).collect(),
    })
}

fn reason(error: Error) -> TokenError {
    match error.kind() {
        ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => TokenError::Signature,
        ErrorKind::ExpiredSignature => TokenError::Expired,
        ErrorKind::MissingRequiredClaim(_)
        | ErrorKind::InvalidClaimFormat(_)
        | ErrorKind::InvalidIssuer
        | ErrorKind::InvalidAudience
        | ErrorKind::InvalidSubject
        | ErrorKind::ImmatureSignature => TokenError::Claims,
        _ => TokenError::Malformed,
    }
}
