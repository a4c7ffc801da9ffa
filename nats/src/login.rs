//! The login to NATS. It is read again for each connection: from the credentials file, and from the source that the
//! configuration has, so that a new password, token or nkey is used from the next connection on. The servers end the
//! connections of a login that changes.

use std::fmt;
use std::sync::Arc;

use async_nats::{Auth, AuthError, ConnectOptions};
use conf::Secret;
use nkeys::KeyPair;
use parking_lot::Mutex;

use crate::address;
use crate::config::Config;

/// How a client proves who it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) enum Login {
    #[default]
    None,
    Password {
        user: String,
        password: String,
    },
    Token(String),
    /// The seed of an nkey.
    Nkey(String),
    /// The path of a credentials file.
    Credentials(String),
}

/// Where a connection finds the login that is configured by now. Without one, the login stays that of the start.
#[derive(Clone, Default)]
pub struct LoginSource(Option<Arc<dyn Fn() -> Result<Config, String> + Send + Sync>>);

impl LoginSource {
    /// The function reads the configuration again. It may block. Err: why it cannot, without a secret.
    pub fn new(read: impl Fn() -> Result<Config, String> + Send + Sync + 'static) -> LoginSource {
        LoginSource(Some(Arc::new(read)))
    }
}

impl fmt::Debug for LoginSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "[source]" } else { "[none]" })
    }
}

impl Login {
    /// The one login of a configuration. Err: there are several, or an address is wrong.
    pub(crate) fn of(config: &Config) -> Result<Login, String> {
        let (_, of_addresses) = address::servers(&config.urls)?;
        let other = match (config.credentials.as_str(), config.nkey.text()) {
            ("", "") => return Ok(of_addresses.unwrap_or_default()),
            ("", seed) => Login::Nkey(seed.to_owned()),
            (path, _) => Login::Credentials(path.to_owned()),
        };
        match of_addresses {
            None => Ok(other),
            Some(_) => {
                let key = if config.credentials.is_empty() { "nats.nkey" } else { "nats.credentials" };
                Err(format!("have a user name or token, and {key} is set: remove one of the two"))
            }
        }
    }

    /// What the server asks for. It may read a file.
    pub(crate) fn auth(&self, nonce: &[u8]) -> Result<Auth, String> {
        let mut auth = Auth::new();
        match self {
            Login::None => {}
            Login::Password { user, password } => {
                (auth.username, auth.password) = (Some(user.clone()), Some(password.clone()));
            }
            Login::Token(token) => auth.token = Some(token.clone()),
            Login::Nkey(seed) => {
                let pair = KeyPair::from_seed(seed).map_err(|_| "nats.nkey is not the seed of an nkey".to_owned())?;
                auth.nkey = Some(pair.public_key());
                auth.signature = Some(signed(&pair, nonce)?);
            }
            Login::Credentials(path) => {
                let (jwt, pair) = credentials(path)?;
                auth.jwt = Some(jwt);
                auth.signature = Some(signed(&pair, nonce)?);
            }
        }
        Ok(auth)
    }
}

fn signed(pair: &KeyPair, nonce: &[u8]) -> Result<Vec<u8>, String> {
    pair.sign(nonce).map_err(|_| "the nkey cannot sign".to_owned())
}

/// The JWT and the key pair of a credentials file: the lines between two lines of hyphens, which are not empty.
fn credentials(path: &str) -> Result<(String, KeyPair), String> {
    let content = std::fs::read_to_string(path).map(Secret::from);
    let content = content.map_err(|error| format!("cannot read {path}: {error}"))?;
    let lines: Vec<&str> = content.text().lines().map(str::trim).collect();
    let is_border = |line: &str| line.starts_with("---") && line.ends_with("---");
    let is_content = |line: &str| !line.is_empty() && !is_border(line);
    let found = lines.windows(3).filter(|lines| is_border(lines[0]) && is_content(lines[1]) && is_border(lines[2]));
    let mut found = found.map(|lines| lines[1]);
    match (found.next(), found.next().map(KeyPair::from_seed)) {
        (Some(jwt), Some(Ok(pair))) => Ok((jwt.to_owned(), pair)),
        _ => Err(format!("{path} has no JWT and seed of an nkey: it is no credentials file")),
    }
}

/// The options with the login of that configuration, and for each later connection with what its source has then. Err:
/// what is wrong with the login.
pub(crate) fn options(config: &Config) -> Result<ConnectOptions, String> {
    let login = Login::of(config)?;
    login.auth(b"")?;
    let (source, login) = (config.login.clone(), Arc::new(Mutex::new(login)));
    Ok(ConnectOptions::with_auth_callback(move |nonce| {
        let (source, login) = (source.clone(), login.clone());
        async move {
            // It reads files.
            let read = tokio::task::spawn_blocking(move || current(&source, &login).auth(&nonce));
            read.await.map_err(AuthError::new)?.map_err(|reason| {
                tracing::error!(reason, "cannot log in to NATS: {reason}");
                AuthError::new(reason)
            })
        }
    }))
}

/// The login by now. What cannot be read changes nothing.
fn current(source: &LoginSource, login: &Mutex<Login>) -> Login {
    let read = source.0.as_ref().map(|read| read().and_then(|config| Login::of(&config)));
    let mut login = login.lock();
    match read {
        Some(Ok(new)) if new != *login => {
            tracing::info!("the login to NATS has changed");
            *login = new;
        }
        Some(Err(reason)) => {
            tracing::error!(reason, "the login to NATS stays as it was: {reason}");
        }
        Some(Ok(_)) | None => {}
    }
    login.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credentials_file_has_a_token_and_a_seed() {
        let pair = KeyPair::new_user();
        let file = |content: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), content).unwrap();
            let read = credentials(file.path().to_str().unwrap());
            read.map(|(jwt, pair)| (jwt, pair.public_key()))
        };
        let seed = pair.seed().unwrap();
        let content = format!(
            "-----BEGIN NATS USER JWT-----\r\neyJ.a-b_c.d\r\n------END NATS USER JWT------\r\n\r\n****** NOTE ******\r\n\
             -----BEGIN USER NKEY SEED-----\r\n{seed}\r\n------END USER NKEY SEED------\r\n"
        );
        // The note, or an empty line in its place.
        for content in [&content, &content.replace("\r\n****** NOTE ******", "")] {
            assert_eq!(file(content), Ok(("eyJ.a-b_c.d".to_owned(), pair.public_key())));
        }
        for wrong in ["", "hunter2", &content.replace(&seed, "SUhunter2"), &content.replace("---\r\n", "\r\n")] {
            let reason = file(wrong).unwrap_err();
            assert!(reason.contains("no credentials file") && !reason.contains("hunter2"), "{reason}");
        }
        assert!(credentials("/no/such/file").err().unwrap().starts_with("cannot read /no/such/file: "));
    }

    #[test]
    fn an_nkey_signs_what_the_server_sends() {
        let pair = KeyPair::new_user();
        let auth = Login::Nkey(pair.seed().unwrap()).auth(b"nonce").unwrap();
        assert_eq!(auth.nkey, Some(pair.public_key()));
        assert!(pair.verify(b"nonce", &auth.signature.unwrap()).is_ok());
    }
}
