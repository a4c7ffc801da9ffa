//! A page of messages: the next ones of a sequence that match, from a key on. Where few match, a page reads many, and
//! what a request may read is bounded: it comes back with what it found so far and the place to go on from.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};

use super::sequence::{Bounds, Key, Keyed, Order, Sequence};
use crate::database::{Database, Failure};
use crate::documents::MessageDocument;

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
    let Selection { sequence, bounds, order, filter } = selection;
    let mut messages: Vec<MessageDocument> = Vec::new();
    let mut step = FIRST_STEP.max(2 * first as u64);
    loop {
        let end = end_of_step(database, selection, after.as_ref(), step).await?;
        let range = sequence.range(bounds, *order, after.as_ref(), end.as_ref());
        // Several may speak of the same member: all must hold.
        let matching = doc! { "$and": [sequence.filter(), range, filter] };
        let mut options = sequence.options(*order);
        // One more tells whether there are more.
        options.limit = Some((first - messages.len()) as i64 + 1);
        messages.extend(database.select::<MessageDocument, _>(&database.messages(), matching, options).await?);
        if messages.len() > first {
            messages.truncate(first);
            let next = messages.last().map(|message| sequence.key(message));
            return Ok(Page { messages, next });
        }
        after = match end {
            None => return Ok(Page { messages, next: None }),
            Some(end) if started.elapsed() > BUDGET => return Ok(Page { messages, next: Some(end) }),
            end => end,
        };
        step = STEP;
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
