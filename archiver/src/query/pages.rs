//! A page of messages: the next ones of a sequence that match, from a key on. Where few match, a page reads many, and
//! what a request may read is bounded: it comes back with what it found so far and the place to go on from.
//!
//! What is bounded is the time, not the number: how long a text takes to look through is its writer's choice. So
//! MongoDB looks for the beginning of what is sought alone, as its patterns are tried at each character anew, and the rest is
//! compared here, by a search that takes as long as the text is. And how many messages a question is about follows from
//! how long the one before took: each request gets on, whatever stands in the archive.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, deserialize_from_document, doc};
use mongodb::options::{FindOptions, Hint};
use serde::Deserialize;

use super::read_each;
use super::sequence::{Bounds, Key, Keyed, Only, Order, Sequence};
use crate::mongo::database::{Database, Failure};
use crate::mongo::documents::MessageDocument;
use crate::mongo::schema::{ROOM_TEXT, UNFOLDED};
use crate::text_folding::folded;
use crate::write::backfill::unfolded;

/// So many messages are looked at in one question to MongoDB at most, mostly a fraction of a second's work.
const STEP: u64 = 20_000;

/// The first question looks at fewer: mostly they are enough, and the end of so many is found at once.
const FIRST_STEP: u64 = 1_000;

/// After so long a request comes back with what it has.
const BUDGET: Duration = Duration::from_secs(1);

/// After so much of the time that a question may take MongoDB gives it up, and it is asked again about fewer messages: 2 s
/// where nothing else is configured.
const PATIENCE: f64 = 0.2;

/// A question that takes less is followed by one about more, and one that takes more by one about fewer.
const QUICK: Duration = Duration::from_millis(50);
const SLOW: Duration = Duration::from_millis(250);

/// MongoDB looks for so many characters: mostly that is all that is sought, and no text takes it more than 8 steps a
/// character.
const PATTERN_CHARS: usize = 8;

/// So many messages at once are read to be looked at here: 5 MB, where all are as long as a message can be.
const CANDIDATES: usize = 250;

/// Which messages, and in which order.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    pub(crate) sequence: Sequence,
    pub(crate) bounds: Bounds,
    pub(crate) order: Order,
    /// What else they match.
    pub(crate) filter: Document,
    /// What their texts contain, folded.
    pub(crate) text: Option<String>,
}

/// Some of the messages of a selection.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) messages: Vec<MessageDocument>,
    /// Where to go on; none: that was all.
    pub(crate) next: Option<Key>,
}

