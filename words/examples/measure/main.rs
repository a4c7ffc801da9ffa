//! Measures the built-in lists: `cargo run --release -p words --example measure -- FOLDER COMMAND`. `FOLDER` holds the
//! data sets.
//!
//! - without a command: precision and recall beside those of other lists, the share of ordinary chat that is flagged,
//!   and the throughput
//! - `missed SET`, `wrong SET`, `flagged SET`, `freed SET`: the texts of the development half that were missed, wrongly
//!   flagged, flagged, or permitted by a context. `SET` is `korean`, `english` or the folder of a recording
//! - `others CLONES`: the totals of sets that the authors of the lists do not read. `CLONES` holds their repositories
//! - `cost TIMES`: searches a few texts so often, and prints the time of a search. Count instructions over it
//! - `mean SET TEXTS`: searches so many texts, spread over a set. Count instructions over it. The set `-` are the lines
//!   of standard input
//! - `matches`: the number of texts in all sets, and a digest of their matches. Compare two versions of the filter by
//!   it
//! - `try`: masks each line of standard input

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures prints, and stops at what is wrong"
)]

mod lists;
mod others;
mod sets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use aho_corasick::AhoCorasick;
use sets::{Half, Labelled, Score};
use sha2::{Digest, Sha256};
use words::{Filter, List, mask};

const CHATS: [&str; 4] = ["chat_twitch_ko", "chat_youtube_mit", "chat_youtube_multiroom", "chat_twitch_zhtw"];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("usage: measure FOLDER [missed|wrong|flagged|freed SET]"));
    let filter = Filter::new(&List::built_in());
    match (arguments.next(), arguments.next()) {
        (Some(what), Some(clones)) if what == "others" => report_others(Path::new(&clones), &filter),
        (Some(what), Some(times)) if what == "cost" => cost(&filter, times.parse().unwrap()),
        (Some(what), Some(set)) if what == "mean" => {
            let most = arguments.next().expect("usage: measure FOLDER mean SET TEXTS").parse().unwrap();
            mean(&filter, &texts(&folder, &set), most);
        }
        (Some(what), None) if what == "matches" => matches(&folder, &filter),
        (Some(what), None) if what == "try" => {
            for line in std::io::stdin().lines() {
                let line = line.unwrap();
                println!("{}\t{line}", mask(&line, &filter.find(&line)));
            }
        }
        (Some(what), Some(set)) => show(&folder, &filter, &what, &set),
        _ => report(&folder, &filter),
    }
}

/// The built-in lists without contexts.
fn without_contexts() -> Filter {
    let mut list = List::default();
    for text in [include_str!("../../lists/ko.txt"), include_str!("../../lists/en.txt")] {
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("allow:")).collect();
        list.extend(List::parse(&lines.join("\n")).unwrap());
    }
    Filter::new(&list)
}

fn report_others(clones: &Path, filter: &Filter) {
    let bare = without_contexts();
    println!("| set | texts | precision / recall | clean texts flagged | abusive, clean texts freed by contexts |");
    println!("|---|---|---|---|---|");
    for (name, rows) in others::sets(clones) {
        let mut score = Score::default();
        for half in [Half::Development, Half::Test] {
            score = score + Score::of(&rows, half, |text| !filter.find(text).is_empty());
        }
        let clean = rows.iter().filter(|row| !row.is_abuse).count();
        let is_freed = |row: &&Labelled| filter.find(&row.text).is_empty() && !bare.find(&row.text).is_empty();
        let (abusive, innocent): (Vec<_>, Vec<_>) = rows.iter().filter(is_freed).partition(|row| row.is_abuse);
        println!(
            "| {name} | {} | {:.3} / {:.3} | {} of {clean} ({:.1} %) | {}, {} |",
            rows.len(),
            score.precision(),
            score.recall(),
            score.wrong,
            100.0 * score.wrong as f64 / clean as f64,
            abusive.len(),
            innocent.len()
        );
    }
}

