//! No message twice in a room: a text is compared with what was said there in the last ten minutes, as people read it
//! (NFKC, lower case, nothing invisible, no marks of no script, one blank for several, one punctuation mark or symbol for
//! several of the same). Texts are kept as hashes only.

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

use super::Limited;

/// 10 minutes: who repeats after that is answering somebody else.
const MEMORY: Duration = Duration::from_secs(600);

/// 250,000 texts of all rooms in unique-chat mode: some 100 MB. Beyond, the oldest may be said again.
const MOST_TEXTS: u64 = 250_000;

#[derive(Debug)]
pub(super) struct UniqueChat {
    texts: Texts,
    /// With keys of its own: nobody can make up texts that collide.
    hasher: RandomState,
}

type Texts = Cache<(PresenterIdx, u64), Said>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// It is on its way into the log.
    Claimed(EventId),
    /// It is in the log.
    Stored(EventId),
}

/// The right to say a text. Dropped before it is kept, it is as if the text had never been claimed.
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
            // By frequency, a full cache would not let new texts in.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(MEMORY)
            .build();
        UniqueChat { texts, hasher: RandomState::new() }
    }

    /// None: it was that message that said it.
    pub(super) fn claim(&self, id: EventId, presenter: PresenterIdx, text: &str) -> Result<Option<Claim>, Limited> {
        let text = self.key(presenter, text);
        // Not `or_insert`, which looks and inserts one after the other: two would be the first.
        let entry = self.texts.entry(text).or_insert_with(|| Said::Claimed(id));
        if entry.is_fresh() {
            return Ok(Some(Claim { texts: self.texts.clone(), text, id }));
        }
        let (Said::Claimed(by) | Said::Stored(by)) = entry.into_value();
        if by == id { Ok(None) } else { Err(Limited::Duplicate) }
    }

    /// The log has that text, written so long ago.
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
            // The message came into the log, or another with that text did.
            _ => Op::Nop,
        });
    }
}

/// What two texts have in common that read the same.
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

/// As wide as a letter, and nothing to see: read as a blank, though none by its category.
fn is_wide_blank(c: char) -> bool {
    matches!(c, '\u{3164}' | '\u{FFA0}' | '\u{2800}')
}

/// Whether the mark is of the script of what it stands on: a vowel or a tone of Thai or Hindi makes another word. Marks of
/// no script that NFKC has found no letter for are put on anything, and say nothing.
fn belongs_to(mark: char, before: char) -> bool {
    let script = mark.script();
    let is_of_none = matches!(script, Script::Inherited | Script::Common | Script::Unknown);
    // Khmer has vowels, and Mongolian selectors, that nobody sees.
    let is_never_seen = matches!(mark, '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}');
    is_combining_mark(mark) && !is_of_none && !is_never_seen && script == before.script()
}
