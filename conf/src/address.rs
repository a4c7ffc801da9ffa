//! Addresses of other servers in the configuration. An address may contain a user name and a password, and a webhook's
//! path is often a secret. [`shown`] is the only form that is logged or printed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

/// An `http://` or `https://` address. A user name and a password in it are used for HTTP Basic authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

/// The text is not such an address. The message does not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an http:// or https:// address")]
pub struct InvalidAddress;

impl Address {
    /// The whole address with its credentials, for the client that connects to it.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The address with an extended path.
    pub fn with(&self, path: &str) -> Address {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        Address(url)
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Address, InvalidAddress> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        url.map(Address).ok_or(InvalidAddress)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self.0.as_str()))
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// For `#[serde(deserialize_with = …)]`: an address, or None for an empty text.
pub fn optional_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Address>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(D::Error::custom) }
}

/// The part of an address that may be shown: the scheme, the hosts and the ports. Works for any scheme, and for several
/// servers. An ellipsis replaces everything that is, or could be, a secret.
pub fn shown(address: &str) -> String {
    const HIDDEN: &str = "…";
    let Some((scheme, rest)) = address.split_once("://") else { return HIDDEN.to_owned() };
    if !scheme.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char)) {
        return HIDDEN.to_owned();
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let hosts = match authority.rsplit_once('@') {
        Some((_, hosts)) => hosts,
        // It may be the rest of a password that contains a slash.
        None if path.contains('@') => return format!("{scheme}://{HIDDEN}"),
        None => authority,
    };
    let is_plain = |char: char| char.is_ascii_alphanumeric() || ".,:-_[]%".contains(char);
    if !hosts.chars().all(is_plain) {
        return format!("{scheme}://{HIDDEN}");
    }
    let more = if matches!(path, "" | "/") { "" } else { "/…" };
    format!("{scheme}://{hosts}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_secret() {
        for (address, expected) in [
            ("http://rooms:8090", "http://rooms:8090"),
            ("http://rooms:8090/", "http://rooms:8090"),
            ("http://rooms:8090/base", "http://rooms:8090/…"),
            ("https://bob:hunter2@hooks.example/T0/hunter2?token=hunter2#hunter2", "https://hooks.example/…"),
            ("https://hooks.example?token=hunter2", "https://hooks.example/…"),
            ("nats://bob:hunter2@one:4222", "nats://one:4222"),
            ("nats://hunter2@[::1]:4222", "nats://[::1]:4222"),
            ("nats://bob:hunter2@x@one:4222", "nats://one:4222"),
            ("mongodb://bob:hunter2@a:1,b:2/chat?replicaSet=rs0", "mongodb://a:1,b:2/…"),
            ("mongodb+srv://bob:hunter2@cluster.example", "mongodb+srv://cluster.example"),
            ("mongodb://bob:hun/ter2@host", "mongodb://…"),
            ("mongodb://bob:hun?ter2@host", "mongodb://…"),
            ("mongodb://bob:hunter2@ho st", "mongodb://…"),
            ("bob:hunter2@host", "…"),
            ("hunter2", "…"),
            ("", "…"),
            ("hunter 2://host", "…"),
        ] {
            let shown = shown(address);
            assert_eq!(shown, expected, "{address}");
            assert!(!shown.contains("unter") && !shown.contains("ter2"), "{shown}");
        }
    }

    #[test]
    fn an_address_is_http_and_errors_do_not_repeat_it() {
        let address: Address = "https://bob:hunter2@hooks.example/hunter2".parse().unwrap();
        assert_eq!(format!("{address:?}"), "https://hooks.example/…");
        assert_eq!(address.url().password(), Some("hunter2"));
        assert_eq!(address.with("/live").url().as_str(), "https://bob:hunter2@hooks.example/hunter2/live");
        assert_eq!("http://a/".parse::<Address>().unwrap().with("/live").url().as_str(), "http://a/live");
        for text in ["ftp://bob:hunter2@host", "hunter2", "http://bob:hunter2@ho st/", "http://"] {
            let error = serde_json::from_value::<Address>(text.into()).unwrap_err().to_string();
            assert_eq!(error, "is not an http:// or https:// address", "{text}");
        }
        let number = serde_json::from_str::<Address>("1").unwrap_err().to_string();
        assert!(number.contains("invalid type"), "{number}");
    }
}
