//! What the commands for operators share: they load the configuration of the roles, run, and print a table.

use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::config::Config;
use crate::logging;
use crate::roles::{USAGE, is_about_configuration};

/// Runs the command with the configuration. It returns whether everything requested was done. The exit code is 0 if it
/// was, 1 if not, 64 if the configuration is invalid.
pub(crate) fn run(file: Option<&Path>, command: impl AsyncFnOnce(Config) -> anyhow::Result<bool>) -> ExitCode {
    logging::install_for_people();
    let done = Config::load(file).map_err(anyhow::Error::from).and_then(|config| {
        config.log_warnings();
        tokio::runtime::Runtime::new()?.block_on(command(config))
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whoever read the output, such as `head`, has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chatting-server: {error:#}");
            if is_about_configuration(&error) { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

/// Whether nobody reads the output any more.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Prints a text, which ends its own lines.
pub(crate) fn print(text: impl Display) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    write!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Prints rows in columns as wide as their widest member.
pub(crate) fn print_table<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> anyhow::Result<()> {
    let rows: Vec<[String; N]> = std::iter::once(header.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; N] = std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
    let mut out = std::io::stdout().lock();
    for row in &rows {
        let padded = row.iter().zip(widths).map(|(member, width)| format!("{member:width$}"));
        writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
