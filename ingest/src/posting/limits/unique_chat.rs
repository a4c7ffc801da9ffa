//! Unique chat: a room refuses a text that was posted there in the last ten minutes. Texts are compared as people read
//! them: NFKC, lower case, without invisible characters and marks that belong to no script, with runs of blanks and of
//! the same punctuation mark or symbol reduced to one. Only hashes of texts are kept.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use chat::{EventId, PresenterIdx};
use moka::Entry;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};
use words::is_invisible;

use super::limited::Limited;

/// 10 minutes: a repetition after that is an answer to someone else.
const MEMORY: Duration = Duration::from_secs(600);

/// 250,000 texts of all rooms in unique-chat mode: about 100 MB. Beyond that, the oldest texts may be repeated.
const MOST_TEXTS: u64 = 250_000;

#[derive(Debug)]
pub(super) struct UniqueChat {
    texts: Texts,
    /// Randomly keyed, so that nobody can construct texts that collide.
    hasher: RandomState,
}

type Texts = Cache<(PresenterIdx, u64), Said>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// It is being appended.
    Claimed(EventId),
    /// It is in the log.
    Stored(EventId),
}

/// A claim on a text. Dropped before [`Claim::keep`], it releases the text.
#[derive(Debug)]
pub(super) struct Claim {
    texts: Texts,
    text: (PresenterIdx, u64),
    id: EventId,
}

impl UniqueChat {
    pub(super) fn new() -> UniqueChat {
        let texts = Cache::builder()
            .max_capacity(MOST_TEXTS)
            // LRU: by frequency, a full cache would reject new texts.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(MEMORY)
            .build();
        UniqueChat { texts, hasher: RandomState::new() }
    }

    /// Claims a text. None: this message has claimed it before, so this is a retry.
    pub(super) fn claim(&self, id: EventId, presenter: PresenterIdx, text: &str) -> Result<Option<Claim>, Limited> {
        let text = self.key(presenter, text);
        // Not `or_insert`, whose lookup and insert are not atomic: two callers could both be the first.
        let entry = self.texts.entry(text).or_insert_with(|| Said::Claimed(id));
        if entry.is_fresh() {
            return Ok(Some(Claim { texts: self.texts.clone(), text, id }));
        }
        let (Said::Claimed(by) | Said::Stored(by)) = entry.into_value();
        if by == id { Ok(None) } else { Err(Limited::Duplicate) }
    }

    /// Records a text of the log that was stored `age` ago.
    pub(super) fn said(&self, id: EventId, presenter: PresenterIdx, text: &str, age: Duration) {
        if age < MEMORY {
            self.texts.insert(self.key(presenter, text), Said::Stored(id));
        }
    }

    fn key(&self, presenter: PresenterIdx, text: &str) -> (PresenterIdx, u64) {
        (presenter, self.hasher.hash_one(as_read(text)))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.texts.iter().count()
    }
}

impl Claim {
    /// The text is in the log.
    pub(super) fn keep(self) {
        self.texts.insert(self.text, Said::Stored(self.id));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.texts.entry(self.text).and_compute_with(|said| match said.map(Entry::into_value) {
            Some(Said::Claimed(id)) if id == self.id => Op::Remove,
            // The message was stored, or another with that text was.
            _ => Op::Nop,
        });
    }
}

/// A form that is the same for all texts that read the same.
pub(super) fn as_read(text: &str) -> String {
    let mut read = String::with_capacity(text.len());
    let mut last = ' ';
    for c in text.chars().map(|c| if is_wide_blank(c) { ' ' } else { c }).nfkc().flat_map(char::to_lowercase) {
        if is_invisible(c) && !belongs_to(c, last) {
            continue;
        }
        let c = if c.is_whitespace() { ' ' } else { c };
        let is_repeated = c == last && !c.is_alphanumeric() && !is_invisible(c);
        if !is_repeated {
            read.push(c);
        }
        last = c;
    }
    read.truncate(read.trim_end().len());
    read
}

/// As wide as a letter but without a glyph: people read it as a blank, although its category is not a space.
fn is_wide_blank(c: char) -> bool {
    matches!(c, '\u{3164}' | '\u{FFA0}' | '\u{2800}')
}

/// Whether the mark belongs to the script of the character before it: a Thai or Hindi vowel or tone makes another word.
/// Marks without a script that NFKC does not compose with a letter can be put on any character, and carry no meaning.
fn belongs_to(mark: char, before: char) -> bool {
    let script = mark.script();
    let is_of_none = matches!(script, Script::Inherited | Script::Common | Script::Unknown);
    // Khmer has invisible vowels, and Mongolian has invisible selectors.
    let is_never_seen = matches!(mark, '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}');
    is_combining_mark(mark) && !is_of_none && !is_never_seen && script == before.script()
}
