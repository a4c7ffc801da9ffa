//! A page of messages: the next matches in a sequence after a key. If few messages match, a page reads many. The work
//! of a request is bounded: it returns what it has found so far, and the place to go on from.
//!
//! The bound is a time, not a number, because a text's author determines how long it takes to search. MongoDB tries a
//! pattern at each character anew, so it searches only for the start of the search text, and the rest is compared here
//! in linear time. The number of messages per question follows from the time that the previous one took, so each
//! request makes progress, whatever the archive contains.

use std::time::{Duration, Instant};

use chat::folded;
use mongodb::bson::{Document, deserialize_from_document, doc};
use mongodb::options::{FindOptions, Hint};
use serde::Deserialize;

use super::messages::Selection;
use super::sequence::{Key, Keyed, Only, Order, Sequence};
use super::text_index::{Stretch, TextIndex};
use crate::mongo::collections::MESSAGES;
use crate::mongo::database::Database;
use crate::mongo::documents::MessageDocument;
use crate::mongo::failure::Failure;
use crate::mongo::find::read_each;
use crate::mongo::schema::{ROOM_TEXT, UNFOLDED, unfolded};

/// 20,000: the most messages that one question to MongoDB covers, usually a fraction of a second of work.
const STEP: u64 = 20_000;

/// 1,000: the first question covers fewer. They are usually enough, and their end is found at once.
const FIRST_STEP: u64 = 1_000;

/// 1 s: after so long a request returns what it has.
const BUDGET: Duration = Duration::from_secs(1);

/// The part of the deadline after which MongoDB gives a question up, so that it is repeated for fewer messages: 2 s by
/// default.
const PATIENCE: f64 = 0.2;

/// 50 ms: after a faster question the next one covers more messages.
const QUICK: Duration = Duration::from_millis(50);
/// 250 ms: after a slower question the next one covers fewer.
const SLOW: Duration = Duration::from_millis(250);

/// 8: MongoDB searches for so many characters. That is usually the whole search text, and no message costs more than 8
/// steps per character.
const PATTERN_CHARS: usize = 8;

/// 250: the messages that are read at once to be compared here. With messages of the largest size they have 5 MB.
const CANDIDATES: usize = 250;

/// Some of the messages of a selection.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) messages: Vec<MessageDocument>,
    /// Where to go on. None: that was all.
    pub(crate) next: Option<Key>,
}

/// The first messages after the key, or fewer and a place to go on from.
pub(crate) async fn page(
    database: &Database,
    selection: &Selection,
    mut after: Option<Key>,
    first: usize,
) -> Result<Page, Failure> {
    let started = Instant::now();
    let Selection { sequence, bounds, order, filter, text, .. } = selection;
    let search = TextSearch::new(database, sequence, text.as_deref()).await?;
    let mut index = match (&search, sequence) {
        (TextSearch::Indexed(term), Sequence::Room { presenter_idx, .. }) => {
            TextIndex::open(database, *presenter_idx, (bounds, *order), term.text).await?
        }
        _ => None,
    };
    let mut messages: Vec<MessageDocument> = Vec::new();
    let mut pace = Pace { step: FIRST_STEP.max(2 * first as u64) };
    let mut gets_on = false;
    'steps: loop {
        let stretch = match &mut index {
            Some(index) => {
                index.next(database, after.as_ref(), usize::try_from(pace.step).unwrap_or(usize::MAX)).await?
            }
            None => Stretch::All { end: None },
        };
        let (end, candidates) = match stretch {
            Stretch::All { end: limit } => {
                let limit = limit.map(Key::Position);
                let end = end_of_step(database, selection, (after.as_ref(), limit.as_ref()), pace.step).await?;
                (end.or(limit), None)
            }
            Stretch::Among { end, candidates } => (end.map(Key::Position), Some(candidates)),
        };
        let began = Instant::now();
        while candidates.as_ref().is_none_or(|candidates| !candidates.is_empty()) {
            let range = sequence.range(bounds, *order, after.as_ref(), end.as_ref());
            // Several conditions may be about the same member, so they are combined with `$and`.
            let among =
                candidates.as_ref().map_or_else(Document::new, |positions| doc! { "position": { "$in": positions } });
            let matching = doc! { "$and": [sequence.filter(), range, filter, search.filter(), among] };
            let mut options = search.options(sequence, *order);
            // One more than the page shows whether more follow.
            let limit = search.least().max(first - messages.len() + 1);
            options.limit = i64::try_from(limit).ok();
            let all_time = database.request_timeout();
            let patience = if pace.step > 1 { all_time.mul_f64(PATIENCE) } else { all_time };
            let asked = database.select_within(&database.messages(), matching, options, patience).await?;
            let found: Vec<Document> = match asked {
                Some(found) => found,
                None if gets_on && started.elapsed() > BUDGET => return Ok(Page { messages, next: after }),
                None if pace.shorten() => continue 'steps,
                None => return Err(Failure::Unavailable("MongoDB takes too long to search one message".to_owned())),
            };
            // Taken before invalid documents are skipped: a document that was changed by hand hides nothing after it.
            let is_all = found.len() < limit;
            let last = found.last().and_then(|last| deserialize_from_document(last.clone()).ok());
            let last = last.and_then(|last| sequence.key_of(last));
            let found: Vec<MessageDocument> = read_each(MESSAGES, found);
            messages.extend(found.into_iter().filter(|message| search.finds(message)));
            if messages.len() > first {
                messages.truncate(first);
                let next = messages.last().map(|message| sequence.key(message));
                return Ok(Page { messages, next });
            }
            if is_all || last.is_none() {
                break;
            }
            // Some of them did not match, or were skipped.
            (after, gets_on) = (last, true);
            if started.elapsed() > BUDGET {
                return Ok(Page { messages, next: after });
            }
        }
        after = match end {
            None => return Ok(Page { messages, next: None }),
            Some(end) if started.elapsed() > BUDGET => return Ok(Page { messages, next: Some(end) }),
            end => end,
        };
        gets_on = true;
        pace.took(began.elapsed());
    }
}

