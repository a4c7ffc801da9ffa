//! The statistics of a room by plain loops over what was said in it, from what `docs/reference/archive-api.md` says and
//! not from how the archiver does it; and the comparison of every answer with them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::archive::reading::{Reader, time};
use crate::archive::recording::{Rooms, Said, each_of, shown};
use crate::archive::user;

/// So many chatters or words are listed at most.
const MOST: usize = 1_000;

/// What was said in a stretch, and who had said something before.
struct Stretch<'a> {
    lines: Vec<&'a Said>,
    known: HashSet<i64>,
    /// The whole room: highlights look at what was before.
    room: Vec<&'a Said>,
    from: i64,
    to: i64,
}

impl<'a> Stretch<'a> {
    fn new(room: &'a [Said], from: i64, to: i64) -> Stretch<'a> {
        let mut known = HashSet::new();
        let mut lines = Vec::new();
        let room: Vec<&Said> = shown(room).collect();
        for said in &room {
            if said.ms < from {
                known.insert(said.user);
            } else if said.ms < to {
                lines.push(*said);
            }
        }
        Stretch { lines, known, room, from, to }
    }

    fn query<'q>(&self, times: &'q mut [String; 2]) -> Vec<(&'q str, &'q str)> {
        *times = [time(self.from), time(self.to)];
        vec![("from", &times[0]), ("to", &times[1])]
    }

    fn counts(&self, bucket_ms: i64) -> Value {
        let mut buckets = Vec::new();
        let mut known = self.known.clone();
        let mut chatters = HashSet::new();
        let mut by_time = self.lines.clone();
        by_time.sort_by_key(|said| said.ms);
        let mut lines = by_time.into_iter().peekable();
        let mut at = self.from;
        while at < self.to {
            let (mut messages, mut new) = (0, 0);
            let mut writers = HashSet::new();
            while let Some(said) = lines.next_if(|said| said.ms < at + bucket_ms) {
                messages += 1;
                writers.insert(said.user);
                chatters.insert(said.user);
                if known.insert(said.user) {
                    new += 1;
                }
            }
            buckets
                .push(json!({ "at": time(at), "messages": messages, "chatters": writers.len(), "newChatters": new }));
            at += bucket_ms;
        }
        json!({
            "from": time(self.from), "to": time(self.to), "messages": self.lines.len(), "chatters": chatters.len(),
            "newChatters": known.len() - self.known.len(), "buckets": buckets,
        })
    }

    /// The chatters, in the order of the answer. Nicknames are as `said` gives them.
    fn chatters(&self) -> Vec<Value> {
        let mut chatters: BTreeMap<i64, (usize, i64, i64)> = BTreeMap::new();
        for Said { user, ms, .. } in &self.lines {
            let (messages, first, last) = chatters.entry(*user).or_insert((0, *ms, *ms));
            *messages += 1;
            *first = (*first).min(*ms);
            *last = (*last).max(*ms);
        }
        let mut chatters: Vec<_> = chatters.into_iter().collect();
        chatters.sort_by_key(|(user, (messages, ..))| (usize::MAX - messages, *user));
        let told = chatters.into_iter().take(MOST).map(|(idx, (messages, first, last))| {
            let user = json!({ "idx": idx, "nickname": user(idx).nickname, "role": "viewer" });
            json!({ "user": user, "messages": messages, "firstAt": time(first), "lastAt": time(last) })
        });
        told.collect()
    }

