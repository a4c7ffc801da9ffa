//! Texts from real chat.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

/// The number of different texts. No poster repeats one soon.
const TEXTS: usize = 256;

/// Texts of almost this many bytes, made of the messages of `samples/evening.ndjson`.
pub(crate) fn texts(bytes: usize) -> anyhow::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Line {
        text: String,
    }
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/evening.ndjson");
    let sample = std::fs::read_to_string(&sample).with_context(|| format!("cannot read {}", sample.display()))?;
    let lines: Vec<Line> = sample.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    // Of whole words: part of an emoji or a line break would be refused.
    let mut words = lines.iter().flat_map(|line| line.text.split_whitespace()).cycle();
    let mut texts = Vec::new();
    while texts.len() < TEXTS {
        // One of them alone is too long for a message.
        let mut text = words.find(|word| word.len() < bytes).context("the sample has no words")?.to_owned();
        while let Some(word) = words.next()
            && text.len() + word.len() < bytes
        {
            text = text + " " + word;
        }
        texts.push(text);
    }
    Ok(texts)
}
