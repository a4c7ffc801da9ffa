//! Addresses in the configuration, for `#[serde(deserialize_with = …)]`.

use reqwest::Url;
use serde::{Deserialize, Deserializer, de::Error};

/// An `http://` or `https://` address.
pub fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    parse(&String::deserialize(deserializer)?)
}

/// The same, or nothing where the text is empty.
pub fn optional_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Ok(None) } else { parse(&text).map(Some) }
}

fn parse<E: Error>(text: &str) -> Result<Url, E> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| E::custom(format!("{text:?} is not an http:// or https:// address")))
}
