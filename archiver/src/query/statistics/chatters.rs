//! The users who wrote most.

use std::cmp::Reverse;
use std::collections::HashMap;

use chat::Role;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::options::{FindOptions, Hint};
use serde::Deserialize;

use super::Stretch;
use super::authors::{self, Author};
use crate::mongo::database::Database;
use crate::mongo::documents::PositionDocument;
use crate::mongo::failure::Failure;
use crate::mongo::schema::USER_TIMES;

/// 100: the users whose names one question asks for.
const NAMES: usize = 100;

/// A user, and how much they wrote.
#[derive(Debug)]
pub(crate) struct Chatter {
    pub(crate) user_idx: i64,
    pub(crate) messages: u64,
    pub(crate) first_at: DateTime,
    pub(crate) last_at: DateTime,
    pub(crate) latest: Known,
}

/// The user as of their latest message.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) nickname: String,
    pub(crate) role: Role,
}

/// The number of users who wrote.
pub(crate) async fn count(database: &Database, stretch: Stretch) -> Result<u64, Failure> {
    Ok(authors::of(database, stretch).await?.users.len() as u64)
}

/// The first chatters by number of messages, then by the user's number.
pub(crate) async fn top(database: &Database, stretch: Stretch, first: usize) -> Result<Vec<Chatter>, Failure> {
    let mut ranked: Vec<(i64, Author)> = authors::of(database, stretch).await?.users.into_iter().collect();
    ranked.sort_unstable_by_key(|(user_idx, author)| (Reverse(author.messages), *user_idx));
    ranked.truncate(first);
    let mut chatters = Vec::new();
    for some in ranked.chunks(NAMES) {
        let mut known = known(database, stretch, some).await?;
        // A chatter whose latest message has just been deleted is left out.
        chatters.extend(some.iter().filter_map(|(user_idx, author)| {
            let latest = known.remove(user_idx)?;
            let [first_at, last_at] = [author.first_ms, author.last_ms].map(DateTime::from_millis);
            Some(Chatter { user_idx: *user_idx, messages: author.messages, first_at, last_at, latest })
        }));
    }
    Ok(chatters)
}

/// The users as of their latest messages, by number.
async fn known(
    database: &Database,
    stretch: Stretch,
    authors: &[(i64, Author)],
) -> Result<HashMap<i64, Known>, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Latest {
        user_idx: i64,
        nickname: String,
        role: Role,
        position: PositionDocument,
    }
    let last = |(user_idx, author): &(i64, Author)| {
        let mut message = stretch.counting();
        message.extend(doc! { "userIdx": user_idx, "sentAt": DateTime::from_millis(author.last_ms) });
        message
    };
    let filter = doc! { "$or": authors.iter().map(last).collect::<Vec<Document>>() };
    let options = FindOptions::builder()
        .hint(Hint::Name(USER_TIMES.to_owned()))
        .projection(doc! { "_id": 0, "userIdx": 1, "nickname": 1, "role": 1, "position": 1 })
        .build();
    let mut found: Vec<Latest> = database.select(&database.messages(), filter, options).await?;
    found.sort_unstable_by_key(|latest| latest.position);
    let known = |Latest { user_idx, nickname, role, .. }| (user_idx, Known { nickname, role });
    Ok(found.into_iter().map(known).collect())
}
