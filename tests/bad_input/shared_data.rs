//! Public collections of bad input: the JSONTestSuite, the big list of naughty strings, invalid UTF-8 and the test
//! files of Unicode, all complete and through the archiver, so that accepted texts are found in MongoDB exactly as
//! sent. They are not part of this tree: `CHATTING_SHARED_DATA` names their folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use serde_json::json;

use super::cases::{both, original, v1};
use super::{Accepted, Case, post_all};
use crate::ingest::System;
use crate::support::{Folder, Mongod, Role, Settings, eventually};

/// Long enough to archive some 40,000 messages on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn folder() -> PathBuf {
    let folder = std::env::var_os("CHATTING_SHARED_DATA");
    PathBuf::from(folder.expect("CHATTING_SHARED_DATA must name the folder with the data sets")).join("badinput")
}

fn read(path: &str) -> String {
    let path = folder().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn unpack(archive: &Path, to: &Path) {
    let status = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(to).status().expect("tar is installed");
    assert!(status.success(), "cannot unpack {}", archive.display());
}

/// The 318 bodies, by name.
fn json_test_suite() -> BTreeMap<String, Vec<u8>> {
    let unpacked = Folder::new("json-test-suite");
    unpack(&folder().join("json_test_suite/test_parsing.tar.gz"), unpacked.path());
    let mut bodies = BTreeMap::new();
    let mut folders = vec![unpacked.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                bodies.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    assert_eq!(bodies.len(), 318);
    bodies
}

/// `1F468 200D …` as text. None: it has a surrogate, which is not a character.
fn characters(hex: &str) -> Option<String> {
    let codes = hex.split_whitespace().map(|code| u32::from_str_radix(code, 16).unwrap());
    codes.map(char::from_u32).collect()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split('#').next().unwrap().trim()).filter(|line| !line.is_empty())
}

fn emoji() -> BTreeSet<String> {
    let text = read("unicode15/emoji-zwj-sequences.txt");
    lines(&text).filter_map(|line| characters(line.split(';').next().unwrap())).collect()
}

fn grapheme_breaks() -> BTreeSet<String> {
    let text = read("unicode15/GraphemeBreakTest.txt").replace(['÷', '×'], " ");
    lines(&text).filter_map(characters).collect()
}

fn normal_forms() -> BTreeSet<String> {
    let path = folder().join("unicode15/NormalizationTest.txt.gz");
    let unpacked = Command::new("gzip").arg("-dc").arg(&path).output().expect("gzip is installed");
    assert!(unpacked.status.success(), "cannot unpack {}", path.display());
    let text = String::from_utf8(unpacked.stdout).unwrap();
    let forms = lines(&text).filter(|line| !line.starts_with('@')).flat_map(|line| line.split(';'));
    forms.filter(|form| !form.is_empty()).filter_map(characters).collect()
}

fn naughty_strings() -> Vec<String> {
    serde_json::from_str(&read("blns/blns.json")).unwrap()
}

/// The bytes of every test, and whether they are UTF-8.
fn utf8() -> Vec<(String, Vec<u8>, bool)> {
    let text = read("utf8tests/utf8tests.txt");
    let mut tests = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut members = line.splitn(3, ':').map(str::trim);
        let (name, kind, rest) = (members.next().unwrap(), members.next().unwrap(), members.next().unwrap());
        let hex = rest.split(':').next().unwrap().replace(' ', "");
        let bytes = match kind {
            "valid" => rest.as_bytes().to_vec(),
            _ => (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect(),
        };
        tests.push((name.to_owned(), bytes, kind.starts_with("valid")));
    }
    tests
}

/// The body of a post to `/v1` with this text, unescaped.
fn raw(name: &str, text: &[u8]) -> Case {
    v1(name, [br#"{"text":"a"#, text, br#"b"}"#].concat())
}

/// Ingest, the archiver, and their servers.
struct Pipeline {
    system: System,
    _archiver: Role,
    mongod: Mongod,
}

impl Pipeline {
    async fn start() -> Pipeline {
        let (system, mongod) = tokio::join!(System::start(), Mongod::start());
        let archiver = Role::start("archiver", &Settings::new().nats(&system.nats).mongo(&mongod)).await;
        Pipeline { system, _archiver: archiver, mongod }
    }

    /// Posts everything, and compares the archive with the accepted posts.
    async fn check(&self, cases: impl IntoIterator<Item = Case>) -> Accepted {
        let accepted = post_all(&self.system, cases).await;
        let client = mongodb::Client::with_uri_str(self.mongod.uri()).await.unwrap();
        let archive = client.database("chatting").collection::<Document>("chatting_log");
        eventually("everything accepted is archived", PATIENCE, async || {
            let count = archive.count_documents(doc! {}).await.unwrap();
            (count >= accepted.len() as u64).then_some(())
        })
        .await;
        let documents: Vec<Document> = archive.find(doc! {}).await.unwrap().try_collect().await.unwrap();
        let archived: Accepted = documents
            .iter()
            .map(|document| {
                let text = |member| document.get_str(member).unwrap().to_owned();
                (text("_id"), text("message"))
            })
            .collect();
        assert_eq!(archived.len(), documents.len());
        for (id, text) in &accepted {
            assert_eq!(archived.get(id), Some(text), "{id}");
        }
        assert_eq!(archived.len(), accepted.len(), "more is archived than was accepted");
        accepted
    }
}

#[tokio::test]
async fn the_json_test_suite_is_refused_as_a_body_and_judged_rightly_inside_one() {
    let pipeline = Pipeline::start().await;
    let mut cases = Vec::new();
    for (name, body) in json_test_suite() {
        // None of them is a valid post.
        cases.extend([original(&name, body.clone()), v1(&name, body.clone())]);
        // As an unknown member it is ignored, if it is JSON.
        let head = format!(r#"{{"presenterIdx":42,"userType":"viewer","textMessage":"{name}","text":"{name}","more":"#);
        let body = [head.as_bytes(), &body, b"}"].concat();
        cases.extend([original(&name, body.clone()), v1(&name, body)]);
    }
    let accepted = pipeline.check(cases).await;
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for name in accepted.values() {
        *times.entry(name).or_default() += 1;
    }
    for name in json_test_suite().keys() {
        let times = times.get(name.as_str()).copied().unwrap_or(0);
        match &name[..2] {
            "y_" => assert_eq!(times, 2, "{name} is JSON"),
            "n_" => assert_eq!(times, 0, "{name} is not JSON"),
            _ => assert!(times == 0 || times == 2, "{name} is judged differently by the two surfaces"),
        }
    }
}

#[tokio::test]
async fn naughty_strings_and_all_of_unicodes_test_strings_are_archived_as_sent_or_refused() {
    let pipeline = Pipeline::start().await;
    let emoji = emoji();
    assert!(emoji.len() > 1_000);
    let texts = naughty_strings().into_iter().chain(emoji.iter().cloned()).chain(grapheme_breaks());
    let mut cases: Vec<Case> = texts.flat_map(|text| both(&text, &json!(text))).collect();
    let forms = normal_forms();
    assert!(forms.len() > 30_000, "{} normal forms", forms.len());
    cases.extend(forms.iter().map(|text| v1(text, json!({"text": text}).to_string())));
    let accepted = pipeline.check(cases).await;

    let texts: BTreeSet<&str> = accepted.values().map(String::as_str).collect();
    for text in &emoji {
        assert!(texts.contains(text.as_str()), "{text} was refused");
    }
    // Hangul in any form is common here.
    for text in forms.iter().filter(|text| text.chars().any(|c| matches!(c, '가'..='힣'))) {
        assert!(texts.contains(text.as_str()), "{text} was refused");
    }
}

#[tokio::test]
async fn bodies_that_are_not_utf_8_are_refused() {
    let pipeline = Pipeline::start().await;
    let tests = utf8();
    assert!(tests.len() > 200);
    let accepted = pipeline.check(tests.iter().map(|(name, bytes, _)| raw(name, bytes))).await;
    let texts: BTreeSet<&str> = accepted.values().map(String::as_str).collect();
    for (name, bytes, is_utf8) in &tests {
        let text = std::str::from_utf8(bytes).map(|text| format!("a{text}b"));
        assert_eq!(text.is_ok(), *is_utf8, "{name}: the test set and the standard library disagree");
        let is_accepted = text.as_deref().is_ok_and(|text| texts.contains(text));
        assert!(!is_accepted || *is_utf8, "{name} was accepted");
    }
    assert!(accepted.len() > 10, "{} were accepted", accepted.len());
}
