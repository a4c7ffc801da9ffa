//! Logs of the process: `tracing` to standard error, as text or as JSON.

use std::fmt;
use std::io::IsTerminal as _;

use conf::Problem;
use serde::Deserialize;
use tracing_subscriber::{EnvFilter, reload};

use self::lines::{JsonLine, TextFields};
use crate::config::Invalid;

mod lines;

/// The section `[log]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// A level, or a filter by target in `tracing`'s syntax.
    pub filter: String,
    /// The format of a line.
    pub format: Format,
}

/// The format of a line.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogConfig {
    /// Err: the filter is wrong.
    pub(crate) fn filter(&self) -> Result<EnvFilter, Problem> {
        EnvFilter::try_new(&self.filter).map_err(|error| Problem::new("log.filter", error.to_string()))
    }
}

/// Changes the filter of the installed logs.
pub struct Filter(Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>);

impl Filter {
    /// From now on that of the configuration, which was checked.
    pub(crate) fn set(&self, config: &LogConfig) {
        let filter = config.filter().map_err(|problem| problem.to_string());
        if let Err(error) = filter.and_then(|filter| (self.0)(filter).map_err(|error| error.to_string())) {
            tracing::error!(error, "the filter of logs stays as it was: {error}");
        }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filter")
    }
}

/// Installs the process's logs and the panic hook. Call once.
pub fn install(config: &LogConfig) -> Result<Filter, Invalid> {
    let filter = config.filter().map_err(Invalid::from)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let filter = match config.format {
        Format::Text => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal()).map_fmt_fields(TextFields);
            let lines = lines.with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            Filter(Box::new(move |filter| handle.reload(filter)))
        }
        Format::Json => {
            let lines = lines.json().flatten_event(true).map_event_format(JsonLine).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            Filter(Box::new(move |filter| handle.reload(filter)))
        }
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let reason = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, reason, "panic at {place}: {reason}");
    }));
    Ok(filter)
}

/// Installs warnings and errors as text, for commands that a person runs.
pub fn install_for_people() {
    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::new("warn,chatting_server=info"));
    lines.with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).without_time().init();
}
