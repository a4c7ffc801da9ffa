//! stub: JWT verification.
/// Section `[auth]`.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// HS256 key: the raw bytes of this string. No default.
    #[serde(default)]
    pub secret: Secret,
    /// Required `iss`, if not empty.
    pub issuer: String,
    /// Required `aud`, if not empty.
    pub audience: String,
    /// Clock difference tolerated in `exp` and `nbf`.
    pub leeway_seconds: u64,
}
/// Never shown by Debug.
#[derive(Clone, Default, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(String);
impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}
/// Who a valid token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub user_idx: i64,
    pub nickname: String,
    pub email: String,
    pub scopes: Vec<String>,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("there is no token")]
    Missing,
    #[error("the token is not a JWT")]
    Malformed,
    #[error("the token is not signed as required")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token's claims are not as required")]
    Claims,
}
#[derive(Debug)]
pub struct Verifier {}
impl Verifier {
    /// Err: what is wrong with the configuration, naming the key (`auth.secret is required`).
    pub fn new(_config: &Config) -> Result<Verifier, String> {
        todo!()
    }
    pub fn verify(&self, _token: &str) -> Result<Identity, TokenError> {
        todo!()
    }
}
