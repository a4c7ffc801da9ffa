//! The configuration: `defaults.toml`, overridden by a file, overridden by the environment. The crate `config` merges
//! the layers. The result is then read strictly, because that crate would convert 1.5 to 1 and `true` to a number. One
//! error lists every problem with its key and the place where it was set. Each crate defines what its settings mean.

mod changes;
pub mod command;
mod layers;
mod node;
mod old_keys;
mod reference;
mod secret_files;
mod show;
mod strict;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use serde::Deserialize;

use crate::logging;
pub(crate) use changes::Loaded;
use layers::Layer;
use old_keys::OldKey;
use strict::Read;

/// Every setting.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What this process is called.
    pub node: node::NodeConfig,
    /// The format and the filter of logs.
    pub log: logging::LogConfig,
    /// The collector of traces.
    pub otlp: otlp::Config,
    /// The log of events.
    pub nats: nats::Config,
    /// The trusted issuers of tokens.
    pub auth: web::auth::Config,
    /// The role ingest.
    pub ingest: ingest::Config,
    /// The role delivery.
    pub delivery: delivery::Config,
    /// The role archiver.
    pub archiver: archiver::Config,
    /// Old keys that were set. They are already translated.
    #[serde(skip)]
    old_keys: Vec<OldKey>,
    /// Warnings about the files of secrets.
    #[serde(skip)]
    warnings: Vec<String>,
}

/// What is found while reading the layers.
#[derive(Debug, Default)]
struct Findings {
    problems: Vec<Problem>,
    old_keys: Vec<OldKey>,
    warnings: Vec<String>,
}

/// Every problem of the configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct Invalid(Vec<Problem>);

/// A wrong key or value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    /// Such as `nats.partitions`. Empty: the problem is not about a single key.
    key: String,
    /// Such as `node.toml, line 3`. None: it was not set.
    place: Option<String>,
    reason: String,
}

impl Config {
    /// Loads the defaults, the file if given, and the environment.
    pub fn load(file: Option<&Path>) -> Result<Config, Invalid> {
        Config::layered(file, std::env::vars_os())
    }

    /// The same with the given environment.
    pub fn layered(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Config, Invalid> {
        Config::checked(file, environment, |_| Vec::new())
    }

    /// The same, with the problems that the sections themselves find.
    pub fn checked(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        problems_of: impl FnOnce(&Config) -> Vec<conf::Problem>,
    ) -> Result<Config, Invalid> {
        Config::read(file, environment, problems_of).map(|read| read.config)
    }

    /// The same, with the settings as they were merged and where each was set.
    fn read(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        problems_of: impl FnOnce(&Config) -> Vec<conf::Problem>,
    ) -> Result<Read<Config>, Invalid> {
        let mut findings = Findings::default();
        let defaults = layers::defaults();
        let file = file.map_or_else(Layer::default, |file| Layer::file(file, &defaults, &mut findings));
        let environment = layers::environment(environment, &defaults, &mut findings);
        let sections = file.sections.clone();
        let layers = ::config::Config::builder().add_source(Layer::defaults()).add_source(file).add_source(environment);
        let merged = layers.build().expect("layers in memory are collected without an error").cache;
        let Findings { mut problems, old_keys, warnings } = findings;
        let read = strict::read::<Config>(merged, &defaults, sections, &mut problems);
        let Some(mut read) = read else { return Err(Invalid::from(problems)) };
        read.config.old_keys = old_keys;
        read.config.warnings = warnings;
        for conf::Problem { key, reason } in problems_of(&read.config) {
            // The refused value was replaced by its default, so this problem adds nothing.
            let is_about = |refused: &str| {
                // The file that was to hold the setting.
                let refused = refused.strip_suffix(secret_files::ENDING).unwrap_or(refused);
                !refused.is_empty() && (key.contains(refused) || reason.contains(refused))
            };
            if !problems.iter().any(|problem| is_about(&problem.key)) {
                let place = read.places.of(&key);
                problems.push(Problem { key, place, reason });
            }
        }
        if problems.is_empty() { Ok(read) } else { Err(Invalid::from(problems)) }
    }
}

impl Config {
    /// What works and should be changed: old keys, and secrets in files that every user can read.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = String> {
        old_keys::warning(&self.old_keys).into_iter().chain(self.warnings.iter().cloned())
    }

    /// Logs the warnings. Called once logs are installed.
    pub fn log_warnings(&self) {
        for warning in self.warnings() {
            tracing::warn!("{warning}");
        }
    }
}

impl Invalid {
    /// Every problem: its key, the place where it was set, and the reason.
    pub(crate) fn sentences(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(Problem::to_string)
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
                write!(f, "the configuration has {} problems:", problems.len())?;
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

impl From<conf::Problem> for Invalid {
    fn from(conf::Problem { key, reason }: conf::Problem) -> Invalid {
        Invalid(vec![Problem { key, place: None, reason }])
    }
}
