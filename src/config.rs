//! The configuration: `defaults.toml`, overridden by a file, overridden by the environment. What is wrong is refused
//! with the key named, wherever it was set. What a setting means is its crate's business.

use std::ffi::OsString;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use crate::logging;

/// Every setting.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is logged, and how.
    pub log: logging::Config,
    /// The log of events.
    pub nats: nats::Config,
    /// Whose tokens are trusted.
    pub auth: web::auth::Config,
    /// The role ingest.
    pub ingest: ingest::Config,
    /// The role delivery.
    pub delivery: delivery::Config,
    /// The role archiver.
    pub archiver: archiver::Config,
}

/// What is wrong with the configuration, the key named.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl From<String> for Invalid {
    fn from(message: String) -> Invalid {
        Invalid(message)
    }
}

const DEFAULTS: &str = include_str!("defaults.toml");

/// `CHATTING_INGEST__LISTEN` sets `ingest.listen`.
const PREFIX: &str = "CHATTING_";

/// Variables with that prefix that are no settings: where fetched servers are kept, and where the tests find data.
const NOT_SETTINGS: [&str; 2] = ["CHATTING_CACHE", "CHATTING_SHARED_DATA"];

impl Config {
    /// The defaults, the file if there is one, the environment.
    pub fn load(file: Option<&Path>) -> Result<Config, Invalid> {
        Config::layered(file, std::env::vars_os())
    }

    /// The same with another environment.
    pub fn layered(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Config, Invalid> {
        let defaults: Table = DEFAULTS.parse().expect("the embedded defaults are TOML; a test reads them");
        let mut settings = defaults.clone();
        if let Some(file) = file {
            merge(&mut settings, read(file)?);
        }
        let mut variables = Vec::new();
        for (variable, value) in environment {
            let Some(variable) = variable.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
            if NOT_SETTINGS.contains(&variable) {
                continue;
            }
            let path: Vec<String> = variable[PREFIX.len()..].to_lowercase().split("__").map(str::to_owned).collect();
            let value = value.to_str().ok_or_else(|| Invalid(format!("{variable} is not UTF-8")))?;
            let value = typed(value, lookup(&defaults, &path)).map_err(|kind| {
                Invalid(format!("{} ({variable} in the environment): must be {kind}", path.join(".")))
            })?;
            set(&mut settings, &path, value).map_err(|()| Invalid(format!("{variable} names no setting")))?;
            variables.push((path.join("."), variable.to_owned()));
        }
        serde_path_to_error::deserialize(Value::Table(settings)).map_err(|error| {
            let key = error.path().to_string();
            let from = match variables.iter().find(|(path, _)| *path == key) {
                Some((_, variable)) => format!(" ({variable} in the environment)"),
                None => String::new(),
            };
            Invalid(format!("{key}{from}: {}", error.inner().message()))
        })
    }
}

fn read(file: &Path) -> Result<Table, Invalid> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Invalid(format!("cannot read the configuration {}: {error}", file.display())))?;
    text.parse().map_err(|error: toml::de::Error| {
        // Not the library's own rendering: it shows the line, and there may be a secret on it.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Invalid(format!("{}, line {line}: {}", file.display(), error.message()))
    })
}

/// Tables are merged, everything else is replaced.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

fn lookup<'a>(table: &'a Table, path: &[String]) -> Option<&'a Value> {
    let (last, sections) = path.split_last()?;
    let table = sections.iter().try_fold(table, |table, section| table.get(section)?.as_table())?;
    table.get(last)
}

