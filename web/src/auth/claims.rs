//! The claims of a token that make an identity. It reads them, and writes them for development.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chat::{AllowedEmotes, Attributes};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Map, Value, json};

use super::TokenError;
use conf::Secret;

/// The identity in a valid token, or from a trusted gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Claim `user_idx`, from 1 to [`LARGEST_IDX`](chat::LARGEST_IDX).
    pub user_idx: i64,
    /// Claim `nickname`, as it came: unbounded and unchecked. Empty where there is none.
    pub nickname: String,
    /// Claim `sub`. Empty where there is none.
    pub email: String,
    /// The scopes: claim `scope`, split at blanks (RFC 8693), or without one `scp`, a list as Okta writes it or text as
    /// Entra ID does.
    pub scopes: Vec<String>,
    /// Claim `chat_attributes`: what the issuer says about the user, for each of the user's messages.
    pub attributes: Option<Attributes>,
    /// Claim `chat_emotes`: the emotes that the user's messages may have.
    pub emotes: Option<AllowedEmotes>,
}

/// The claim with a user's attributes.
const ATTRIBUTES: &str = "chat_attributes";

/// The claim with a user's emotes.
const EMOTES: &str = "chat_emotes";

impl Identity {
    /// Whether this scope was granted, such as `chat:moderate`. Scopes are compared whole and case-sensitively.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| granted == scope)
    }

    /// Err: a claim is not of its type, or out of its bounds.
    pub(super) fn from_claims(claims: &Map<String, Value>) -> Result<Identity, TokenError> {
        let user_idx = claims.get("user_idx").and_then(crate::idx).ok_or(TokenError::UserIdx)?;
        Identity::of_user(user_idx, claims).ok_or(TokenError::Claims)
    }

    fn of_user(user_idx: i64, claims: &Map<String, Value>) -> Option<Identity> {
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
            user_idx,
            nickname: text("nickname")?.to_owned(),
            email: text("sub")?.to_owned(),
            scopes: match (claims.get("scope"), claims.get("scp")) {
                (None | Some(Value::Null), Some(Value::Array(list))) => {
                    list.iter().map(|scope| scope.as_str().map(str::to_owned)).collect::<Option<_>>()?
                }
                (None | Some(Value::Null), _) => split(text("scp")?),
                _ => split(text("scope")?),
            },
            attributes: match claims.get(ATTRIBUTES) {
                None | Some(Value::Null) => None,
                Some(attributes) => Some(Attributes::parse(attributes).ok()?).filter(|given| !given.is_empty()),
            },
            emotes: match claims.get(EMOTES) {
                None | Some(Value::Null) => None,
                Some(emotes) => Some(AllowedEmotes::parse(emotes)?).filter(|allowed| !allowed.is_empty()),
            },
        })
    }
}

/// The scopes of a blank-separated list.
pub fn split(scopes: &str) -> Vec<String> {
    scopes.split_ascii_whitespace().map(str::to_owned).collect()
}

/// A token for development and tests, as the auth server issues them, and with scopes if there are any. The secret must
/// not be empty.
pub fn mint(secret: &Secret, identity: &Identity, lifetime: Duration) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut claims = json!({
        "sub": identity.email,
        "nickname": identity.nickname,
        "user_idx": identity.user_idx,
        "iat": now.as_secs(),
        "exp": now.saturating_add(lifetime).as_secs(),
    });
    if !identity.scopes.is_empty() {
        claims["scope"] = identity.scopes.join(" ").into();
    }
    if let Some(attributes) = &identity.attributes {
        claims[ATTRIBUTES] = attributes.members().into();
    }
    if let Some(emotes) = &identity.emotes {
        claims[EMOTES] = emotes.to_claim();
    }
    let key = EncodingKey::from_secret(secret.bytes()).expect("callers check the secret");
    encode(&Header::new(Algorithm::HS256), &claims, &key).expect("HS256 signs any JSON")
}
