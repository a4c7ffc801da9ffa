//! The labelled sets and recordings. They are not part of this tree. Every set is split by its texts: the authors of
//! the lists may read the development half, and the test half measures the result.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::Add;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The half that a text is in: the same in every set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// The authors of the lists may read it.
    Development,
    /// Only its totals are shown.
    Test,
}

/// A text, and whether people labelled it abuse.
pub(crate) struct Labelled {
    pub(crate) text: String,
    pub(crate) is_abuse: bool,
    pub(crate) half: Half,
}

/// The outcome of a filter on labelled texts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Score {
    pub(crate) right: usize,
    pub(crate) wrong: usize,
    pub(crate) missed: usize,
}

impl Half {
    /// Development, if the first byte of the SHA-256 of the text is even.
    pub(crate) fn of(text: &str) -> Half {
        if Sha256::digest(text.as_bytes())[0].is_multiple_of(2) { Half::Development } else { Half::Test }
    }
}

impl Score {
    /// The outcome of `is_flagged` on one half of a set.
    pub(crate) fn of(set: &[Labelled], half: Half, is_flagged: impl Fn(&str) -> bool) -> Score {
        let mut score = Score::default();
        for row in set.iter().filter(|row| row.half == half) {
            match (is_flagged(&row.text), row.is_abuse) {
                (true, true) => score.right += 1,
                (true, false) => score.wrong += 1,
                (false, true) => score.missed += 1,
                (false, false) => {}
            }
        }
        score
    }

    /// The share of the flagged texts that is abuse.
    pub(crate) fn precision(&self) -> f64 {
        self.right as f64 / (self.right + self.wrong) as f64
    }

    /// The share of the abusive texts that was flagged.
    pub(crate) fn recall(&self) -> f64 {
        self.right as f64 / (self.right + self.missed) as f64
    }
}

impl Add for Score {
    type Output = Score;

    fn add(self, other: Score) -> Score {
        Score { right: self.right + other.right, wrong: self.wrong + other.wrong, missed: self.missed + other.missed }
    }
}

/// Korean: the comments of 2runo.
pub(crate) fn korean(folder: &Path) -> Vec<Labelled> {
    labelled(&folder.join("abuse_ko_curse_2runo/dataset.ndjson"), |row| row["abusive"] == 1)
}

/// English: the tweets of Davidson and others. Abuse is hate or offensive.
pub(crate) fn english(folder: &Path) -> Vec<Labelled> {
    labelled(&folder.join("abuse_en_davidson/labeled.ndjson.gz"), |row| row["class"] != "neither")
}

/// The messages of all recordings in a folder.
pub(crate) fn chat(folder: &Path, name: &str) -> Vec<(String, Half)> {
    let mut files: Vec<_> = std::fs::read_dir(folder.join(name))
        .unwrap_or_else(|error| panic!("{}: {error}", folder.join(name).display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".ndjson"))
        .collect();
    files.sort();
    let texts = files.iter().flat_map(|path| rows(path)).map(|row| text(&row));
    texts.map(|text| (text.clone(), Half::of(&text))).collect()
}

fn labelled(path: &Path, is_abuse: impl Fn(&Value) -> bool) -> Vec<Labelled> {
    rows(path)
        .iter()
        .map(|row| {
            let text = text(row);
            Labelled { is_abuse: is_abuse(row), half: Half::of(&text), text }
        })
        .collect()
}

fn text(row: &Value) -> String {
    row["text"].as_str().unwrap().to_owned()
}

fn rows(path: &Path) -> Vec<Value> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let is_packed = path.extension().is_some_and(|extension| extension == "gz");
    let reader: Box<dyn Read> = if is_packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    BufReader::new(reader).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}