    /// The words, in the order of the answer.
    fn words(&self) -> Vec<Value> {
        let mut counts: HashMap<String, (usize, usize)> = HashMap::new();
        for Said { text, .. } in &self.lines {
            let mut seen = BTreeSet::new();
            for word in words(text) {
                let (messages, uses) = counts.entry(word.clone()).or_default();
                *uses += 1;
                if seen.insert(word) {
                    *messages += 1;
                }
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(|(word, one), (other_word, other)| other.0.cmp(&one.0).then_with(|| word.cmp(other_word)));
        let told = counts
            .into_iter()
            .take(MOST)
            .map(|(word, (messages, uses))| json!({ "word": word, "messages": messages, "uses": uses }));
        told.collect()
    }

    /// By score: when, until when, how many messages, the peak, its chatters, the mean before, the score.
    fn highlights(&self, bucket_ms: i64) -> Vec<(i64, i64, usize, i64, usize, f64, f64)> {
        let (past, gap, earlier) = (30, 3, 150);
        let all = past + gap + earlier;
        let begin = self.from - all as i64 * bucket_ms;
        let mut messages: Vec<usize> = Vec::new();
        let mut writers: Vec<HashSet<i64>> = Vec::new();
        let mut at = begin;
        while at < self.to {
            messages.push(0);
            writers.push(HashSet::new());
            at += bucket_ms;
        }
        for Said { user, ms, .. } in self.room.iter().filter(|said| (begin..self.to).contains(&said.ms)) {
            let bucket = ((ms - begin) / bucket_ms) as usize;
            messages[bucket] += 1;
            writers[bucket].insert(*user);
        }
        let mut moments: Vec<(i64, i64, usize, i64, usize, f64, f64)> = Vec::new();
        let mut latest = 0;
        for bucket in all..writers.len() {
            let chatters = writers[bucket].len();
            let before: Vec<f64> =
                writers[bucket - gap - past..bucket - gap].iter().map(|writers| writers.len() as f64).collect();
            let mean = before.iter().sum::<f64>() / past as f64;
            let variance = before.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / past as f64;
            // What the last digits make of it is not what is compared.
            let score = rounded((chatters as f64 - mean) / (variance.max(mean) + 1.0).sqrt());
            let spoke = writers[bucket - all..bucket - gap - past].iter().any(|writers| !writers.is_empty());
            if !spoke || chatters < 5 || score < 5.0 {
                continue;
            }
            let at = begin + bucket as i64 * bucket_ms;
            let until = (at + bucket_ms).min(self.to);
            match moments.last_mut() {
                Some(moment) if latest + 1 == bucket => {
                    moment.1 = until;
                    moment.2 += messages[bucket];
                    if score > moment.6 {
                        (moment.3, moment.4, moment.5, moment.6) = (at, chatters, mean, score);
                    }
                }
                _ => moments.push((at, until, messages[bucket], at, chatters, mean, score)),
            }
            latest = bucket;
        }
        moments.sort_by(|one, other| other.6.total_cmp(&one.6).then(one.3.cmp(&other.3)));
        moments
    }

    /// How many wrote each text of a bucket.
    fn texts(&self, at: i64, bucket_ms: i64) -> HashMap<String, HashSet<i64>> {
        let mut texts: HashMap<String, HashSet<i64>> = HashMap::new();
        for Said { user, text, .. } in self.lines.iter().filter(|said| (at..at + bucket_ms).contains(&said.ms)) {
            texts.entry(text.to_ascii_lowercase()).or_default().insert(*user);
        }
        texts
    }
}

fn rounded(score: f64) -> f64 {
    (score * 1e9).round() / 1e9
}

fn words(text: &str) -> Vec<String> {
    use GeneralCategoryGroup::{Letter, Mark, Number};
    let mut words = vec![String::new()];
    for char in text.chars() {
        let begun = !words.last().unwrap().is_empty();
        match char.general_category_group() {
            _ if shows_nothing(char) => words.push(String::new()),
            Mark if begun => words.last_mut().unwrap().push(char),
            Letter | Number => words.last_mut().unwrap().push(char.to_ascii_lowercase()),
            _ => words.push(String::new()),
        }
    }
    let letters = |word: &String| word.chars().filter(|char| char.general_category_group() != Mark).count();
    words.retain(|word| letters(word) >= 2);
    words
}

/// Letters and marks that cannot be seen: fillers, joiners, variation selectors.
fn shows_nothing(char: char) -> bool {
    matches!(char, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}')
        || matches!(char, '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
}

/// Every statistic of the rooms is that of a recount: of all of a room, of a part that begins and ends in the midst of
/// it, and of a time in which nothing was said.
pub(crate) async fn statistics_are_right(reader: &Reader<'_>, rooms: &Rooms) {
    each_of(rooms, async |room, lines| {
        let mut times: Vec<i64> = shown(lines).map(|said| said.ms).collect();
        times.sort_unstable();
        let (first, last) = (times[0], *times.last().unwrap());
        let inner = (times[times.len() / 3] + 1, (times[times.len() * 5 / 6]).max(times[times.len() / 3] + 2));
        for (from, to) in [(first - 5_250, last + 1), inner, (last + 1, last + 90_000)] {
            is_right(reader, room, &Stretch::new(lines, from, to)).await;
        }
    })
    .await;
}

async fn is_right(reader: &Reader<'_>, room: i64, stretch: &Stretch<'_>) {
    let mut times = [String::new(), String::new()];
    let span = stretch.query(&mut times);
    let what = format!("room {room}, {} to {}", span[0].1, span[1].1);
    let path = format!("/v1/rooms/{room}/statistics");
    let ask = async |part: &str, more: &[(&str, &str)]| {
        let query: Vec<(&str, &str)> = span.iter().chain(more).copied().collect();
        reader.get(&format!("{path}{part}"), &query).await
    };
    let fitting = |seconds: &i64| (stretch.to - stretch.from) / (seconds * 1_000) < 10_000;

    for seconds in [1, 7, 60, 3_600, 86_400].into_iter().filter(fitting).take(3) {
        let counts = ask("", &[("bucketSeconds", &seconds.to_string())]).await;
        assert!(counts == stretch.counts(seconds * 1_000), "{what}: buckets of {seconds} s: {counts:#}");
    }
    for (part, list, expected) in [("/chatters", "chatters", stretch.chatters()), ("/words", "words", stretch.words())]
    {
        for first in [1, 10, MOST] {
            let answer = ask(part, &[("first", &first.to_string())]).await;
            let expected = json!({ (list): expected[..first.min(expected.len())] });
            assert!(answer == expected, "{what}: {first} {list}: {answer:#}");
        }
    }
    for seconds in [3, 10, 60].into_iter().filter(fitting) {
        let query = [("bucketSeconds", seconds.to_string()), ("first", "100".to_owned())];
        let query = [(query[0].0, query[0].1.as_str()), (query[1].0, query[1].1.as_str())];
        let answer = ask("/highlights", &query).await;
        let found = answer["highlights"].as_array().unwrap();
        let mut expected = stretch.highlights(seconds * 1_000);
        expected.truncate(100);
        assert_eq!(found.len(), expected.len(), "{what}: highlights of {seconds} s: {answer:#} and not {expected:?}");
        for (found, expected) in found.iter().zip(expected) {
            is_that_moment(found, expected, &stretch.texts(expected.3, seconds * 1_000), &what);
        }
    }
}

fn is_that_moment(
    found: &Value,
    expected: (i64, i64, usize, i64, usize, f64, f64),
    texts: &HashMap<String, HashSet<i64>>,
    what: &str,
) {
    let (at, until, messages, peak, chatters, before, score) = expected;
    let mut told = found.clone();
    let told = told.as_object_mut().unwrap();
    let samples = told.remove("samples").unwrap();
    for (member, expected) in [("score", score), ("chattersBefore", before)] {
        let found = told.remove(member).unwrap().as_f64().unwrap();
        assert!((found - expected).abs() < 1e-8, "{what}: {member} {found} and not {expected} of {told:?}");
    }
    let whole = json!({
        "at": time(at), "until": time(until), "messages": messages, "peakAt": time(peak), "chatters": chatters,
    });
    assert_eq!(json!(told), whole, "{what}");
    // Which of two texts that as many wrote is the earlier one is the log's to say: what is looked at is how many.
    let mut best: Vec<usize> = texts.values().map(HashSet::len).collect();
    best.sort_unstable_by(|one, other| other.cmp(one));
    best.truncate(5);
    let mut sampled = Vec::new();
    let mut seen = HashSet::new();
    for sample in samples.as_array().unwrap() {
        let text = sample["text"].as_str().unwrap().to_ascii_lowercase();
        let writers = texts.get(&text).unwrap_or_else(|| panic!("{what}: nobody wrote that sample: {sample:#}"));
        assert!(writers.contains(&sample["user"]["idx"].as_i64().unwrap()), "{what}: not the author: {sample:#}");
        assert!(seen.insert(text), "{what}: twice: {sample:#}");
        sampled.push(writers.len());
    }
    assert_eq!(sampled, best, "{what}: {samples:#}");
}
