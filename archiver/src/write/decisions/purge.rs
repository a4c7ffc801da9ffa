//! Bans that purge: such a ban deletes the user's messages of the last minutes before it. An erased user's messages and
//! bans have pseudonyms, which may differ. They belong together for as long as the erasures tell.

use std::collections::BTreeSet;

use mongodb::bson::{Document, doc};

use super::MessagePlace;
use crate::mongo::database::Database;
use crate::mongo::documents::{DecisionDocument, ErasureDocument};
use crate::mongo::failure::Failure;

/// The type of the decision.
pub(super) const BANNED: &str = "user.banned";

/// Matches the messages that the ban purges, at any position. None: it purges nothing.
pub(super) async fn about(database: &Database, ban: &DecisionDocument) -> Result<Option<Document>, Failure> {
    let (Some(since), Some(user), Some(room)) = (ban.purge_from, ban.user_idx, ban.presenter_idx) else {
        return Ok(None);
    };
    let numbers = numbers(database, [user].into()).await?;
    Ok(Some(doc! { "presenterIdx": room, "userIdx": { "$in": numbers }, "sentAt": { "$gte": since } }))
}

/// Matches the bans that may purge one of the messages.
pub(super) async fn candidates(database: &Database, messages: &[&MessagePlace]) -> Result<Document, Failure> {
    let authors: BTreeSet<i64> = messages.iter().map(|message| message.user_idx).collect();
    let is_any_erased = authors.iter().any(|author| *author < 0);
    let authors = if is_any_erased { numbers(database, authors).await? } else { authors.into_iter().collect() };
    // The user of a ban may have been erased after the ban and before the message was archived.
    let theirs = doc! { "$or": [{ "userIdx": { "$in": authors } }, { "userIdx": { "$lt": 0_i64 } }] };
    Ok(doc! { "$and": [{ "type": BANNED, "purgeFrom": { "$exists": true } }, theirs] })
}

/// Matches the messages that the ban does not purge, although it is about their author. None: it purges nothing.
pub(super) fn stale(ban: &DecisionDocument) -> Option<Document> {
    let since = ban.purge_from?;
    Some(doc! { "sentAt": { "$lt": since } })
}

/// The numbers and pseudonyms of the same users.
pub(super) async fn numbers(database: &Database, mut numbers: BTreeSet<i64>) -> Result<Vec<i64>, Failure> {
    let known: Vec<i64> = numbers.iter().copied().collect();
    let theirs = doc! { "$or": [{ "userIdx": { "$in": &known } }, { "pseudonym": { "$in": &known } }] };
    let erasures: Vec<ErasureDocument> = database.find(&database.erasures(), theirs, 0).await?;
    let users: Vec<i64> = erasures.iter().map(|erasure| erasure.user_idx).collect();
    if !users.is_empty() {
        let of_users: Vec<ErasureDocument> =
            database.find(&database.erasures(), doc! { "userIdx": { "$in": users } }, 0).await?;
        numbers.extend(of_users.iter().flat_map(|erasure| [erasure.user_idx, erasure.pseudonym]));
    }
    Ok(numbers.into_iter().collect())
}
