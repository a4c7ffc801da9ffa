//! The effective configuration, with the origin of each value and without secrets.

use std::fmt::Write as _;

use conf::shown;
use toml::{Table, Value};

use super::reference::Reference;
use super::strict::Places;

/// In place of a secret.
const SET: &str = "(set)";

/// Every setting as TOML, in the order of `defaults.toml`. A comment at the end of each line names its origin: the
/// default, a file, or a variable.
pub(super) fn show(settings: &Table, places: &Places) -> String {
    let mut text = String::new();
    for section in Reference::embedded().sections {
        let separator = if text.is_empty() { "" } else { "\n" };
        text.extend([separator, "[", &section.name, "]\n"]);
        for setting in section.settings() {
            let key = format!("{}.{}", section.name, setting.key);
            let origin = places.of(&key).unwrap_or_else(|| "default".to_owned());
            let value = value_of(settings, &key).map(|value| without_secrets(&setting.key, value));
            let written = match value {
                Some(value) => writeln!(text, "{} = {value}  # {origin}", setting.key),
                None => writeln!(text, "# {} is not set", setting.key),
            };
            written.expect("a String takes every text");
        }
    }
    text
}

fn value_of<'a>(settings: &'a Table, key: &str) -> Option<&'a Value> {
    let (sections, last) = key.rsplit_once('.')?;
    let section = sections.split('.').try_fold(settings, |table, key| table.get(key)?.as_table())?;
    section.get(last)
}

/// The value as it may be shown: of an address the hosts, of a secret that it is set.
fn without_secrets(key: &str, value: &Value) -> Value {
    match (key, value) {
        (_, Value::Array(elements)) => {
            Value::Array(elements.iter().map(|element| without_secrets(key, element)).collect())
        }
        (_, Value::String(text)) if text.is_empty() => value.clone(),
        ("secret" | "previous_secret" | "nkey" | "headers", _) => SET.into(),
        ("uri" | "url" | "urls" | "reconnect_webhook", Value::String(text)) => shown(text).into(),
        // Only the path is meant to be here.
        ("credentials", Value::String(text)) if text.contains(char::is_whitespace) => SET.into(),
        _ => value.clone(),
    }
}
