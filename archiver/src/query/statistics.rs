//! Statistics of a stretch of a room, aggregated by MongoDB: numbers leave it, messages do not. They are exact, and
//! deleted messages do not count.

use mongodb::bson::{DateTime, Document, doc};

pub(crate) mod buckets;
pub(crate) mod chatters;
pub(crate) mod highlights;
pub(crate) mod words;

/// A stretch of a room: a time span, the end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) presenter_idx: i64,
    pub(crate) from: DateTime,
    pub(crate) to: DateTime,
}

impl Stretch {
    /// Matches the messages that count. The index `ROOM_TIMES` finds them.
    fn filter(self) -> Document {
        let mut filter = self.counting();
        filter.insert("sentAt", doc! { "$gte": self.from, "$lt": self.to });
        filter
    }

    /// Matches the room's messages that count, of any time.
    fn counting(self) -> Document {
        doc! { "presenterIdx": self.presenter_idx, "deleted": { "$exists": false } }
    }

    /// The number of buckets. The last one may be shorter.
    pub(crate) fn buckets(self, bucket_ms: i64) -> u64 {
        let ms = self.to.timestamp_millis().saturating_sub(self.from.timestamp_millis());
        u64::try_from(ms).unwrap_or(0).div_ceil(bucket_ms.unsigned_abs().max(1))
    }

    /// The bucket of a time: the milliseconds from the start of the stretch to the start of the bucket.
    fn bucket(self, time: &str, bucket_ms: i64) -> Document {
        let since = doc! { "$subtract": [time, self.from] };
        doc! { "$subtract": [since.clone(), { "$mod": [since, bucket_ms] }] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bucket_may_be_cut_short() {
        let buckets = |ms: i64| {
            let (from, to) = (DateTime::from_millis(500), DateTime::from_millis(500 + ms));
            Stretch { presenter_idx: 1, from, to }.buckets(1_000)
        };
        assert_eq!([-1, 0, 1, 999, 1_000, 1_001, 2_000].map(buckets), [0, 0, 1, 1, 1, 2, 2]);
    }
}
