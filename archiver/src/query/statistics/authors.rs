//! Who wrote when in a stretch. MongoDB reads it from the index `ROOM_AUTHORS` alone, and it is counted here as it
//! arrives: grouping in MongoDB takes longer than reading. Memory grows with the chatters, not with the messages.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foldhash::fast::RandomState;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mongodb::bson::{RawDocument, doc};
use mongodb::options::{FindOptions, Hint};

use super::{AT_ONCE, Stretch};
use crate::mongo::database::Database;
use crate::mongo::failure::Failure;
use crate::mongo::schema::ROOM_AUTHORS;

/// 20,000: the entries in an answer, 0.7 MB. With 1,000, MongoDB takes half as long again.
const BATCH: u32 = 20_000;

/// The authors of a stretch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authors {
    stretch: Stretch,
    bucket_ms: i64,
    /// All buckets, in order.
    pub(super) buckets: Vec<Written>,
    pub(super) users: HashMap<i64, Author, RandomState>,
}

/// What was written in a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) messages: u64,
    pub(super) chatters: u64,
}

/// A user who wrote, and the times of the first and the last message, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Author {
    pub(super) messages: u64,
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
}

/// The authors of the whole stretch.
pub(super) async fn of(database: &Database, stretch: Stretch) -> Result<Authors, Failure> {
    let ms = stretch.to.timestamp_millis().saturating_sub(stretch.from.timestamp_millis());
    of_buckets(database, stretch, ms.max(1)).await
}

/// The authors of the stretch, bucket by bucket.
pub(super) async fn of_buckets(database: &Database, stretch: Stretch, bucket_ms: i64) -> Result<Authors, Failure> {
    let nobody = Authors::new(stretch, bucket_ms);
    let parts = stream::iter(stretch.parts()).map(async |part| {
        let options = FindOptions::builder()
            .hint(Hint::Name(ROOM_AUTHORS.to_owned()))
            .sort(doc! { "sentAt": 1 })
            .projection(doc! { "_id": 0, "sentAt": 1, "userIdx": 1 })
            .batch_size(BATCH)
            .build();
        database.fold(&database.messages(), part.indexed(), options, nobody.clone(), Authors::read).await
    });
    let whole = parts.buffered(AT_ONCE).try_fold(nobody.clone(), async |whole, part| Ok(whole.followed_by(part)));
    whole.await
}

impl Authors {
    fn new(stretch: Stretch, bucket_ms: i64) -> Authors {
        let buckets = usize::try_from(stretch.buckets(bucket_ms)).unwrap_or(usize::MAX);
        Authors { stretch, bucket_ms, buckets: vec![Written::default(); buckets], users: HashMap::default() }
    }

    fn read(&mut self, entry: &RawDocument) {
        if let Ok(sent_at) = entry.get_datetime("sentAt") {
            self.add(entry.get_i64("userIdx").ok(), sent_at.timestamp_millis());
        }
    }

    /// A message that is not earlier than those before. `user` None: another value than a number was put there by hand.
    fn add(&mut self, user: Option<i64>, ms: i64) {
        let number = self.bucket(ms);
        let Some(bucket) = self.buckets.get_mut(number) else { return };
        bucket.messages += 1;
        match user.map(|user| self.users.entry(user)) {
            None => {}
            Some(Entry::Vacant(entry)) => {
                bucket.chatters += 1;
                entry.insert(Author { messages: 1, first_ms: ms, last_ms: ms });
            }
            Some(Entry::Occupied(mut entry)) => {
                let author = entry.get_mut();
                let before = std::mem::replace(&mut author.last_ms, ms);
                author.messages += 1;
                if bucket_of(self.stretch, self.bucket_ms, before) != number {
                    self.buckets[number].chatters += 1;
                }
            }
        }
    }

    /// With the authors of a later part of the stretch.
    fn followed_by(mut self, later: Authors) -> Authors {
        for (bucket, more) in self.buckets.iter_mut().zip(later.buckets) {
            bucket.messages += more.messages;
            bucket.chatters += more.chatters;
        }
        for (user, more) in later.users {
            match self.users.entry(user) {
                Entry::Vacant(entry) => _ = entry.insert(more),
                Entry::Occupied(mut entry) => {
                    let author = entry.get_mut();
                    let number = bucket_of(self.stretch, self.bucket_ms, more.first_ms);
                    // Counted in both parts of the bucket.
                    if bucket_of(self.stretch, self.bucket_ms, author.last_ms) == number {
                        self.buckets[number].chatters -= 1;
                    }
                    author.messages += more.messages;
                    author.last_ms = more.last_ms;
                }
            }
        }
        self
    }

    fn bucket(&self, ms: i64) -> usize {
        bucket_of(self.stretch, self.bucket_ms, ms)
    }
}

/// The number of the bucket of a time. Beyond all buckets for a time before the stretch.
fn bucket_of(stretch: Stretch, bucket_ms: i64, ms: i64) -> usize {
    usize::try_from((ms - stretch.from.timestamp_millis()).div_euclid(bucket_ms)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::tests::stretch;
    use super::*;

    proptest! {
        #[test]
        fn counts_are_those_of_a_recount_in_however_many_parts(
            messages in prop::collection::vec((0..1_000_i64, prop::option::weighted(0.95, 0..12_i64)), 0..200),
            bucket_ms in 1..400_i64,
            cuts in prop::collection::vec(0..1_000_i64, 0..4),
        ) {
            let whole = stretch(0, 1_000);
            let mut messages = messages;
            messages.sort_unstable_by_key(|(ms, _)| *ms);
            let mut cuts = cuts;
            cuts.extend([0, 1_000]);
            cuts.sort_unstable();
            let mut counted = Authors::new(whole, bucket_ms);
            for cut in cuts.windows(2) {
                let mut part = Authors::new(whole, bucket_ms);
                for (ms, user) in messages.iter().filter(|(ms, _)| (cut[0]..cut[1]).contains(ms)) {
                    part.add(*user, *ms);
                }
                counted = counted.followed_by(part);
            }
            for (number, bucket) in (0_i64..).zip(&counted.buckets) {
                let within = messages.iter().filter(|(ms, _)| ms / bucket_ms == number);
                let chatters: BTreeSet<i64> = within.clone().filter_map(|(_, user)| *user).collect();
                let expected = Written { messages: within.count() as u64, chatters: chatters.len() as u64 };
                prop_assert_eq!(*bucket, expected, "bucket {}", number);
            }
            for user in 0..12 {
                let times: Vec<i64> = messages.iter().filter(|(_, by)| *by == Some(user)).map(|(ms, _)| *ms).collect();
                let ends = times.first().zip(times.last());
                let expected = ends.map(|(first, last)| Author {
                    messages: times.len() as u64,
                    first_ms: *first,
                    last_ms: *last,
                });
                prop_assert_eq!(counted.users.get(&user).copied(), expected, "user {}", user);
            }
        }
    }
}