/// Prints the cost of usual messages, and of the costliest ones.
fn cost(filter: &Filter, times: u32) {
    let han: String = ('\u{4E00}'..).take(500).collect();
    let cyrillic: String = ('\u{0410}'..='\u{044F}').cycle().take(500).collect();
    let texts = [
        ("a usual message in Korean", "오늘 방송 진짜 재밌었어요 다음에 또 봐요 ㅋㅋㅋ".to_owned()),
        ("a usual message in English", "that was such a good stream, see you next week :)".to_owned()),
        (
            "200 letters of English",
            "so who else stayed up way past midnight to watch this run, ".repeat(4)[..200].to_owned(),
        ),
        (
            "200 bytes of Korean",
            "오늘 경기 진짜 재밌네요 다음 판도 기대됩니다 화이팅 ".repeat(3)[..199].to_owned() + "!",
        ),
        ("500 syllables", "가나다라마바사아자차".repeat(50)),
        ("500 letters", "abcdefghij".repeat(50)),
        ("500 Han characters, all different", han),
        ("500 Cyrillic letters", cyrillic),
        ("500 times U+FDFA", "\u{FDFA}".repeat(500)),
        ("500 times U+3300", "\u{3300}".repeat(500)),
        ("4,000 marks on a letter", format!("a{}", "\u{301}".repeat(4000))),
    ];
    for (name, text) in texts {
        let began = Instant::now();
        let found: usize = (0..times).map(|_| find(filter, &text)).sum();
        let took = began.elapsed().as_secs_f64() * 1e6 / f64::from(times.max(1));
        println!("{name}: {took:.1} µs ({found} found)");
    }
}

/// The texts of a set; of `-`, the lines of standard input.
fn texts(folder: &Path, set: &str) -> Vec<String> {
    match set {
        "-" => std::io::stdin().lines().map(Result::unwrap).collect(),
        "korean" => sets::korean(folder).into_iter().map(|row| row.text).collect(),
        "english" => sets::english(folder).into_iter().map(|row| row.text).collect(),
        chat => sets::chat(folder, chat).into_iter().map(|(text, _)| text).collect(),
    }
}

/// Searches so many texts at even distances.
fn mean(filter: &Filter, texts: &[String], most: usize) {
    let texts: Vec<&String> = texts.iter().step_by(texts.len().div_ceil(most).max(1)).collect();
    // Memory of the first searches is reused by the later ones.
    texts.iter().for_each(|text| drop(filter.find(text)));
    let found: usize = texts.iter().map(|text| find(filter, text)).sum();
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    println!("{} texts of {} bytes on average, {found} found", texts.len(), bytes / texts.len());
}

/// Prints a digest of the matches of all sets.
fn matches(folder: &Path, filter: &Filter) {
    let (mut digest, mut count, mut found) = (Sha256::new(), 0, 0);
    for set in ["korean", "english"].into_iter().chain(CHATS) {
        for text in texts(folder, set) {
            let matches = filter.find(&text);
            count += 1;
            found += matches.len();
            digest.update(format!("{matches:?}"));
        }
    }
    let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{count} texts, {found} matches, {digest}");
}

/// Not inlined, so that a profiler can count what happens in it.
#[inline(never)]
fn find(filter: &Filter, text: &str) -> usize {
    filter.find(std::hint::black_box(text)).len()
}

