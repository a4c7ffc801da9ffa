//! What differs between two configurations of one process, by key. Values are not shown: some are secrets.

use std::ffi::OsString;
use std::path::Path;

use toml::{Table, Value};

use super::strict::Read;
use super::{Config, Invalid};

/// A configuration, with the settings that it was read from.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    settings: Table,
}

impl Loaded {
    /// Reads the layers, as [`Config::checked`] does.
    pub(crate) fn checked(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        problems_of: impl FnOnce(&Config) -> Vec<conf::Problem>,
    ) -> Result<Loaded, Invalid> {
        let Read { config, settings, .. } = Config::read(file, environment, problems_of)?;
        Ok(Loaded { config, settings })
    }

    /// The keys whose values differ, in order.
    pub(crate) fn changed(&self, new: &Loaded) -> Vec<String> {
        let mut keys = Vec::new();
        compare(&self.settings, &new.settings, "", &mut keys);
        keys
    }
}

fn compare(old: &Table, new: &Table, path: &str, keys: &mut Vec<String>) {
    let all = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
    for key in all {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (old.get(key), new.get(key)) {
            (Some(Value::Table(old)), Some(Value::Table(new))) => compare(old, new, &path, keys),
            (old, new) if old == new => {}
            _ => keys.push(path),
        }
    }
    keys.sort();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(variables: &[(&str, &str)]) -> Loaded {
        let variables = variables.iter().map(|(key, value)| (key.into(), value.into()));
        Loaded::checked(None, variables, |_| Vec::new()).unwrap_or_else(|invalid| panic!("{invalid}"))
    }

    #[test]
    fn keys_are_compared_by_value_wherever_they_are_set() {
        let old = loaded(&[("CHATTING_NATS__REPLICAS", "3"), ("CHATTING_AUTH__SECRET", "hunter2")]);
        let new = loaded(&[
            ("CHATTING_INGEST__LIMITS__USER_RATE__SECONDS", "31"),
            ("CHATTING_LOG__FILTER", "info"),
            ("CHATTING_NATS__LEASE", "11s"),
        ]);
        let changed = ["auth.secret", "ingest.limits.user_rate.seconds", "nats.lease", "nats.replicas"];
        assert_eq!(old.changed(&new), changed);
        assert_eq!(old.changed(&old), [""; 0]);
    }
}
