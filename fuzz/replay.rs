//! Runs a check on every input of its corpus. Each crate with checks includes this file in its tests, so `cargo test`
//! replays what fuzzing found, without a fuzzer.

use std::path::Path;

/// Calls the check with each file of `fuzz/corpus/TARGET`. A failing input is the last one that is named.
pub(super) fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = std::fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no input", corpus.display());
    for file in files {
        eprintln!("{}", file.display());
        check(&std::fs::read(&file).unwrap());
    }
}
