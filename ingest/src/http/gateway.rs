//! The identity that the gateway forwards: the headers `x-forward-userIdx`, `x-forward-email`, `x-forward-nickname`
//! and, optionally, `x-forward-scope` (form-URL-encoded UTF-8). Anyone can write a header, so they count only from
//! trusted addresses or with the gateway's signature. Otherwise they are ignored, and the token decides. A signature
//! covers one request: an attacker who captures it can repeat that request for 300 s, and make no other.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use chat::LARGEST_IDX;
use conf::{Problem, Secret};
use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use parking_lot::RwLock;
use serde::Deserialize;

use web::IDX_BOUNDS;
use web::auth::{Identity, split_scopes};

use crate::http::content_digest::{CONTENT_DIGEST, ContentDigest};

#[cfg(test)]
mod tests;

/// Member `gateway` of a role's section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// What makes forwarded headers count.
    pub mode: Mode,
    /// For `trusted-addresses`: networks of the gateway, `10.0.0.0/8`, against the TCP peer.
    pub trusted: Vec<IpNet>,
    /// For `trusted-addresses`: whether `x-forward-scope` counts too. A gateway that does not know this header passes
    /// the client's on, and anyone could become a moderator.
    pub trusted_scope: bool,
    /// For `signature`: the key that the gateway shares with us, at least 32 bytes.
    #[serde(default)]
    pub secret: Secret,
    /// For `signature`: the last day, in UTC, on which signatures of the first version count too, such as `2027-03-31`.
    /// They cover the identity alone. Empty: they do not count.
    pub v1_until: String,
}

impl GatewayConfig {
    /// The networks whose connections carry the requests of many users.
    pub(crate) fn networks(&self) -> &[IpNet] {
        match self.mode {
            Mode::TrustedAddresses => &self.trusted,
            // A signature counts from any address.
            Mode::Off | Mode::Signature => &[],
        }
    }
}

/// What makes forwarded headers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Nothing.
    Off,
    /// The address that the connection comes from.
    TrustedAddresses,
    /// Header `x-forward-signature: t=<unix seconds>,v2=<hex>`: HMAC-SHA256 over the lines `v2`, t, the method, the
    /// path with the query, Content-Digest (empty where there is no body), userIdx, email and nickname, and a last one
    /// with the scope where that header is there, as sent, joined by line feeds. It holds for 300 s.
    Signature,
}

/// The forwarded headers count, but one is missing, doubled or malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ForwardError {
    /// Some of the three headers are there, this one is not.
    #[error("header {0} is missing")]
    Missing(&'static str),
    /// It is there more than once.
    #[error("header {0} is there more than once")]
    Twice(&'static str),
    /// It is not what it should be.
    #[error("header {0} must be {expected}", expected = expected(.0))]
    Malformed(&'static str),
}

const USER_IDX: &str = "x-forward-useridx";
const EMAIL: &str = "x-forward-email";
const NICKNAME: &str = "x-forward-nickname";
const SCOPE: &str = "x-forward-scope";
const SIGNATURE: &str = "x-forward-signature";

/// 300 s: signed webhooks commonly tolerate that much between two clocks. A stolen signature works that long.
const SIGNATURE_SECONDS: u64 = 300;

/// Reads what the gateway forwards.
#[derive(Debug)]
pub(crate) struct Gateway {
    config: GatewayConfig,
    /// The one in use.
    secret: RwLock<Secret>,
    v1_until: Option<Date>,
}

impl Gateway {
    /// Err: what is wrong with the configuration. `section` is where it stands, such as `ingest.gateway`.
    pub(crate) fn new(config: &GatewayConfig, section: &str) -> Result<Gateway, Problem> {
        match config.mode {
            Mode::Off => {}
            Mode::TrustedAddresses if config.trusted.is_empty() => {
                let key = format!("{section}.trusted");
                return Err(Problem::new(key, "is required: name the networks of the gateway"));
            }
            Mode::TrustedAddresses => {}
            Mode::Signature => config.secret.check(&format!("{section}.secret"))?,
        }
        let v1_until = match config.v1_until.as_str() {
            "" => None,
            date => {
                let wrong = |_| Problem::new(format!("{section}.v1_until"), "must be a date, such as 2027-03-31");
                Some(date.parse().map_err(wrong)?)
            }
        };
        Ok(Gateway { config: config.clone(), secret: RwLock::new(config.secret.clone()), v1_until })
    }

    /// From now on signatures by this secret count, and those by the one before it do not.
    pub(crate) fn set_secret(&self, secret: &Secret) {
        secret.clone_into(&mut self.secret.write());
    }

    /// The forwarded identity. None: nothing was forwarded, or it does not count.
    pub(crate) fn identity(&self, request: &Parts, peer: IpAddr) -> Result<Option<Identity>, ForwardError> {
        if self.config.mode == Mode::Off {
            return Ok(None);
        }
        let headers = &request.headers;
        let is_forwarded = [USER_IDX, EMAIL, NICKNAME].iter().any(|name| headers.contains_key(*name));
        if !is_forwarded || !self.is_trusted(request, peer) {
            return Ok(None);
        }
        let user_idx = single(headers, USER_IDX)?.to_str().ok().and_then(decimal);
        let user_idx = user_idx.and_then(|idx| i64::try_from(idx).ok());
        Ok(Some(Identity {
            user_idx: user_idx
                .filter(|idx| (1..=LARGEST_IDX).contains(idx))
                .ok_or(ForwardError::Malformed(USER_IDX))?,
            nickname: decoded(single(headers, NICKNAME)?).ok_or(ForwardError::Malformed(NICKNAME))?,
            email: decoded(single(headers, EMAIL)?).ok_or(ForwardError::Malformed(EMAIL))?,
            scopes: self.scopes(headers)?,
            attributes: None,
            emotes: None,
        }))
    }

    /// Of headers that count.
    fn scopes(&self, headers: &HeaderMap) -> Result<Vec<String>, ForwardError> {
        let counts = self.config.mode == Mode::Signature || self.config.trusted_scope;
        if !counts || !headers.contains_key(SCOPE) {
            return Ok(Vec::new());
        }
        let scopes = decoded(single(headers, SCOPE)?).ok_or(ForwardError::Malformed(SCOPE))?;
        Ok(split_scopes(&scopes))
    }

    /// Whether signatures of the identity alone still count.
    fn takes_v1(&self, now_seconds: u64) -> bool {
        let today = i64::try_from(now_seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        let today = today.map(|now| now.to_zoned_datetime(TimeZone::UTC).date());
        self.v1_until.zip(today).is_some_and(|(until, today)| today <= until)
    }

    fn is_trusted(&self, request: &Parts, peer: IpAddr) -> bool {
        match self.config.mode {
            Mode::Off => false,
            // A socket that takes both families shows an IPv4 peer as ::ffff:10.0.0.1.
            Mode::TrustedAddresses => self.config.trusted.iter().any(|net| net.contains(&peer.to_canonical())),
            Mode::Signature => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                is_signed(request, &self.secret.read(), now, self.takes_v1(now)).unwrap_or(false)
            }
        }
    }
}

/// None: a header that the signature needs is missing or malformed.
fn is_signed(request: &Parts, secret: &Secret, now_seconds: u64, takes_v1: bool) -> Option<bool> {
    let headers = &request.headers;
    let Signature { time, v1, v2 } = Signature::parse(single(headers, SIGNATURE).ok()?.to_str().ok()?)?;
    if decimal(time)?.abs_diff(now_seconds) > SIGNATURE_SECONDS {
        return Some(false);
    }
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.bytes()));
    let signature = match (v2, v1) {
        (Some(signature), _) => {
            let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
            for line in ["v2", time, request.method.as_str(), target] {
                mac.update(line.as_bytes());
                mac.update(b"\n");
            }
            mac.update(signed_digest(headers)?);
            signature
        }
        (None, Some(signature)) if takes_v1 => {
            mac.update(time.as_bytes());
            signature
        }
        (None, _) => return Some(false),
    };
    // A scope has to be signed: adding it to a signed request, or removing it, breaks the signature.
    let scope = headers.contains_key(SCOPE).then_some(SCOPE);
    for name in [USER_IDX, EMAIL, NICKNAME].into_iter().chain(scope) {
        // Neither a header nor what stands before can hold a line feed, so no two requests have the same lines.
        mac.update(b"\n");
        mac.update(single(headers, name).ok()?.as_bytes());
    }
    Some(verify_slices_are_equal(mac.sign().as_ref(), &signature).is_ok())
}

