//! Pages of a list of decisions in force, ordered by user: bans, moderators, and warnings. The node knows who is on the list.
//! Author and reason are in the bucket of decisions, and are read for each page.

use chat::{Event, Position, User, UserIdx};
use futures_util::{StreamExt as _, stream};
use nats::{AppendError, Subject};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::extract::{AFTER, FIRST};
use crate::http::openapi::schemas;
use crate::refusal::Refusal;
use crate::sender::Sender;
use crate::state::Ingest;

/// The default number of entries in a response.
const PAGE: usize = 100;

/// 1,000: a response of about 200 KB if reasons are short.
const LARGEST_PAGE: usize = 1_000;

/// 256 KB: a page ends with the entry that exceeds this, even if more were requested. A reason may have about 8 KB.
const LARGEST_ANSWER_BYTES: usize = 256 * 1024;

/// The bytes of an entry in a response without its reason and its author's nickname, with room to spare.
const ITEM_BYTES: usize = 200;

/// 8 entries of a page are read from the bucket concurrently. A page that ends early, because its reasons are long, has
/// read up to 7 of the next page in vain.
pub(super) const READ_AT_ONCE: usize = 8;

/// A page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// The maximum number of entries in the page.
    #[param(minimum = 1, maximum = 1000, default = 100, nullable = false)]
    first: Option<usize>,
    /// The value of `next` from the previous page.
    #[param(inline, value_type = Option<schemas::UserIdx>, nullable = false)]
    after: Option<String>,
}

/// An entry, as the response has it.
pub(super) trait Item {
    /// Who decided it, and why.
    fn words(&self) -> (&User, Option<&str>);
}

/// Some entries of a list.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// The value of `after` for the next page. None: this is the last one.
    pub(super) next: Option<String>,
}

/// Reads a page. `standing` lists the entries after a user, up to a number, as the node knows them. `read` reads one of
/// them whole: none if it is no longer in force.
pub(super) async fn page<S, T: Item, R: Future<Output = (UserIdx, Result<Option<T>, Refusal>)>>(
    ingest: &Ingest,
    sender: &Sender,
    PageQuery { first, after }: PageQuery,
    standing: impl FnOnce(Option<UserIdx>, usize) -> Vec<S>,
    read: impl Fn(S) -> R,
) -> Result<Page<T>, Refusal> {
    let first = first.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&first) {
        return Err(Refusal::QueryInvalid(FIRST.to_owned()));
    }
    let after: Result<Option<UserIdx>, _> = after.map(|after| after.parse()).transpose();
    let after = after.map_err(|_| Refusal::QueryInvalid(AFTER.to_owned()))?;
    let _permit = ingest.lists.take(sender.idx.get()).ok_or(Refusal::Overloaded)?;
    // One more than requested, to know whether there is a next page.
    let standing = standing(after, first + 1);
    let count = standing.len();
    let mut reading = stream::iter(standing.into_iter().take(first).map(read)).buffered(READ_AT_ONCE);
    let (mut items, mut bytes, mut last, mut passed) = (Vec::new(), 0, None, 0);
    while bytes < LARGEST_ANSWER_BYTES
        && let Some((user, item)) = reading.next().await
    {
        (last, passed) = (Some(user), passed + 1);
        // An entry that ended meanwhile is left out.
        if let Some(item) = item? {
            let (by, reason) = item.words();
            bytes += ITEM_BYTES + by.nickname.len() + reason.map_or(0, str::len);
            items.push(item);
        }
    }
    drop(reading);
    let next = last.filter(|_| passed < count).map(|user| user.to_string());
    Ok(Page { items, next })
}

/// The latest decision about the subject with author and reason, which are not in the node's memory.
pub(super) async fn words(ingest: &Ingest, subject: Subject, position: Position) -> Result<Option<Event>, Refusal> {
    ingest.replay.decision_keeper.words(subject, position).await.map_err(|error| {
        tracing::warn!(%error, "cannot read the author and reason of a decision: {error}");
        Refusal::Append(AppendError::Unavailable)
    })
}
