//! The architecture invariants, mostly absences: which crate may depend on which, and what only one crate may know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The workspace crates that each crate may depend on. Roles never depend on each other, nor do `nats` and `web`.
const ARROWS: [(&str, &[&str]); 19] = [
    (
        ".",
        &[
            "archiver", "chat", "conf", "delivery", "ingest", "metrics", "nats", "otlp", "runtime", "testkit", "tls",
            "web",
        ],
    ),
    ("archiver", &["chat", "conf", "console", "metrics", "nats", "otlp", "runtime", "tls", "web", "words"]),
    ("bench", &["chat", "conf", "nats", "testkit", "web"]),
    ("chat", &[]),
    ("conf", &[]),
    ("console", &["web"]),
    ("delivery", &["chat", "conf", "metrics", "nats", "otlp", "runtime", "tls", "web"]),
    ("ingest", &["chat", "conf", "metrics", "nats", "otlp", "runtime", "tls", "web", "words"]),
    ("judge", &["chat"]),
    ("metrics", &[]),
    ("model", &[]),
    ("nats", &["chat", "conf", "metrics", "runtime", "tls"]),
    ("otlp", &["conf", "metrics", "runtime"]),
    ("reliability", &["archiver", "chat", "conf", "judge", "nats", "testkit", "web"]),
    ("runtime", &[]),
    ("testkit", &["archiver"]),
    ("tls", &["conf"]),
    ("web", &["chat", "conf", "metrics", "otlp", "runtime", "tls"]),
    ("words", &[]),
];

/// Libraries that only one crate may use. `.` is the binary: only it reads the configuration and sets up tracing.
const ALONE: [(&str, &str); 8] = [
    ("async-nats", "nats"),
    ("mongodb", "archiver"),
    ("jsonwebtoken", "web"),
    ("tokio-rustls", "tls"),
    ("prometheus", "metrics"),
    ("opentelemetry-proto", "otlp"),
    ("tracing-subscriber", "."),
    ("clap", "."),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The dependencies of a crate's code. Those of its tests do not count.
fn dependencies(krate: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join(krate).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    manifest["dependencies"].as_table().unwrap().keys().cloned().collect()
}

/// Every file of the tree with this ending, without build output.
fn files(ending: &str) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![root().to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
                folders.push(path);
            } else if name.ends_with(ending) {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "no file ends with {ending}");
    files
}

#[test]
fn every_crate_depends_only_on_the_crates_below_it() {
    let ours: BTreeSet<&str> = ARROWS.iter().map(|(krate, _)| *krate).collect();
    for (krate, allowed) in ARROWS {
        let all = dependencies(krate);
        let seen: BTreeSet<&str> = all.iter().map(String::as_str).filter(|name| ours.contains(name)).collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        assert!(seen.is_subset(&allowed), "{krate} depends on {seen:?}, it may on {allowed:?}");
    }
}

#[test]
fn every_workspace_member_is_in_the_picture() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let members: BTreeSet<&str> = members.iter().map(|member| member.as_str().unwrap()).collect();
    assert_eq!(members, ARROWS.iter().map(|(krate, _)| *krate).collect());
}

#[test]
fn libraries_reserved_for_one_crate_are_used_by_no_other() {
    for (library, owner) in ALONE {
        // Programs that measure or break the system have their own command line.
        for (krate, _) in ARROWS.iter().filter(|(krate, _)| !["bench", "reliability"].contains(krate)) {
            let has = dependencies(krate).contains(library);
            assert_eq!(has, *krate == owner, "{library} belongs to {owner} alone; look at {krate}");
        }
    }
}

#[test]
fn only_the_binary_listens_for_signals() {
    for krate in ["archiver", "chat", "delivery", "ingest", "nats", "web", "words"] {
        for path in files(".rs").into_iter().filter(|path| path.starts_with(root().join(krate))) {
            let source = fs::read_to_string(&path).unwrap();
            assert!(!source.contains("tokio::signal"), "{} listens for signals", path.display());
            assert!(!source.contains("std::env::var"), "{} reads the environment", path.display());
        }
    }
}

#[test]
fn every_source_file_says_first_what_it_is() {
    for path in files(".rs") {
        let source = fs::read_to_string(&path).unwrap();
        assert!(source.starts_with("//! "), "{} does not begin with a `//!` paragraph", path.display());
    }
}

#[test]
fn every_suite_of_the_tests_is_run() {
    let main = fs::read_to_string(root().join("tests/main.rs")).unwrap();
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let suite = name.trim_end_matches(".rs");
        assert!(suite == "main" || main.contains(&format!("mod {suite};")), "tests/main.rs leaves out {name}");
    }
}

#[test]
fn every_crate_takes_the_workspaces_lints() {
    for (krate, _) in ARROWS {
        let manifest = fs::read_to_string(root().join(krate).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{krate}");
    }
}

#[test]
fn every_example_in_the_documentation_of_the_code_is_run() {
    let sources = files(".rs");
    for (krate, _) in ARROWS {
        let manifest = fs::read_to_string(root().join(krate).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let doctest = manifest.get("lib").and_then(|lib| lib.get("doctest")).and_then(toml::Value::as_bool);
        for path in sources.iter().filter(|path| path.starts_with(root().join(krate).join("src"))) {
            let text = fs::read_to_string(path).unwrap();
            let is_example =
                |line: &str| ["//! ```", "/// ```"].iter().any(|begin| line.trim_start().starts_with(begin));
            let is_run = doctest != Some(false) || !text.lines().any(is_example);
            assert!(is_run, "{krate}/Cargo.toml says doctest = false, and {} has an example", path.display());
        }
    }
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    let mut broken = BTreeMap::new();
    for path in files(".md") {
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if target.is_empty() { path.clone() } else { path.parent().unwrap().join(target) };
            let is_page = target.extension().is_some_and(|extension| extension == "md");
            let leads = link.contains("://")
                || target.exists() && (anchor.is_empty() || !is_page || anchors(&target).contains(anchor));
            if !leads {
                broken.insert(link.to_owned(), path.clone());
            }
        }
    }
    assert!(broken.is_empty(), "{broken:?}");
}

/// The anchors of a page's headings, as GitHub makes them.
pub(crate) fn anchors(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(page).unwrap();
    let (mut anchors, mut is_code) = (BTreeSet::new(), false);
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        if is_code || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let letters = heading.trim().to_lowercase();
        let kept = letters.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        anchors.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
    }
    anchors
}

#[test]
fn nothing_of_ingest_below_its_http_folder_knows_http() {
    let source = root().join("ingest/src");
    for path in files(".rs").into_iter().filter(|path| path.starts_with(&source)) {
        // Tests run their own servers.
        if path.starts_with(source.join("http")) || path.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("axum::"), "{} knows HTTP", path.display());
    }
}

#[test]
fn every_fuzz_target_has_a_corpus_that_a_crate_replays() {
    let fuzz = root().join("fuzz");
    let manifest: toml::Table = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap().parse().unwrap();
    let built: BTreeSet<&str> =
        manifest["bin"].as_array().unwrap().iter().map(|target| target["name"].as_str().unwrap()).collect();
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(fuzz.join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert!(names("fuzz_targets").iter().eq(&built) && names("corpus").iter().eq(&built), "{built:?}");
    let checks = files("fuzz.rs").into_iter().map(|path| fs::read_to_string(path).unwrap()).collect::<String>();
    for target in built {
        assert!(checks.contains(&format!("replay(\"{target}\", ")), "no crate replays the corpus of {target}");
    }
}
