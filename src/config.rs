//! The configuration: `defaults.toml`, overridden by a file, overridden by the environment. The crate `config` puts one
//! layer over the other; what comes out is read strictly, because that crate would take 1.5 for 1 and `true` for a number.
//! Everything that is wrong is refused at once, each with its key and where it was set. What a setting means is its
//! crate's business.

mod layers;
mod strict;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use serde::Deserialize;

use crate::logging;
use layers::Layer;

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

/// All that is wrong with the configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct Invalid(Vec<Problem>);

/// A key or a value that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    /// `nats.partitions`. Empty: the reason names it, or it is about no single key.
    key: String,
    /// `node.toml, line 3`. None: nobody set it.
    place: Option<String>,
    reason: String,
}

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
        Config::checked(file, environment, |_| Vec::new())
    }

    /// The same, refused also for what `complaints` finds, each naming its key.
    pub fn checked(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        complaints: impl FnOnce(&Config) -> Vec<String>,
    ) -> Result<Config, Invalid> {
        let mut problems = Vec::new();
        let defaults = layers::defaults();
        let file = file.map_or_else(Layer::default, |file| Layer::file(file, &defaults, &mut problems));
        let environment = layers::environment(environment, &defaults, &mut problems);
        let sections = file.sections.clone();
        let layers = ::config::Config::builder().add_source(Layer::defaults()).add_source(file).add_source(environment);
        let merged = layers.build().expect("layers in memory are collected without an error").cache;
        let read = strict::read(merged, &defaults, sections, &mut problems);
        let Some((config, places)) = read else { return Err(Invalid::from(problems)) };
        for complaint in complaints(&config) {
            // About a default in place of what is refused already it says nothing new.
            if !problems.iter().any(|problem| !problem.key.is_empty() && complaint.contains(&problem.key)) {
                let key = complaint.split([' ', ':']).next().unwrap_or_default();
                problems.push(Problem { key: String::new(), place: places.of(key), reason: complaint });
            }
        }
        if problems.is_empty() { Ok(config) } else { Err(Invalid::from(problems)) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { key, place, reason } = self;
        match place {
            Some(place) if key.is_empty() => write!(f, "{place}: {reason}"),
            Some(place) => write!(f, "{key} ({place}): {reason}"),
            None if key.is_empty() => f.write_str(reason),
            None => write!(f, "{key}: {reason}"),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [problem] => write!(f, "{problem}"),
            problems => {
                write!(f, "{} things are wrong with the configuration:", problems.len())?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl From<Vec<Problem>> for Invalid {
    fn from(mut problems: Vec<Problem>) -> Invalid {
        problems.sort();
        Invalid(problems)
    }
}

impl From<String> for Invalid {
    fn from(reason: String) -> Invalid {
        Invalid(vec![Problem { key: String::new(), place: None, reason }])
    }
}
