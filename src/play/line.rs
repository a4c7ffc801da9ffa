//! The recording: NDJSON with one chat message per line.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

/// A recorded message. Unknown members are ignored.
#[derive(Debug, Clone, Deserialize)]
pub struct Line {
    /// Milliseconds from the beginning.
    pub t_ms: u64,
    /// The author: any name, the same for the same user.
    pub user: String,
    /// The text.
    pub text: String,
    /// The room: any name. None in a recording of one room.
    #[serde(default)]
    pub room: Option<String>,
    /// `presenter` if the room's presenter is the author.
    #[serde(default)]
    pub role: Option<String>,
    /// The line of the recording, from 1.
    #[serde(skip)]
    pub(super) number: usize,
}

/// Reads a recording. Errors name the line.
pub fn read(file: &Path) -> anyhow::Result<Vec<Line>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    parse(&text, &file.display().to_string())
}

/// Reads a recording from its text. `name` is for errors.
pub(crate) fn parse(text: &str, name: &str) -> anyhow::Result<Vec<Line>> {
    // `lines()` splits only at line feeds, so U+2028 stays part of a text. Blank lines are skipped.
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let read = serde_json::from_str(line);
            let line: Line = read.with_context(|| format!("{name}, line {}", number + 1))?;
            Ok(Line { number: number + 1, ..line })
        })
        .collect()
}
