//! The configuration: `defaults.toml`, overridden by a file, overridden by the environment. The crate `config` puts one
//! layer over the other; what comes out is read strictly, because that crate would take 1.5 for 1 and `true` for a number.
//! One error lists every problem, each with its key and the place that set it. What a setting means is its crate's
//! business.

mod layers;
mod old_keys;
mod strict;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use serde::Deserialize;

use crate::logging;
use layers::Layer;
use old_keys::OldKey;

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
    /// Old keys that were set. They are translated already.
    #[serde(skip)]
    old_keys: Vec<OldKey>,
}

/// What reading the layers finds beside the settings.
#[derive(Debug, Default)]
struct Findings {
    problems: Vec<Problem>,
    old_keys: Vec<OldKey>,
}

/// Every problem of the configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct Invalid(Vec<Problem>);

/// A key or a value that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    /// `nats.partitions`. Empty: the problem is about no single key.
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

    /// The same, refused also for the problems that the parts find in their sections.
    pub fn checked(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        problems_of: impl FnOnce(&Config) -> Vec<conf::Problem>,
    ) -> Result<Config, Invalid> {
        let mut findings = Findings::default();
        let defaults = layers::defaults();
        let file = file.map_or_else(Layer::default, |file| Layer::file(file, &defaults, &mut findings));
        let environment = layers::environment(environment, &defaults, &mut findings);
        let sections = file.sections.clone();
        let layers = ::config::Config::builder().add_source(Layer::defaults()).add_source(file).add_source(environment);
        let merged = layers.build().expect("layers in memory are collected without an error").cache;
        let Findings { mut problems, old_keys } = findings;
        let read = strict::read::<Config>(merged, &defaults, sections, &mut problems);
        let Some((mut config, places)) = read else { return Err(Invalid::from(problems)) };
        config.old_keys = old_keys;
        for conf::Problem { key, reason } in problems_of(&config) {
            // The value is the default in place of a refused one: this adds nothing.
            let is_about = |refused: &str| !refused.is_empty() && (key.contains(refused) || reason.contains(refused));
            if !problems.iter().any(|problem| is_about(&problem.key)) {
                let place = places.of(&key);
                problems.push(Problem { key, place, reason });
            }
        }
        if problems.is_empty() { Ok(config) } else { Err(Invalid::from(problems)) }
    }
}

impl Config {
    /// Logs a warning where old keys are set. The logs are installed by then.
    pub fn warn_of_old_keys(&self) {
        if let Some(warning) = old_keys::warning(&self.old_keys) {
            tracing::warn!(keys = self.old_keys.len(), "{warning}");
        }
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

impl From<conf::Problem> for Invalid {
    fn from(conf::Problem { key, reason }: conf::Problem) -> Invalid {
        Invalid(vec![Problem { key, place: None, reason }])
    }
}
