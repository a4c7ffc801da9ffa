//! Tokens that must not pass.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::support::SECRET;

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token of user 7 with these changes; null takes a claim away.
pub(crate) fn token_with(changes: Value) -> String {
    let mut claims = json!({"sub": "a@b.c", "nickname": "nick", "user_idx": 7, "exp": now() + 3_600});
    for (claim, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(claim),
            value => claims.as_object_mut().unwrap().insert(claim.clone(), value.clone()),
        };
    }
    sign(&claims, SECRET)
}

pub(crate) fn signed_by_another_key() -> String {
    sign(&json!({"user_idx": 7, "exp": now() + 3_600}), "another secret, also of more than 32 bytes")
}

pub(crate) fn expired() -> String {
    token_with(json!({"exp": now() - 10}))
}

pub(crate) fn without_user_idx() -> String {
    token_with(json!({"user_idx": null}))
}

fn sign(claims: &Value, key: &str) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}
