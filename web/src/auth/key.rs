//! A key with its one algorithm and the claims that its tokens must have. The key itself decides its algorithm, once; a
//! token cannot.

use std::time::SystemTime;

use conf::Secret;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, Validation, decode};
use serde_json::{Map, Value};

use super::claims::Identity;
use super::lifetime::Lifetime;
use super::{Config, Pass, TokenError};

/// The required claims of an issuer's tokens, whichever key signed them.
#[derive(Debug, Clone)]
pub(super) struct Required {
    validation: Validation,
    lifetime: Lifetime,
}

/// A key that verifies tokens.
pub(super) struct Key {
    /// Its name in tokens. The secret has none, and a published key may have none.
    pub(super) kid: Option<String>,
    pub(super) algorithm: Algorithm,
    key: DecodingKey,
    required: Required,
}

/// RFC 7518 requires at least 2,048 bits. The library refuses more than 8,192, which cost too much to verify.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// The bytes of a P-256 point: a leading byte and two coordinates.
const P256_BYTES: usize = 65;
const ED25519_BYTES: usize = 32;

impl Required {
    /// `exp` always, and an issuer and an audience where they are not empty.
    pub(super) fn new(issuer: &str, audience: &str, config: &Config) -> Required {
        let mut validation = Validation::default();
        validation.algorithms.clear();
        validation.leeway = config.leeway.as_secs();
        validation.validate_nbf = true;
        // The library checks an issuer or audience only if the token has one, unless presence is required too.
        let mut required = vec!["exp"];
        if !issuer.is_empty() {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if !audience.is_empty() {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        let lifetime = Lifetime { leeway: config.leeway.as_secs(), longest: config.max_lifetime.as_secs() };
        Required { validation, lifetime }
    }
}

impl Key {
    pub(super) fn from_secret(secret: &Secret, required: Required) -> Key {
        let key = DecodingKey::from_secret(secret.bytes()).expect("callers check that there is a secret");
        Key::new(None, Algorithm::HS256, key, required)
    }

    /// A key of a JWKS. Err: why it cannot be used, in a few words.
    pub(super) fn from_jwk(jwk: &Jwk, required: Required) -> Result<Key, String> {
        let common = &jwk.common;
        if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return Err("its use is not sig".to_owned());
        }
        if common.key_operations.as_ref().is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
            return Err("its key_ops have no verify".to_owned());
        }
        let algorithm = algorithm(&jwk.algorithm, common.key_algorithm)?;
        let key = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
        check_size(&key)?;
        Ok(Key::new(common.key_id.clone(), algorithm, key, required))
    }

    fn new(kid: Option<String>, algorithm: Algorithm, key: DecodingKey, required: Required) -> Key {
        let mut required = required;
        required.validation.algorithms = vec![algorithm];
        Key { kid, algorithm, key, required }
    }

    /// The pass of a token that this key signed and whose claims are as required.
    pub(super) fn read(&self, token: &str) -> Result<Pass, TokenError> {
        let Required { validation, lifetime } = &self.required;
        let claims = decode::<Map<String, Value>>(token, &self.key, validation).map_err(reason)?.claims;
        check_kind(&claims)?;
        let until = lifetime.check(&claims, SystemTime::now())?;
        Ok(Pass { identity: Identity::from_claims(&claims)?, until })
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The one algorithm of a published key: what its `alg` says, if that goes with its type, else the type's own.
fn algorithm(parameters: &AlgorithmParameters, alg: Option<KeyAlgorithm>) -> Result<Algorithm, String> {
    use KeyAlgorithm as K;
    let algorithm = match parameters {
        AlgorithmParameters::RSA(_) => match alg {
            None | Some(K::RS256) => Some(Algorithm::RS256),
            Some(K::RS384) => Some(Algorithm::RS384),
            Some(K::RS512) => Some(Algorithm::RS512),
            Some(K::PS256) => Some(Algorithm::PS256),
            Some(K::PS384) => Some(Algorithm::PS384),
            Some(K::PS512) => Some(Algorithm::PS512),
            Some(_) => None,
        },
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            matches!(alg, None | Some(K::ES256)).then_some(Algorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            matches!(alg, None | Some(K::EdDSA)).then_some(Algorithm::EdDSA)
        }
        // Anyone who can read a published secret can sign with it.
        AlgorithmParameters::OctetKey(_) => return Err("it is a shared secret".to_owned()),
        _ => return Err("its kty or crv is not supported".to_owned()),
    };
    algorithm.ok_or_else(|| "its alg does not go with its kty".to_owned())
}

fn check_size(key: &DecodingKey) -> Result<(), String> {
    match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, .. } => {
            let zeros = n.iter().take_while(|byte| **byte == 0).count();
            let bits = 8 * (n.len() - zeros) - n.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
            if RSA_BITS.contains(&bits) { Ok(()) } else { Err(format!("it is an RSA key of {bits} bits")) }
        }
        DecodingKeyKind::SecretOrDer(bytes) if matches!(bytes.len(), P256_BYTES | ED25519_BYTES) => Ok(()),
        DecodingKeyKind::SecretOrDer(_) => Err("it is not as long as its crv".to_owned()),
    }
}

/// Claims by which issuers tell kinds of tokens apart that have the same header: Keycloak's `typ`, Cognito's
/// `token_use`, and two that are common in libraries.
const KIND_CLAIMS: [&str; 4] = ["typ", "token_use", "token_type", "type"];

/// What they say of tokens that are for the client alone, or for its issuer.
const OTHER_KINDS: [&str; 4] = ["refresh", "offline", "id", "logout"];

fn check_kind(claims: &Map<String, Value>) -> Result<(), TokenError> {
    let is_other = |claim: &&str| {
        let kind = claims.get(*claim).and_then(Value::as_str);
        kind.is_some_and(|kind| OTHER_KINDS.iter().any(|other| kind.eq_ignore_ascii_case(other)))
    };
    if KIND_CLAIMS.iter().any(is_other) { Err(TokenError::Type) } else { Ok(()) }
}

/// What is wrong with a token, in our words.
pub(super) fn reason(error: Error) -> TokenError {
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
