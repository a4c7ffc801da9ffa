//! Labelled sets that the authors of the lists do not read: public repositories, cloned side by side into a folder.
//! Only their totals are printed.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord};

use crate::sets::{Half, Labelled};

/// Where a set is, and how to read it.
struct Source {
    name: &'static str,
    files: &'static [&'static str],
    delimiter: u8,
    /// The column of the texts.
    text: &'static str,
    is_abuse: fn(&Row) -> bool,
}

const SOURCES: [Source; 7] = [
    Source {
        name: "BEEP! (Korean, comments on celebrity news)",
        files: &["korean-hate-speech/labeled/train.tsv", "korean-hate-speech/labeled/dev.tsv"],
        delimiter: b'\t',
        text: "comments",
        is_abuse: |row| row.get("hate") != "none",
    },
    Source {
        name: "UnSmile (Korean, comments of communities and news)",
        files: &["korean_unsmile_dataset/unsmile_train_v1.0.tsv", "korean_unsmile_dataset/unsmile_valid_v1.0.tsv"],
        delimiter: b'\t',
        text: "문장",
        is_abuse: |row| row.get("clean") != "1",
    },
    Source {
        name: "K-MHaS (Korean, comments on news)",
        files: &["K-MHaS/data/kmhas_valid.txt", "K-MHaS/data/kmhas_test.txt"],
        delimiter: b'\t',
        text: "document",
        is_abuse: |row| row.get("label") != "8",
    },
    Source {
        name: "APEACH (Korean, written for the set)",
        files: &["APEACH/APEACH/test.csv"],
        delimiter: b',',
        text: "text",
        is_abuse: |row| row.get("class") == "Spoiled",
    },
    Source {
        name: "CONDA (English, chat of a game)",
        files: &["CONDA/data/CONDA_train.csv", "CONDA/data/CONDA_valid.csv"],
        delimiter: b',',
        text: "utterance",
        is_abuse: |row| ["E", "I"].contains(&row.get("intentClass")),
    },
    Source {
        name: "OLID (English, tweets)",
        files: &["OLID/olid-training-v1.0.tsv"],
        delimiter: b'\t',
        text: "tweet",
        is_abuse: |row| row.get("subtask_a") == "OFF",
    },
    Source {
        name: "HateCheck (English, written for the set)",
        files: &["hatecheck-data/test_suite_cases.csv"],
        delimiter: b',',
        text: "test_case",
        is_abuse: |row| row.get("label_gold") == "hateful",
    },
];

/// The name and the texts of every set whose repository is in the folder.
pub(crate) fn sets(folder: &Path) -> Vec<(&'static str, Vec<Labelled>)> {
    let present = SOURCES.iter().filter(|source| folder.join(source.files[0]).exists());
    present
        .map(|source| {
            let rows = source.files.iter().flat_map(|file| rows(&folder.join(file), source.delimiter));
            let labelled = rows.map(|row| {
                let text = row.get(source.text).to_owned();
                Labelled { is_abuse: (source.is_abuse)(&row), half: Half::of(&text), text }
            });
            (source.name, labelled.collect())
        })
        .collect()
}

/// A row with the names of its columns.
struct Row {
    names: StringRecord,
    values: StringRecord,
}

impl Row {
    fn get(&self, name: &str) -> &str {
        let at = self.names.iter().position(|known| known == name);
        self.values.get(at.unwrap_or_else(|| panic!("there is no column {name}"))).unwrap_or_default()
    }
}

fn rows(path: &Path, delimiter: u8) -> Vec<Row> {
    // In files separated by tabs, a quotation mark has no special meaning.
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(delimiter == b',')
        .flexible(true)
        .from_path(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let names = reader.headers().unwrap().clone();
    reader.records().map(|values| Row { names: names.clone(), values: values.unwrap() }).collect()
}