/// The first so many messages after the key, or fewer and a place to go on from.
pub(crate) async fn page(
    database: &Database,
    selection: &Selection,
    mut after: Option<Key>,
    first: usize,
) -> Result<Page, Failure> {
    let started = Instant::now();
    let Selection { sequence, bounds, order, filter, text } = selection;
    let look = Look::new(database, sequence, text.as_deref()).await?;
    let mut messages: Vec<MessageDocument> = Vec::new();
    let mut pace = Pace { step: FIRST_STEP.max(2 * first as u64) };
    let mut gets_on = false;
    'steps: loop {
        let end = end_of_step(database, selection, after.as_ref(), pace.step).await?;
        let began = Instant::now();
        loop {
            let range = sequence.range(bounds, *order, after.as_ref(), end.as_ref());
            // Several may speak of the same member: all must hold.
            let matching = doc! { "$and": [sequence.filter(), range, filter, look.filter()] };
            let mut options = look.options(sequence, *order);
            // One more tells whether there are more.
            let limit = look.least().max(first - messages.len() + 1);
            options.limit = i64::try_from(limit).ok();
            let all_time = database.request_timeout();
            let patience = if pace.step > 1 { all_time.mul_f64(PATIENCE) } else { all_time };
            let asked = database.select_within(&database.messages(), matching, options, patience).await?;
            let found: Vec<Document> = match asked {
                Some(found) => found,
                None if gets_on && started.elapsed() > BUDGET => return Ok(Page { messages, next: after }),
                None if pace.shorten() => continue 'steps,
                None => return Err(Failure::Unavailable("MongoDB takes too long to look at one message".to_owned())),
            };
            // Also of those that somebody changed by hand: they are left out, and hide nothing of what follows.
            let is_all = found.len() < limit;
            let last = found.last().and_then(|last| deserialize_from_document(last.clone()).ok());
            let last = last.and_then(|last| sequence.key_of(last));
            let found: Vec<MessageDocument> = read_each("chatting_log", found);
            messages.extend(found.into_iter().filter(|message| look.finds(message)));
            if messages.len() > first {
                messages.truncate(first);
                let next = messages.last().map(|message| sequence.key(message));
                return Ok(Page { messages, next });
            }
            if is_all || last.is_none() {
                break;
            }
            // Some of those were only looked at, or left out.
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

/// About how many messages the next question is.
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

    /// Whether there is a shorter step than the one that took too long.
    fn shorten(&mut self) -> bool {
        let is_shorter = self.step > 1;
        self.step = (self.step / 8).max(1);
        is_shorter
    }
}

/// How texts are looked at.
enum Look<'a> {
    /// Not at all.
    Away,
    /// In the index, which has all of the room's.
    Indexed(Sought<'a>),
    /// In the messages.
    Folded(Sought<'a>),
    /// In the messages, of which an earlier version left some that nobody has folded yet: those come all, and are folded
    /// here.
    Mixed(Sought<'a>),
}

/// What texts contain that are found.
#[derive(Debug, Clone, Copy)]
struct Sought<'a> {
    text: &'a str,
    /// What of it MongoDB looks for.
    start: &'a str,
}

impl<'a> Sought<'a> {
    fn new(text: &'a str) -> Sought<'a> {
        let end = text.char_indices().nth(PATTERN_CHARS).map_or(text.len(), |(end, _)| end);
        Sought { text, start: &text[..end] }
    }

    /// Whether MongoDB looks for all of it.
    fn is_whole(&self) -> bool {
        self.start.len() == self.text.len()
    }

    /// Whether it is in a text that contains its start. The library takes as long as both are, and no longer.
    fn is_in(&self, folded: &str) -> bool {
        self.is_whole() || folded.contains(self.text)
    }

    /// What matches the messages that may contain it.
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

impl<'a> Look<'a> {
    async fn new(database: &Database, sequence: &Sequence, text: Option<&'a str>) -> Result<Look<'a>, Failure> {
        #[derive(Deserialize)]
        struct Id {}
        let Some(text) = text else { return Ok(Look::Away) };
        let mut left = unfolded();
        if let Sequence::Room { presenter_idx, .. } = sequence {
            left.insert("presenterIdx", presenter_idx);
        }
        let options =
            FindOptions::builder().hint(Hint::Name(UNFOLDED.to_owned())).projection(doc! { "_id": 1 }).limit(1).build();
        let left: Vec<Id> = database.select(&database.messages(), left, options).await?;
        let sought = Sought::new(text);
        Ok(match sequence {
            _ if !left.is_empty() => Look::Mixed(sought),
            Sequence::Room { only: Only::All, .. } => Look::Indexed(sought),
            _ => Look::Folded(sought),
        })
    }

    fn filter(&self) -> Document {
        match self {
            Look::Away => doc! {},
            Look::Indexed(sought) | Look::Folded(sought) => sought.filter(),
            Look::Mixed(sought) => doc! { "$or": [sought.filter(), unfolded()] },
        }
    }

    fn options(&self, sequence: &Sequence, order: Order) -> FindOptions {
        let mut options = sequence.options(order);
        if let Look::Indexed(_) = self {
            options.hint = Some(Hint::Name(ROOM_TEXT.to_owned()));
        }
        if self.is_here() {
            // Who looks has to see what was folded.
            options.projection = None;
        }
        options
    }

    /// Whether MongoDB gives more than what is sought.
    fn is_here(&self) -> bool {
        match self {
            Look::Away => false,
            Look::Indexed(sought) | Look::Folded(sought) => !sought.is_whole(),
            Look::Mixed(_) => true,
        }
    }

    /// How many messages are read at once where they are looked at here, however few are wanted.
    fn least(&self) -> usize {
        if self.is_here() { CANDIDATES } else { 1 }
    }

    /// Whether a message that MongoDB gave is one that was looked for.
    fn finds(&self, message: &MessageDocument) -> bool {
        match (self, &message.folded) {
            (Look::Away, _) => true,
            (Look::Indexed(sought) | Look::Folded(sought) | Look::Mixed(sought), Some(folded)) => sought.is_in(folded),
            (Look::Indexed(sought) | Look::Folded(sought) | Look::Mixed(sought), None) => {
                !self.is_here() || folded(message.text()).contains(sought.text)
            }
        }
    }
}

/// The key of the last of the next so many messages, read from the index alone; none where there are fewer.
async fn end_of_step(
    database: &Database,
    selection: &Selection,
    after: Option<&Key>,
    step: u64,
) -> Result<Option<Key>, Failure> {
    let Selection { sequence, bounds, order, .. } = selection;
    let mut filter = sequence.filter();
    filter.extend(sequence.range(bounds, *order, after, None));
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
    fn what_mongodb_looks_for_is_short_and_what_is_found_has_all_of_it() {
        let long = format!("{}나", "가".repeat(99));
        for (text, start) in [("", ""), ("가.b", "가.b"), ("12345678", "12345678"), (long.as_str(), "가가가가가가가가")]
        {
            let sought = Sought::new(text);
            assert_eq!((sought.start, sought.is_whole()), (start, start == text), "{text}");
        }
        assert_eq!(Sought::new("가.b").filter(), doc! { "folded": { "$regex": "가\\.b" } });
        assert!(!Sought::new(&long).is_in(&"가".repeat(500)));
        assert!(Sought::new(&long).is_in(&format!("{}나", "가".repeat(400))));
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
