//! Counts what readers receive: each message once at every reader of its room, in the order of its poster.

use std::collections::HashMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::load::wire::Tag;

/// The deliveries of a run.
pub(super) struct Tally {
    run: u64,
    /// The readers of a room.
    audience: usize,
    /// Of each reader, the number of each poster's last message.
    last: Vec<Vec<u64>>,
    /// Of each message that some of its readers have yet to receive, by poster and number: how many of them.
    left: HashMap<(u64, u64), usize>,
    /// Microseconds from the time at which a post was due to each of its readers.
    pub(super) each: Histogram<u64>,
    /// The same to the last of them.
    pub(super) whole: Histogram<u64>,
    /// Messages that a reader received.
    pub(super) deliveries: u64,
    /// Deliveries that were repeated or out of order.
    pub(super) disorder: u64,
    /// Nanoseconds since the start of the run: when the first post was due, and the latest delivery.
    first_due: u64,
    pub(super) latest: u64,
}

impl Tally {
    pub(super) fn new(run: u64, readers: usize, audience: usize) -> anyhow::Result<Tally> {
        Ok(Tally {
            run,
            audience,
            last: vec![Vec::new(); readers],
            left: HashMap::new(),
            each: Histogram::new(3)?,
            whole: Histogram::new(3)?,
            deliveries: 0,
            disorder: 0,
            first_due: u64::MAX,
            latest: 0,
        })
    }

    /// A reader has received a message, `now` nanoseconds after the start of the run.
    pub(super) fn take(&mut self, reader: usize, tag: Tag, now: u64) -> anyhow::Result<()> {
        if tag.run != self.run {
            return Ok(());
        }
        let (posters, poster) = (&mut self.last[reader], usize::try_from(tag.poster)?);
        if posters.len() <= poster {
            posters.resize(poster + 1, 0);
        }
        let last = &mut posters[poster];
        if tag.number <= *last {
            self.disorder += 1;
            return Ok(());
        }
        *last = tag.number;
        let micros = (now.saturating_sub(tag.due) / 1_000).max(1);
        self.each.record(micros)?;
        self.deliveries += 1;
        self.first_due = self.first_due.min(tag.due);
        self.latest = now;
        let left = self.left.entry((tag.poster, tag.number)).or_insert(self.audience);
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.left.remove(&(tag.poster, tag.number));
            self.whole.record(micros)?;
        }
        Ok(())
    }

    /// The deliveries that so many accepted posts call for.
    pub(super) fn due(&self, posts: u64) -> u64 {
        posts.saturating_mul(self.audience as u64)
    }

    /// Deliveries that were lost, repeated or out of order.
    pub(super) fn wrong(&self, posts: u64) -> u64 {
        self.due(posts).abs_diff(self.deliveries) + self.disorder
    }

    /// Deliveries per second, while posts were due and until the last delivery.
    pub(super) fn rate(&self, load: Duration) -> f64 {
        let took = Duration::from_nanos(self.latest.saturating_sub(self.first_due)).max(load);
        if took.is_zero() { 0.0 } else { self.deliveries as f64 / took.as_secs_f64() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn tag(poster: u64, number: u64, due: u64) -> Tag {
        Tag { run: 7, poster, number, due }
    }

    #[test]
    fn a_message_is_whole_when_its_last_reader_has_it() {
        let mut tally = Tally::new(7, 2, 2).unwrap();
        tally.take(0, tag(3, 1, MS), 2 * MS).unwrap();
        assert_eq!((tally.each.len(), tally.whole.len(), tally.wrong(1)), (1, 0, 1));
        tally.take(1, tag(3, 1, MS), 5 * MS).unwrap();
        assert_eq!((tally.each.len(), tally.whole.len(), tally.wrong(1)), (2, 1, 0));
        assert!(tally.whole.equivalent(tally.whole.max(), 4_000));
        // 2 deliveries within the 4 ms after the post. Or no more messages were due for a second.
        for (load, rate) in [(Duration::ZERO, 500.0), (Duration::from_secs(1), 2.0)] {
            assert!((tally.rate(load) - rate).abs() < 1e-9, "{}", tally.rate(load));
        }
    }

    #[test]
    fn lost_repeated_and_misplaced_deliveries_are_counted() {
        let mut tally = Tally::new(7, 1, 1).unwrap();
        for number in [1, 2, 2, 4, 3] {
            tally.take(0, tag(0, number, 0), MS).unwrap();
        }
        // Of five: 1, 2 and 4 arrived, 2 was repeated, 3 came after 4, and 3 and 5 count as lost.
        assert_eq!((tally.deliveries, tally.disorder, tally.wrong(5)), (3, 2, 4));
    }

    #[test]
    fn messages_of_earlier_runs_do_not_count() {
        let mut tally = Tally::new(7, 1, 1).unwrap();
        tally.take(0, Tag { run: 6, ..tag(0, 1, 0) }, MS).unwrap();
        assert_eq!((tally.deliveries, tally.wrong(0), tally.rate(Duration::ZERO)), (0, 0, 0.0));
    }
}
