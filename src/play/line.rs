//! The recording: NDJSON, a chat message a line.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

/// One recorded message. Members that are not listed are ignored.
#[derive(Debug, Clone, Deserialize)]
pub struct Line {
    /// Milliseconds after the beginning.
    pub t_ms: u64,
    /// Who wrote it: any name, the same for the same user.
    pub user: String,
    /// The text.
    pub text: String,
    /// In which room: any name. A recording of one room leaves it out.
    #[serde(default)]
    pub room: Option<String>,
    /// `presenter` where the room's presenter wrote it.
    #[serde(default)]
    pub role: Option<String>,
    /// Which line of the recording it is, from 1 on.
    #[serde(skip)]
    pub(super) number: usize,
}

/// Reads a recording; an error names the line.
pub fn read(file: &Path) -> anyhow::Result<Vec<Line>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    // Not `lines()` alone: U+2028 and the like are part of a text, and it leaves them be; blank lines are nothing.
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let read = serde_json::from_str(line);
            let line: Line = read.with_context(|| format!("{}, line {}", file.display(), number + 1))?;
            Ok(Line { number: number + 1, ..line })
        })
        .collect()
}
