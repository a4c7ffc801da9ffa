//! Addresses of NATS servers, and the one login for all of them. The login is used and never shown.

use std::fmt;

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use crate::login::Login;

/// A server's address as configured: `nats://host:port` or `tls://host:port`, before the host perhaps `user:password@`
/// or `token@`, percent-encoded. `Debug` hides the login.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// The address for messages: without a login.
    pub fn shown(&self) -> String {
        conf::shown(&self.0)
    }

    /// Err: what is wrong with it, without repeating it.
    fn parse(&self) -> Result<(ServerAddr, Option<Login>), &'static str> {
        let address: ServerAddr = self.0.parse().map_err(|_| "must be nats://host:port or tls://host:port")?;
        let mut url = address.into_inner();
        if !matches!(url.scheme(), "nats" | "tls") || url.host_str().is_none_or(str::is_empty) {
            return Err("must be nats://host:port or tls://host:port");
        }
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(|text| text.into_owned())
                .map_err(|_| "has a user name or password that is not percent-encoded UTF-8")
        };
        let login = match (decoded(url.username())?, url.password().map(decoded).transpose()?) {
            (user, None) if user.is_empty() => None,
            (token, None) => Some(Login::Token(token)),
            (user, Some(password)) => Some(Login::Password { user, password }),
        };
        url.set_password(None).and_then(|()| url.set_username("")).map_err(|()| "must name a host")?;
        let address = ServerAddr::from_url(url).map_err(|_| "must be nats://host:port or tls://host:port")?;
        Ok((address, login))
    }
}

/// The servers, and the login if an address has one. Err: what is wrong with the addresses.
pub(crate) fn servers(urls: &[ServerUrl]) -> Result<(Vec<ServerAddr>, Option<Login>), String> {
    let parsed = urls.iter().map(ServerUrl::parse).collect::<Result<Vec<_>, _>>()?;
    let mut logins = parsed.iter().filter_map(|(_, login)| login.as_ref());
    let login = logins.next().cloned();
    // The client has one login for all servers, also for those that it only hears of later.
    if logins.any(|other| Some(other) != login.as_ref()) {
        return Err("have different user names or passwords: one login is for all servers".to_owned());
    }
    Ok((parsed.into_iter().map(|(address, _)| address).collect(), login))
}

/// Whether both name the same servers, whatever their logins are.
pub(crate) fn are_same_servers(one: &[ServerUrl], other: &[ServerUrl]) -> bool {
    let addresses = |urls: &[ServerUrl]| servers(urls).map(|(addresses, _)| addresses);
    matches!((addresses(one), addresses(other)), (Ok(one), Ok(other)) if one == other)
}

/// The addresses for messages: without logins.
pub(crate) fn shown(urls: &[ServerUrl]) -> String {
    urls.iter().map(ServerUrl::shown).collect::<Vec<_>>().join(", ")
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl From<String> for ServerUrl {
    fn from(url: String) -> ServerUrl {
        ServerUrl(url)
    }
}

impl PartialEq<&str> for ServerUrl {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(urls: &[&str]) -> Vec<ServerUrl> {
        urls.iter().map(|url| ServerUrl((*url).to_owned())).collect()
    }

    fn parsed(url: &str) -> Result<(String, Option<Login>), &'static str> {
        let (address, login) = ServerUrl(url.to_owned()).parse()?;
        Ok((address.as_url_str().to_owned(), login))
    }

    #[test]
    fn a_login_is_taken_out_of_the_address_and_read() {
        let password =
            |user: &str, password: &str| Login::Password { user: user.to_owned(), password: password.to_owned() };
        let is = |url: &str, address: &str, login: Option<Login>| {
            assert!(parsed(url) == Ok((address.to_owned(), login)), "{url}");
        };
        is("nats://one:4222", "nats://one:4222", None);
        is("tls://one", "tls://one", None);
        is("nats://bob:hunter2@one:4222", "nats://one:4222", Some(password("bob", "hunter2")));
        is("nats://b%40b:hun%2Fter2@one:4222", "nats://one:4222", Some(password("b@b", "hun/ter2")));
        is("nats://s3cr3t@one:4222", "nats://one:4222", Some(Login::Token("s3cr3t".to_owned())));
        for bad in
            ["http://one:4222", "ws://one", "nats://", "nats://bob:hun/ter2@one", "nats://b%FF:x@one", "hunter2:x"]
        {
            let reason = parsed(bad).map(|(address, _)| address).unwrap_err();
            assert!(!reason.contains("unter"), "{reason}");
        }
    }

    #[test]
    fn all_servers_have_one_login() {
        let found = |given: &[&str]| servers(&urls(given)).map(|(addresses, _)| addresses.len());
        assert_eq!(found(&["nats://a:b@one", "nats://a:b@two", "nats://three"]), Ok(3));
        assert!(found(&["nats://a:b@one", "nats://a:c@two"]).unwrap_err().contains("different"));
    }

    #[test]
    fn servers_are_the_same_whatever_their_login_is() {
        let are_same = |one: &[&str], other: &[&str]| are_same_servers(&urls(one), &urls(other));
        assert!(are_same(&["nats://a:b@one", "nats://two"], &["nats://token@one", "nats://two"]));
        assert!(!are_same(&["nats://one"], &["nats://one", "nats://two"]));
        assert!(!are_same(&["nats://one"], &["tls://one"]) && !are_same(&["http://x"], &["http://x"]));
    }

    #[test]
    fn no_login_is_shown() {
        let shown = shown(&urls(&["nats://bob:hunter2@one:4222", "nats://hunter2@two", "nats://hun ter2"]));
        assert_eq!(shown, "nats://one:4222, nats://two, nats://…");
    }
}
