//! An issuer of tokens: keys made for one test, valid and invalid tokens signed by them, and a server that publishes
//! the keys or fails in the ways such servers do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{listen_again, port};

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of any header and claims, with any signature.
pub fn compact(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
    let signature = base64url(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// A private key and its name (`kid`).
#[derive(Debug)]
pub struct SigningKey {
    pub kid: String,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl SigningKey {
    pub fn rsa(kid: &str) -> SigningKey {
        SigningKey { kid: kid.to_owned(), pair: Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()) }
    }

    /// P-256.
    pub fn ec(kid: &str) -> SigningKey {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        SigningKey { kid: kid.to_owned(), pair: Pair::Ec(pair) }
    }

    /// Ed25519.
    pub fn ed(kid: &str) -> SigningKey {
        SigningKey { kid: kid.to_owned(), pair: Pair::Ed(Ed25519KeyPair::generate().unwrap()) }
    }

    /// The usual algorithm of the type of key.
    pub fn alg(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
            Pair::Ed(_) => "EdDSA",
        }
    }

    /// The published form of the public key, without `alg`.
    pub fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Rsa(pair) => {
                let key = pair.public_key();
                let n = base64url(key.modulus().big_endian_without_leading_zero());
                let e = base64url(key.exponent().big_endian_without_leading_zero());
                json!({"kty": "RSA", "use": "sig", "kid": self.kid, "n": n, "e": e})
            }
            Pair::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "x": base64url(x), "y": base64url(y)})
            }
            Pair::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": base64url(pair.public_key())})
            }
        }
    }

    /// The public key in the form of X.509.
    pub fn public_der(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Pair::Ec(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        }
    }

    pub fn public_pem(&self) -> String {
        let text = STANDARD.encode(self.public_der());
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// A signature by the key's own algorithm.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(_) => self.sign_rsa(&signature::RSA_PKCS1_SHA256, message),
            Pair::Ec(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    pub fn sign_rsa(&self, padding: &'static dyn signature::RsaEncoding, message: &[u8]) -> Vec<u8> {
        let Pair::Rsa(pair) = &self.pair else { panic!("{} is no RSA key", self.kid) };
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }

    /// The header of a token of this key.
    pub fn header(&self) -> Value {
        json!({"typ": "JWT", "alg": self.alg(), "kid": self.kid})
    }

    pub fn token(&self, claims: &Value) -> String {
        self.token_with(&self.header(), claims)
    }

    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        compact(header, claims, |message| self.sign(message))
    }
}

/// The answer to every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// With these keys.
    Keys(Vec<Value>),
    /// With these keys, late.
    Late(Duration, Vec<Value>),
    /// With this status, and these keys.
    Status(u16, Vec<Value>),
    /// A redirect to the path `/elsewhere`, which has these keys.
    Redirect(Vec<Value>),
    /// 200 with this body.
    Text(String),
}

#[derive(Debug)]
struct Shared {
    published: Mutex<Published>,
    requests: AtomicUsize,
    elsewhere: AtomicUsize,
}

/// Publishes keys at any path.
#[derive(Debug)]
pub struct JwksServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Mutex<Option<JoinHandle<()>>>,
}

impl JwksServer {
    pub async fn start(keys: &[&SigningKey]) -> JwksServer {
        let server = JwksServer::stopped(keys);
        server.start_again().await;
        server
    }

    /// A server whose port is closed.
    pub fn stopped(keys: &[&SigningKey]) -> JwksServer {
        let published = Mutex::new(Published::Keys(keys.iter().map(|key| key.jwk()).collect()));
        let shared = Shared { published, requests: AtomicUsize::default(), elsewhere: AtomicUsize::default() };
        let address = SocketAddr::from(([127, 0, 0, 1], port()));
        JwksServer { address, shared: Arc::new(shared), serving: Mutex::default() }
    }

    pub fn url(&self) -> String {
        format!("http://{}/keys.json", self.address)
    }

    pub fn publish(&self, keys: &[&SigningKey]) {
        self.answer(Published::Keys(keys.iter().map(|key| key.jwk()).collect()));
    }

    pub fn answer(&self, published: Published) {
        *self.shared.published.lock() = published;
    }

    /// The number of requests.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// The number of followed redirects.
    pub fn redirected(&self) -> usize {
        self.shared.elsewhere.load(Ordering::Relaxed)
    }

    /// Closes the port. Connections end with their answer in any case.
    pub async fn stop(&self) {
        let serving = self.serving.lock().take().expect("the server runs");
        serving.abort();
        let _ = serving.await;
    }

    /// Opens the same port again.
    pub async fn start_again(&self) {
        let listener = listen_again(self.address).await;
        let app = Router::new().route("/{path}", get(respond)).with_state(Arc::clone(&self.shared));
        *self.serving.lock() = Some(tokio::spawn(async move { axum::serve(listener, app).await.unwrap() }));
    }
}

async fn respond(State(shared): State<Arc<Shared>>, Path(path): Path<String>) -> Response {
    let counter = if path == "elsewhere" { &shared.elsewhere } else { &shared.requests };
    counter.fetch_add(1, Ordering::Relaxed);
    let published = shared.published.lock().clone();
    let set = |keys: &[Value]| json!({ "keys": keys }).to_string();
    let answer = match published {
        Published::Keys(keys) => set(&keys).into_response(),
        Published::Late(delay, keys) => {
            tokio::time::sleep(delay).await;
            set(&keys).into_response()
        }
        Published::Status(status, keys) => (StatusCode::from_u16(status).unwrap(), set(&keys)).into_response(),
        Published::Redirect(keys) if path == "elsewhere" => set(&keys).into_response(),
        Published::Redirect(_) => (StatusCode::FOUND, [(header::LOCATION, "/elsewhere")]).into_response(),
        Published::Text(text) => text.into_response(),
    };
    ([(header::CONNECTION, "close")], answer).into_response()
}