/// The number of messages that the next question covers.
struct Pace {
    step: u64,
}

impl Pace {
    fn took(&mut self, time: Duration) {
        if time < QUICK {
            self.step = (8 * self.step).min(STEP);
        } else if time > SLOW {
            self.step = (self.step / 4).max(1);
        }
    }

    /// Shortens the step that took too long. Returns whether there is a shorter one.
    fn shorten(&mut self) -> bool {
        let is_shorter = self.step > 1;
        self.step = (self.step / 8).max(1);
        is_shorter
    }
}

/// Where and how texts are searched.
enum TextSearch<'a> {
    /// Not at all.
    None,
    /// In the index, which has all folded texts of the room.
    Indexed(SearchTerm<'a>),
    /// In the messages.
    Folded(SearchTerm<'a>),
    /// In the messages, some of which an earlier version wrote without a folded text. MongoDB returns all of those, and
    /// they are folded here.
    Mixed(SearchTerm<'a>),
}

/// The search text.
#[derive(Debug, Clone, Copy)]
struct SearchTerm<'a> {
    text: &'a str,
    /// The start, for which MongoDB searches.
    start: &'a str,
}

impl<'a> SearchTerm<'a> {
    fn new(text: &'a str) -> SearchTerm<'a> {
        let end = text.char_indices().nth(PATTERN_CHARS).map_or(text.len(), |(end, _)| end);
        SearchTerm { text, start: &text[..end] }
    }

    /// Whether MongoDB searches for all of it.
    fn is_whole(&self) -> bool {
        self.start.len() == self.text.len()
    }

    /// Whether a text that contains its start contains all of it. `contains` takes linear time.
    fn is_in(&self, folded: &str) -> bool {
        self.is_whole() || folded.contains(self.text)
    }

    /// Matches the messages that may contain it.
    fn filter(&self) -> Document {
        let mut pattern = String::new();
        for char in self.start.chars() {
            if char.is_ascii_punctuation() {
                pattern.push('\\');
            }
            pattern.push(char);
        }
        doc! { "folded": { "$regex": pattern } }
    }
}

impl<'a> TextSearch<'a> {
    async fn new(database: &Database, sequence: &Sequence, text: Option<&'a str>) -> Result<TextSearch<'a>, Failure> {
        #[derive(Deserialize)]
        struct UnfoldedMessage {}
        let Some(text) = text else { return Ok(TextSearch::None) };
        let mut left = unfolded();
        if let Sequence::Room { presenter_idx, .. } = sequence {
            left.insert("presenterIdx", presenter_idx);
        }
        let options =
            FindOptions::builder().hint(Hint::Name(UNFOLDED.to_owned())).projection(doc! { "_id": 1 }).limit(1).build();
        let left: Vec<UnfoldedMessage> = database.select(&database.messages(), left, options).await?;
        let term = SearchTerm::new(text);
        Ok(match sequence {
            _ if !left.is_empty() => TextSearch::Mixed(term),
            Sequence::Room { only: Only::All, .. } => TextSearch::Indexed(term),
            _ => TextSearch::Folded(term),
        })
    }

    fn filter(&self) -> Document {
        match self {
            TextSearch::None => doc! {},
            TextSearch::Indexed(term) | TextSearch::Folded(term) => term.filter(),
            TextSearch::Mixed(term) => doc! { "$or": [term.filter(), unfolded()] },
        }
    }

    fn options(&self, sequence: &Sequence, order: Order) -> FindOptions {
        let mut options = sequence.options(order);
        if let TextSearch::Indexed(_) = self {
            options.hint = Some(Hint::Name(ROOM_TEXT.to_owned()));
        }
        if self.compares_here() {
            // The comparison here needs the folded text.
            options.projection = None;
        }
        options
    }

    /// Whether MongoDB returns more than the matches, so that texts are compared here.
    fn compares_here(&self) -> bool {
        match self {
            TextSearch::None => false,
            TextSearch::Indexed(term) | TextSearch::Folded(term) => !term.is_whole(),
            TextSearch::Mixed(_) => true,
        }
    }

    /// The least number of messages to read at once.
    fn least(&self) -> usize {
        if self.compares_here() { CANDIDATES } else { 1 }
    }

    /// Whether a message from MongoDB is a match.
    fn finds(&self, message: &MessageDocument) -> bool {
        match (self, &message.folded) {
            (TextSearch::None, _) => true,
            (TextSearch::Indexed(term) | TextSearch::Folded(term) | TextSearch::Mixed(term), Some(folded)) => {
                term.is_in(folded)
            }
            (TextSearch::Indexed(term) | TextSearch::Folded(term) | TextSearch::Mixed(term), None) => {
                !self.compares_here() || folded(message.text()).contains(term.text)
            }
        }
    }
}

/// The key of the last of the next `step` messages after the one key, and up to the other, read from the index alone.
/// None: there are fewer.
async fn end_of_step(
    database: &Database,
    selection: &Selection,
    (after, limit): (Option<&Key>, Option<&Key>),
    step: u64,
) -> Result<Option<Key>, Failure> {
    let Selection { sequence, bounds, order, .. } = selection;
    let mut filter = sequence.filter();
    filter.extend(sequence.range(bounds, *order, after, limit));
    let mut options = sequence.options(*order);
    options.skip = Some(step - 1);
    options.limit = Some(1);
    options.projection = Some(sequence.projection());
    let found: Vec<Keyed> = database.select(&database.messages(), filter, options).await?;
    Ok(found.into_iter().next().and_then(|keyed| sequence.key_of(keyed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mongodb_searches_a_short_pattern_and_results_contain_the_whole_text() {
        let long = format!("{}나", "가".repeat(99));
        for (text, start) in [("", ""), ("가.b", "가.b"), ("12345678", "12345678"), (long.as_str(), "가가가가가가가가")]
        {
            let term = SearchTerm::new(text);
            assert_eq!((term.start, term.is_whole()), (start, start == text), "{text}");
        }
        assert_eq!(SearchTerm::new("가.b").filter(), doc! { "folded": { "$regex": "가\\.b" } });
        assert!(!SearchTerm::new(&long).is_in(&"가".repeat(500)));
        assert!(SearchTerm::new(&long).is_in(&format!("{}나", "가".repeat(400))));
    }

    #[test]
    fn a_question_is_about_more_messages_where_the_last_was_quick_and_about_fewer_where_it_was_slow() {
        let mut pace = Pace { step: FIRST_STEP };
        let mut after = |time| {
            pace.took(time);
            pace.step
        };
        assert_eq!([after(QUICK / 2), after(QUICK / 2), after(QUICK)], [8_000, STEP, STEP]);
        assert_eq!([after(2 * SLOW), after(2 * SLOW)], [STEP / 4, STEP / 16]);
        let (mut pace, mut steps) = (Pace { step: FIRST_STEP }, 0);
        while pace.shorten() {
            steps += 1;
        }
        assert_eq!((pace.step, steps), (1, 3));
    }
}