/// The line of the signature for the body. None: there is a body without a digest. The reader of the body compares it
/// with the digest.
fn signed_digest(headers: &HeaderMap) -> Option<&[u8]> {
    if headers.contains_key(CONTENT_DIGEST) {
        ContentDigest::of(headers).ok().flatten()?;
        return Some(single(headers, CONTENT_DIGEST).ok()?.as_bytes());
    }
    let is_empty = match headers.get(CONTENT_LENGTH) {
        Some(length) => length.as_bytes() == b"0",
        None => !headers.contains_key(TRANSFER_ENCODING),
    };
    is_empty.then_some(b"")
}

/// A signature header, taken apart.
struct Signature<'a> {
    time: &'a str,
    v1: Option<Vec<u8>>,
    v2: Option<Vec<u8>>,
}

impl Signature<'_> {
    /// Unknown versions are ignored.
    fn parse(header: &str) -> Option<Signature<'_>> {
        let (mut time, mut v1, mut v2) = (None, None, None);
        for member in header.split(',') {
            let (name, value) = member.trim().split_once('=')?;
            let is_twice = match name {
                "t" => time.replace(value).is_some(),
                "v1" => v1.replace(unhex(value)?).is_some(),
                "v2" => v2.replace(unhex(value)?).is_some(),
                _ => false,
            };
            if is_twice {
                return None;
            }
        }
        Some(Signature { time: time?, v1, v2 })
    }
}

/// Decimal digits only: no sign, no leading zero. Another system may read those as another number.
fn decimal(text: &str) -> Option<u64> {
    let is_canonical = text == "0" || !text.starts_with('0');
    (is_canonical && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a HeaderValue, ForwardError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(ForwardError::Missing(name)),
        (Some(_), Some(_)) => Err(ForwardError::Twice(name)),
    }
}

fn expected(name: &str) -> &'static str {
    if name == USER_IDX { IDX_BOUNDS } else { "form-URL-encoded UTF-8" }
}

/// Decodes the output of Java's `URLEncoder`: `+` is a blank, `%` begins a byte, the bytes are UTF-8.
fn decoded(value: &HeaderValue) -> Option<String> {
    let bytes: Vec<u8> = value.as_bytes().iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_encoding::percent_decode(&bytes).decode_utf8().ok().map(|text| text.into_owned())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    let is_whole = pairs.remainder().is_empty();
    is_whole.then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}
