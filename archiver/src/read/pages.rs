//! A page of messages: the next ones of a sequence that match, from a key on. Where few match, a page reads many, and
//! what a request may read is bounded: it comes back with what it found so far and the place to go on from.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, deserialize_from_document, doc};
use mongodb::options::{FindOptions, Hint};
use serde::Deserialize;

use super::read_each;
use super::sequence::{Bounds, Key, Keyed, Only, Order, Sequence};
use crate::backfill::unfolded;
use crate::database::{Database, Failure};
use crate::documents::MessageDocument;
use crate::folded::folded;
use crate::schema::{ROOM_TEXT, UNFOLDED};

/// So many messages are looked at in one question to MongoDB, a fraction of a second's work.
const STEP: u64 = 20_000;

/// The first question looks at fewer: mostly they are enough, and the end of so many is found at once.
const FIRST_STEP: u64 = 1_000;

/// After so long a request comes back with what it has.
const BUDGET: Duration = Duration::from_secs(1);

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
    let mut step = FIRST_STEP.max(2 * first as u64);
    loop {
        let end = end_of_step(database, selection, after.as_ref(), step).await?;
        loop {
            let range = sequence.range(bounds, *order, after.as_ref(), end.as_ref());
            // Several may speak of the same member: all must hold.
            let matching = doc! { "$and": [sequence.filter(), range, filter, look.filter()] };
            let mut options = look.options(sequence, *order);
            // One more tells whether there are more.
            let limit = look.least().max(first - messages.len() + 1);
            options.limit = i64::try_from(limit).ok();
            let found: Vec<Document> = database.select(&database.messages(), matching, options).await?;
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
            after = last;
            if started.elapsed() > BUDGET {
                return Ok(Page { messages, next: after });
            }
        }
        after = match end {
            None => return Ok(Page { messages, next: None }),
            Some(end) if started.elapsed() > BUDGET => return Ok(Page { messages, next: Some(end) }),
            end => end,
        };
        step = STEP;
    }
}

/// How texts are looked at.
enum Look<'a> {
    /// Not at all.
    Away,
    /// In the index, which has all of the room's.
    Indexed(&'a str),
    /// In the messages.
    Folded(&'a str),
    /// In the messages, of which an earlier version left some that nobody has folded yet: those come all, and are folded
    /// here.
    Mixed(&'a str),
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
        Ok(match sequence {
            _ if !left.is_empty() => Look::Mixed(text),
            Sequence::Room { only: Only::All, .. } => Look::Indexed(text),
            _ => Look::Folded(text),
        })
    }

    fn filter(&self) -> Document {
        match self {
            Look::Away => doc! {},
            Look::Indexed(text) | Look::Folded(text) => containing(text),
            Look::Mixed(text) => doc! { "$or": [containing(text), unfolded()] },
        }
    }

    fn options(&self, sequence: &Sequence, order: Order) -> FindOptions {
        let mut options = sequence.options(order);
        match self {
            Look::Indexed(_) => options.hint = Some(Hint::Name(ROOM_TEXT.to_owned())),
            // Who looks has to see what was folded.
            Look::Mixed(_) => options.projection = None,
            Look::Away | Look::Folded(_) => {}
        }
        options
    }

    /// How many messages are read at once where they are looked at here, however few are wanted.
    fn least(&self) -> usize {
        match self {
            Look::Mixed(_) => 1_000,
            Look::Away | Look::Indexed(_) | Look::Folded(_) => 1,
        }
    }

    /// Whether a message that MongoDB gave is one that was looked for.
    fn finds(&self, message: &MessageDocument) -> bool {
        match self {
            Look::Mixed(text) if message.folded.is_none() => folded(message.text()).contains(text),
            _ => true,
        }
    }
}

/// What matches the messages whose folded text contains that one.
fn containing(text: &str) -> Document {
    let mut pattern = String::new();
    for char in text.chars() {
        if char.is_ascii_punctuation() {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    doc! { "folded": { "$regex": pattern } }
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
