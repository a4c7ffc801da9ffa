//! Unique chat: a room refuses a text that was posted there in the last ten minutes. Texts are compared as people read
//! them: NFKC, lower case, without invisible characters and marks that belong to no script, with runs of blanks and of
//! the same punctuation mark or symbol reduced to one. Only hashes of texts are kept.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use chat::{EventId, PresenterIdx};
use runtime::ShardedLru;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};
use words::is_invisible;

use super::limited::Limited;

/// 10 minutes: a repetition after that is an answer to someone else.
const MEMORY: Duration = Duration::from_secs(600);

/// 250,000 texts of all rooms in unique-chat mode: about 25 MB. Beyond that, the oldest texts may be repeated.
const MOST_TEXTS: usize = 250_000;

#[derive(Debug)]
pub(super) struct UniqueChat {
    texts: ShardedLru<RoomText, Said>,
    /// Randomly keyed, so that nobody can construct texts that collide.
    hasher: RandomState,
}

/// A room, and the hash of a text.
type RoomText = (PresenterIdx, u64);

/// Who said a text, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    by: EventId,
    /// If not, it is being appended.
    is_stored: bool,
    at: Instant,
}

/// A claim on a text. Dropped before [`Claim::keep`], it releases the text.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    unique_chat: &'a UniqueChat,
    text: RoomText,
    id: EventId,
}

impl UniqueChat {
    pub(super) fn new() -> UniqueChat {
        UniqueChat { texts: ShardedLru::new(MOST_TEXTS), hasher: RandomState::new() }
    }

    /// Claims a text. None: this message has claimed it before, so this is a retry.
    pub(super) fn claim(
        &self,
        id: EventId,
        presenter: PresenterIdx,
        text: &str,
        now: Instant,
    ) -> Result<Option<Claim<'_>>, Limited> {
        let text = self.key(presenter, text);
        self.texts.update(text, |said| match *said {
            Some(Said { by, at, .. }) if now.saturating_duration_since(at) < MEMORY => {
                if by == id {
                    Ok(None)
                } else {
                    Err(Limited::Duplicate)
                }
            }
            _ => {
                *said = Some(Said { by: id, is_stored: false, at: now });
                Ok(Some(Claim { unique_chat: self, text, id }))
            }
        })
    }

    /// Records a text of the log that was stored `age` ago.
    pub(super) fn said(&self, id: EventId, presenter: PresenterIdx, text: &str, age: Duration, now: Instant) {
        if age < MEMORY {
            self.texts.insert(self.key(presenter, text), Said { by: id, is_stored: true, at: now });
        }
    }

    fn key(&self, presenter: PresenterIdx, text: &str) -> RoomText {
        (presenter, self.hasher.hash_one(as_read(text)))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }
}

impl Claim<'_> {
    /// The text is in the log.
    pub(super) fn keep(self) {
        self.unique_chat.texts.insert(self.text, Said { by: self.id, is_stored: true, at: Instant::now() });
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.unique_chat.texts.update(self.text, |said| match *said {
            Some(Said { by, is_stored: false, .. }) if by == self.id => *said = None,
            // The message was stored, or another with that text was.
            _ => {}
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