fn report(folder: &Path, filter: &Filter) {
    println!("precision and recall, by half:\n");
    println!("| set | filter | development | test | both |\n|---|---|---|---|---|");
    let (korean, english) = (sets::korean(folder), sets::english(folder));
    scores("Korean", &korean, "this list", |text| !filter.find(text).is_empty());
    for lists in [&["ldnoobw-ko", "badwords-ko", "nerv-ko"][..], &["ldnoobw-ko"], &["badwords-ko"], &["nerv-ko"]] {
        let plain = words_of(folder, lists);
        scores("Korean", &korean, &format!("plain: {}", lists.join(", ")), |text| plain.is_match(&text.to_lowercase()));
    }
    scores("English", &english, "this list", |text| !filter.find(text).is_empty());
    for list in ["surge-en", "ldnoobw-en"] {
        let plain = words_of(folder, &[list]);
        scores("English", &english, &format!("plain: {list}"), |text| plain.is_match(&text.to_lowercase()));
        scores("English", &english, &format!("whole words: {list}"), |text| has_whole(&plain, &text.to_lowercase()));
    }

    println!("\n| chat | messages | flagged, development | flagged, test | by label |\n|---|---|---|---|---|");
    for name in CHATS {
        let messages = sets::chat(folder, name);
        let mut labels: BTreeMap<String, usize> = BTreeMap::new();
        let mut flagged = [0, 0];
        for (text, half) in &messages {
            let found = filter.find(text);
            flagged[usize::from(*half == Half::Test)] += usize::from(!found.is_empty());
            found.iter().for_each(|found| *labels.entry(found.label.to_string()).or_default() += 1);
        }
        let count = |half: Half| messages.iter().filter(|(_, other)| *other == half).count();
        let (development, test) = (count(Half::Development), count(Half::Test));
        println!("| {name} | {} | {}/{development} | {}/{test} | {labels:?} |", messages.len(), flagged[0], flagged[1]);
    }

    println!();
    for name in CHATS {
        let messages = sets::chat(folder, name);
        let bytes: usize = messages.iter().map(|(text, _)| text.len()).sum();
        let began = Instant::now();
        let found: usize = messages.iter().map(|(text, _)| filter.find(text).len()).sum();
        let took = began.elapsed().as_secs_f64();
        let (messages, rate) = (messages.len(), messages.len() as f64 / took);
        println!(
            "{name}: {messages} messages in {took:.3} s on one core: {rate:.0}/s, {:.1} MB/s, {found} found",
            bytes as f64 / took / 1e6
        );
    }
    let began = Instant::now();
    let filter = Filter::new(&List::built_in());
    println!("the list is compiled in {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
    let words: Vec<String> = (0..200).map(|at| format!("단어{at}")).collect();
    let began = Instant::now();
    let _ = (filter, Filter::with_words(&words));
    println!("a room's 200 words are compiled in {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
}

fn scores(set: &str, rows: &[Labelled], name: &str, is_flagged: impl Fn(&str) -> bool) {
    let [development, test] = [Half::Development, Half::Test].map(|half| Score::of(rows, half, &is_flagged));
    let both = development + test;
    let show = |score: Score| format!("{:.3} / {:.3}", score.precision(), score.recall());
    println!("| {set} | {name} | {} | {} | {} |", show(development), show(test), show(both));
}

/// What most filters do: search for the words anywhere in the text.
fn words_of(folder: &Path, lists: &[&str]) -> AhoCorasick {
    AhoCorasick::new(lists.iter().flat_map(|list| lists::list(folder, list))).unwrap()
}

/// What better filters do: search for the words as whole words.
fn has_whole(words: &AhoCorasick, text: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    words.find_overlapping_iter(text).any(|word| {
        !is_letter(text[..word.start()].chars().next_back()) && !is_letter(text[word.end()..].chars().next())
    })
}

fn show(folder: &Path, filter: &Filter, what: &str, set: &str) {
    let bare = without_contexts();
    let rows = match set {
        "korean" => sets::korean(folder),
        "english" => sets::english(folder),
        chat => {
            let messages = sets::chat(folder, chat).into_iter();
            messages.map(|(text, half)| Labelled { text, is_abuse: false, half }).collect()
        }
    };
    for row in rows.iter().filter(|row| row.half == Half::Development) {
        let found = filter.find(&row.text);
        let is_shown = match what {
            "missed" => row.is_abuse && found.is_empty(),
            "wrong" => !row.is_abuse && !found.is_empty(),
            "flagged" => !found.is_empty(),
            "freed" => bare.find(&row.text).len() > found.len(),
            _ => panic!("what is shown is missed, wrong, flagged or freed, not {what}"),
        };
        if is_shown {
            let words: Vec<&str> = found.iter().map(|found| &row.text[found.range.clone()]).collect();
            println!("{}\t{}\t{}", words.join(" "), row.text, mask(&row.text, &found));
        }
    }
}
