//! The crate's invariants, mostly absences: who knows HTTP, who asks MongoDB, and where collections are named.

use std::fs;
use std::path::{Path, PathBuf};

use crate::mongo::collections;

/// What `http` serves. None of it knows HTTP.
const BELOW_HTTP: [&str; 12] = [
    "acknowledgements.rs",
    "archive.rs",
    "erasure",
    "formats",
    "grams.rs",
    "mongo",
    "query",
    "retention.rs",
    "retry.rs",
    "status.rs",
    "work.rs",
    "write",
];

/// Who writes BSON documents: `query` to ask for what readers read, `mongo` for the schema, and those that write.
const WITH_DOCUMENTS: [&str; 5] = ["erasure", "mongo", "query", "retention.rs", "write"];

/// The source files, by path below `src`, without their tests.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut sources) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") && name != "tidy.rs" {
                let source = fs::read_to_string(&path).unwrap();
                let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                sources.push((name, code.to_owned()));
            }
        }
    }
    assert!(sources.len() > 50);
    sources
}

/// Whether a file is `owner`, or in its folder.
fn is_of(file: &str, owner: &str) -> bool {
    let module = owner.trim_end_matches(".rs");
    file == owner || file == format!("{module}.rs") || file.starts_with(&format!("{module}/"))
}

#[test]
fn nothing_below_http_knows_http() {
    for (file, source) in sources() {
        if BELOW_HTTP.iter().any(|owner| is_of(&file, owner)) {
            for name in ["axum", "utoipa", "crate::http", "http::"] {
                assert!(!source.contains(name), "{file} mentions {name}");
            }
        }
    }
}

#[test]
fn only_queries_and_those_who_write_make_bson_documents() {
    for (file, source) in sources() {
        let may = WITH_DOCUMENTS.iter().any(|owner| is_of(&file, owner));
        assert!(may || !source.contains("doc! {"), "{file} writes doc!: ask MongoDB in query/");
    }
}

#[test]
fn no_handler_reads_a_raw_request() {
    for (file, source) in sources().iter().filter(|(file, _)| is_of(file, "http")) {
        assert!(!source.contains("extract::Request") && !source.contains("Request,"), "{file} takes a raw request");
    }
}

#[test]
fn every_collection_is_named_once() {
    for (file, source) in sources().iter().filter(|(file, _)| !is_of(file, "http")) {
        for name in collections::ALL {
            let is_named = source.contains(&format!("\"{name}\""));
            assert!(!is_named || file == "mongo/collections.rs", "{file} names the collection {name}");
        }
    }
}