/// A variable's text has the type of the setting's default; without a default it is text.
fn typed(text: &str, default: Option<&Value>) -> Result<Value, &'static str> {
    match default {
        Some(Value::Integer(_)) => text.parse().map(Value::Integer).map_err(|_| "an integer"),
        Some(Value::Float(_)) => text.parse().map(Value::Float).map_err(|_| "a number"),
        Some(Value::Boolean(_)) => text.parse().map(Value::Boolean).map_err(|_| "true or false"),
        Some(Value::Array(_)) => {
            let elements = text.split(',').map(str::trim).filter(|element| !element.is_empty());
            Ok(Value::Array(elements.map(|element| Value::String(element.to_owned())).collect()))
        }
        Some(Value::Table(_)) => Err("one setting: this is a section"),
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// Err: something on the way is no section.
fn set(table: &mut Table, path: &[String], value: Value) -> Result<(), ()> {
    let (last, sections) = path.split_last().ok_or(())?;
    let mut table = table;
    for section in sections {
        let entry = table.entry(section.as_str()).or_insert_with(|| Value::Table(Table::new()));
        table = entry.as_table_mut().ok_or(())?;
    }
    table.insert(last.clone(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let mut path = tempfile::NamedTempFile::new().unwrap();
        path.write_all(file.as_bytes()).unwrap();
        let environment = environment.iter().map(|(key, value)| (key.into(), value.into()));
        Config::layered(Some(path.path()), environment).map_err(|Invalid(message)| message)
    }

    #[test]
    fn the_defaults_alone_are_a_configuration() {
        let config = Config::layered(None, []).unwrap();
        assert_eq!(config.nats.urls, ["nats://127.0.0.1:4222"]);
        assert_eq!(config.ingest.listen.port(), 8080);
        assert_eq!(config.delivery.listen.port(), 8081);
        assert_eq!(config.archiver.listen.port(), 8082);
    }

    #[test]
    fn the_file_overrides_the_defaults_and_the_environment_overrides_the_file() {
        let file = "[nats]\npartitions = 4\nreplicas = 3";
        let environment = [
            ("CHATTING_NATS__REPLICAS", "5"),
            ("CHATTING_NATS__URLS", "nats://one:4222, nats://two:4222"),
            // A secret of digits stays text.
            ("CHATTING_AUTH__SECRET", "00000000000000000000000000000042"),
            ("CHATTING_CACHE", "/tmp"),
            ("PATH", "/bin"),
        ];
        let config = load(file, &environment).unwrap();
        assert_eq!((config.nats.partitions, config.nats.replicas), (4, 5));
        assert_eq!(config.nats.urls, ["nats://one:4222", "nats://two:4222"]);
        assert_eq!(config.nats.max_age_hours, 24);
        assert!(web::auth::Verifier::new(&config.auth).is_ok());
    }

    #[test]
    fn what_is_wrong_is_refused_and_the_key_named() {
        let check = |file: &str, environment: &[(&str, &str)], expected: &[&str]| {
            let message = load(file, environment).unwrap_err();
            for part in expected {
                assert!(message.contains(part), "{part:?} is not in {message:?}");
            }
        };
        check("[nats]\npartitoins = 4", &[], &["nats", "partitoins"]);
        check("[nots]\npartitions = 4", &[], &["nots"]);
        check("[nats]\npartitions = \"4\"", &[], &["nats.partitions"]);
        check("[nats]\npartitions = 1.5", &[], &["nats.partitions"]);
        check("[nats]\npartitions = -1", &[], &["nats.partitions"]);
        check("[nats\n", &[], &["line 1"]);
        check("\n[auth]\nsecret = \"never shown", &[], &["line 3"]);
        check("", &[("CHATTING_NATS__PARTITIONS", "four")], &["nats.partitions", "CHATTING_NATS__PARTITIONS"]);
        check("", &[("CHATTING_NATS__PARTITIONS", "-4")], &["nats.partitions", "CHATTING_NATS__PARTITIONS"]);
        check("", &[("CHATTING_NATS__PARTITOINS", "4")], &["nats", "partitoins"]);
        check("", &[("CHATTING_NATS", "4")], &["CHATTING_NATS", "section"]);
        check("", &[("CHATTING_NATS__URLS__0", "4")], &["CHATTING_NATS__URLS__0"]);
        check("", &[("CHATTING_", "4")], &["unknown field ``"]);
        check("", &[("CHATTING_LISTEN", "4")], &["listen"]);
        check("", &[("CHATTING_INGEST__LISTEN", "8080")], &["ingest.listen", "CHATTING_INGEST__LISTEN"]);
        check("", &[("CHATTING_LOG__FORMAT", "xml")], &["log.format", "CHATTING_LOG__FORMAT"]);
    }

    #[test]
    fn a_line_that_is_not_toml_is_not_shown() {
        assert!(!load("[auth]\nsecret = \"never shown", &[]).unwrap_err().contains("never shown"));
    }
}
