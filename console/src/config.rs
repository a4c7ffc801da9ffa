//! The section `[archiver.console]`. The defaults are in `src/defaults.toml`, nowhere else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

/// The section `[archiver.console]` of the configuration; `src/defaults.toml` documents every member.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether the archiver serves the pages.
    pub enabled: bool,
    /// Where browsers reach ingest. None: at the address of the console, by path.
    #[serde(deserialize_with = "optional_url")]
    pub ingest_url: Option<PublicUrl>,
    /// Where browsers reach delivery. None: at the address of the console, by path.
    #[serde(deserialize_with = "optional_url")]
    pub delivery_url: Option<PublicUrl>,
}

/// An address that browsers are told: `https://chat.example.com`, perhaps with a path. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

/// The text is not such an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an http:// or https:// address without user name, password, query and fragment")]
pub struct InvalidUrl;

impl PublicUrl {
    /// The scheme, host and port, as a Content Security Policy names them.
    pub(crate) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

impl FromStr for PublicUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<PublicUrl, InvalidUrl> {
        let url = Url::parse(text).map_err(|_| InvalidUrl)?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        let is_base = url.query().is_none() && url.fragment().is_none();
        if matches!(url.scheme(), "http" | "https") && is_plain && is_base {
            Ok(PublicUrl(url))
        } else {
            Err(InvalidUrl)
        }
    }
}

/// Without a slash at the end: paths are appended.
impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

fn optional_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PublicUrl>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(D::Error::custom) }
}
