//! Reads the merged settings strictly: no value is converted to another type, and no key is ignored. A wrong value is
//! reported and replaced by its default, so that the next problem is found too.

use std::collections::BTreeMap;

use ::config::{Value, ValueKind};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use toml::Table;

use super::Problem;

/// Where each setting was made, by its key.
pub(super) struct Places(BTreeMap<String, String>);

/// The settings as they were read.
pub(super) struct Read<T> {
    pub(super) config: T,
    pub(super) settings: Table,
    pub(super) places: Places,
}

/// None: the settings are unreadable even with defaults. `sections`: where each section begins.
pub(super) fn read<T: DeserializeOwned>(
    merged: Value,
    defaults: &Table,
    sections: BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Option<Read<T>> {
    let mut places = Places(sections);
    let toml::Value::Table(mut settings) = typed(merged, "", &mut places.0) else { return None };
    for (path, reason) in too_large(&settings) {
        problems.push(Problem { key: path.join("."), place: places.of(&path.join(".")), reason });
        if !restore(&mut settings, &path, defaults) {
            return None;
        }
    }
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(toml::Value::Table(settings.clone())) {
            Ok(config) => return Some(Read { config, settings, places }),
            Err(error) => error,
        };
        let keys = error.path().iter().map_while(|segment| match segment {
            Segment::Map { key } => Some(key.clone()),
            _ => None,
        });
        let path: Vec<String> = keys.collect();
        let (place, reason) = (places.of(&path.join(".")), reason(&path, error.inner().message()));
        problems.push(Problem { key: error.path().to_string(), place, reason });
        if !restore(&mut settings, &path, defaults) {
            return None;
        }
    }
}

/// The value, with the place of each part in `places`.
fn typed(value: Value, path: &str, places: &mut BTreeMap<String, String>) -> toml::Value {
    if let Some(place) = value.origin() {
        places.insert(path.to_owned(), place.to_owned());
    }
    match value.kind {
        ValueKind::Boolean(value) => toml::Value::Boolean(value),
        ValueKind::I64(number) => toml::Value::Integer(number),
        ValueKind::Float(number) => toml::Value::Float(number),
        ValueKind::String(text) => toml::Value::String(text),
        ValueKind::Array(elements) => {
            toml::Value::Array(elements.into_iter().map(|element| typed(element, path, places)).collect())
        }
        ValueKind::Table(table) => {
            let members = table.into_iter().map(|(key, value)| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let value = typed(value, &path, places);
                (key, value)
            });
            toml::Value::Table(members.collect())
        }
        ValueKind::Nil | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => {
            unreachable!("no layer makes such a value")
        }
    }
}

/// 2^53 - 1: enough for any count, and safe to add or multiply. Times and sizes have bounds of their own (`conf`).
const LARGEST: i64 = (1 << 53) - 1;

fn too_large(settings: &Table) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    for (key, value) in settings {
        match value {
            toml::Value::Table(section) => {
                let within = too_large(section).into_iter();
                found.extend(within.map(|(path, reason)| ([vec![key.clone()], path].concat(), reason)));
            }
            toml::Value::Integer(number) if *number > LARGEST => {
                found.push((vec![key.clone()], format!("must be at most {LARGEST}, 2^53 - 1")));
            }
            _ => {}
        }
    }
    found
}

impl Places {
    /// Where the setting was made. For a section, where any of its settings was made. None: nowhere.
    pub(super) fn of(&self, key: &str) -> Option<String> {
        let is_within = |path: &str| path.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
        let within = || self.0.iter().find(|(path, _)| is_within(path));
        self.0.get(key).or_else(|| within().map(|(_, place)| place)).cloned()
    }
}

/// Settings whose values may contain a secret: credentials in an address, or a path that is a key.
const CONFIDENTIAL: [&str; 9] =
    ["secret", "previous_secret", "nkey", "uri", "url", "urls", "reconnect_webhook", "credentials", "headers"];

/// The reason without the value, which serde's message about a wrong type repeats.
fn reason(path: &[String], message: &str) -> String {
    let is_confidential = path.iter().any(|key| CONFIDENTIAL.contains(&key.as_str()));
    if is_confidential && message.starts_with("invalid ") {
        // serde's format: "invalid type or value: …, expected …".
        let expected = message.rsplit_once(", expected ").map_or("text", |(_, expected)| expected);
        let expected = if expected == "a string" { "text" } else { expected };
        return format!("must be {expected}");
    }
    message.to_owned()
}

/// Replaces a wrong setting by its default, or removes it if it has none. False: nothing changed.
fn restore(settings: &mut Table, path: &[String], defaults: &Table) -> bool {
    let Some((last, sections)) = path.split_last() else { return false };
    let (mut parent, mut defaults) = (settings, Some(defaults));
    for section in sections {
        let Some(toml::Value::Table(table)) = parent.get_mut(section) else { return false };
        parent = table;
        defaults = defaults.and_then(|defaults| defaults.get(section)?.as_table());
    }
    match defaults.and_then(|defaults| defaults.get(last)) {
        Some(default) if parent.get(last) == Some(default) => false,
        Some(default) => {
            parent.insert(last.clone(), default.clone());
            true
        }
        None => parent.remove(last).is_some(),
    }
}
