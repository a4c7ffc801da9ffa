//! Whether the log still is the one that was seen before. A log that lost its end, or is older than what others kept of it,
//! gets a new epoch from there on, recorded for everybody; whoever holds positions of the lost part begins anew.

use std::sync::Arc;

use async_nats::jetstream::stream::{self, Stream};
use jiff::Timestamp;
use tokio::time::{Duration, Instant, sleep};

use crate::epoch::memory::{Memory, divergence, went_back};
use crate::epoch::timeline::Place;
use crate::error::Error;
use crate::jetstream::request;
use crate::log::Inner;
use crate::partition;
use crate::setup;
use crate::setup::timeline;
use chat::Position;

/// A stream that the server has not known for so long was deleted, and one that has gone back for so long has lost its
/// end: one that starts or elects a leader knows better by then.
pub(crate) const GONE_AFTER: Duration = Duration::from_secs(5);

/// The leader of a stream hears of each other member every second, and they elect another only after four seconds in
/// which they heard nothing: whom it heard of within this time follows nobody else.
const SEEN_WITHIN: Duration = Duration::from_secs(3);

/// Before a question is asked again.
const PAUSE: Duration = Duration::from_millis(250);

pub(crate) const TIMELINE_CHANGED: &str = "its creation time or its timeline has changed";

/// What a stream says of itself against what is known.
pub(crate) enum Verdict {
    /// It is the same.
    Same,
    /// A member of a cluster says that the stream went back. The others may know better.
    Doubtful(String),
    /// It is another one, or lost its end.
    Lost(String),
}

/// Since when a stream contradicts what was seen of it.
#[derive(Debug, Default)]
pub(crate) struct Doubt(Option<Instant>);

impl Doubt {
    /// Believes a contradiction at once of a stream that one server keeps. A member of a cluster that was cut off goes on for
    /// seconds as the leader that it was, and one that was paused for a moment: it is believed after a while, and only if
    /// most members stand behind it.
    pub(crate) fn judge(&mut self, info: &stream::Info, contradiction: Option<String>) -> Verdict {
        let Some(reason) = contradiction else {
            self.0 = None;
            return Verdict::Same;
        };
        if info.config.num_replicas <= 1 {
            return Verdict::Lost(reason);
        }
        let since = *self.0.get_or_insert_with(Instant::now);
        if is_of_most(info) && since.elapsed() > GONE_AFTER { Verdict::Lost(reason) } else { Verdict::Doubtful(reason) }
    }
}

/// Whether most members stand behind what this one says. One that is cut off goes on for seconds as the leader that it
/// was, and knows less than the others do meanwhile.
fn is_of_most(info: &stream::Info) -> bool {
    let Some(cluster) = &info.cluster else { return true };
    let seen = cluster.replicas.iter().filter(|peer| !peer.offline && peer.active < SEEN_WITHIN).count();
    // With itself.
    2 * (seen + 1) > cluster.replicas.len() + 1
}

/// The partition's stream, once it is certain that it is the one that was seen before.
pub(crate) async fn same_stream(log: &Inner, partition: u32) -> Result<Stream, Error> {
    let (name, memory) = (partition::stream(partition), &log.memories[partition as usize]);
    let mut doubt = Doubt::default();
    loop {
        // Before the stream is asked: what is acknowledged meanwhile may be missing from its answer.
        let seen = memory.last();
        let stream = request("asking for a stream of the log", log.context.get_stream(&name)).await?;
        let info = stream.cached_info();
        if timeline(info) != *log.timelines.get(partition) {
            return Err(Error::Replaced { stream: name, reason: TIMELINE_CHANGED.to_owned() });
        }
        let contradiction = match went_back(info, seen) {
            Some(reason) => Some(reason),
            None => memory.contradiction(&stream, info).await?,
        };
        match doubt.judge(info, contradiction) {
            Verdict::Same => return Ok(stream),
            Verdict::Doubtful(_) => sleep(PAUSE).await,
            Verdict::Lost(reason) => return Err(record_loss(log, partition, reason, None).await),
        }
    }
}

/// Records that the partition has lost its end, at the latest with the message of that sequence if one is given. The log
/// has failed then, as the answer says. It insists: with this process the memory goes of what was lost.
pub(crate) async fn record_loss(log: &Inner, partition: u32, reason: String, at_most: Option<u64>) -> Error {
    let stream = partition::stream(partition);
    while let Err(error) = try_record_loss(log, partition, at_most).await {
        tracing::error!(stream, reason, %error, "the log lost its end, and that is not recorded yet: {error}");
        if log.stop.run_until_cancelled(sleep(PAUSE)).await.is_none() {
            break;
        }
    }
    log.fail(Error::Replaced { stream: stream.clone(), reason: reason.clone() });
    Error::Replaced { stream, reason }
}

async fn try_record_loss(log: &Inner, partition: u32, at_most: Option<u64>) -> Result<(), Error> {
    let name = partition::stream(partition);
    let stream = request("asking for a stream of the log", log.context.get_stream(&name)).await?;
    let (info, known) = (stream.cached_info(), log.timelines.get(partition));
    // A stream that was made anew has an epoch of its own.
    if timeline(info) != *known {
        return Ok(());
    }
    let first = divergence(&stream, info, &log.memories[partition as usize].samples()).await?;
    let first = at_most.map_or(first, |at_most| first.min(at_most));
    setup::fork(&log.context, partition, known, first, new_epoch(log)).await?;
    Ok(())
}

/// Later than any other epoch of this log.
fn new_epoch(log: &Inner) -> u64 {
    let now = u64::try_from(log.clocks[0].now().as_nanosecond()).unwrap_or(0);
    let last = log.timelines.epochs().max().expect("a log has at least one partition");
    now.max(last + 1)
}

/// As [`crate::Log::confirm`].
pub(crate) async fn confirm(log: &Arc<Inner>, kept: impl IntoIterator<Item = (u32, Position)>) -> Result<(), Error> {
    let mut furthest: Vec<Option<Position>> = vec![None; log.memories.len()];
    for (partition, position) in kept {
        let timeline = log.timelines.get(partition);
        let is_ahead = match timeline.place(position) {
            Place::Here(_) => true,
            Place::Lost(_) => false,
            // Of another log: one that came after this one means that this one was brought back.
            Place::Elsewhere => position.epoch > timeline.epoch(),
        };
        let furthest = &mut furthest[partition as usize];
        if is_ahead {
            *furthest = position.max(furthest.unwrap_or(position)).into();
        }
    }
    for (partition, position) in (0..).zip(furthest) {
        if let Some(position) = position {
            confirm_one(log, partition, position).await?;
        }
    }
    Ok(())
}

async fn confirm_one(log: &Inner, partition: u32, kept: Position) -> Result<(), Error> {
    let name = partition::stream(partition);
    let mut doubt = Doubt::default();
    loop {
        let stream = request("asking for a stream of the log", log.context.get_stream(&name)).await?;
        let info = stream.cached_info();
        let (last, epoch) = (info.state.last_sequence, timeline(info).epoch());
        let contradiction = if kept.epoch > epoch {
            Some(format!("position {kept} is of a later log"))
        } else if kept.epoch == epoch && kept.sequence > last {
            Some(format!("it went back from sequence {} to {last}", kept.sequence))
        } else {
            None
        };
        match doubt.judge(info, contradiction) {
            Verdict::Same => return Ok(()),
            Verdict::Doubtful(_) => sleep(PAUSE).await,
            Verdict::Lost(reason) => {
                let epoch = new_epoch(log).max(kept.epoch + 1);
                setup::fork(&log.context, partition, log.timelines.get(partition), last + 1, epoch).await?;
                return Err(Error::Replaced { stream: name, reason });
            }
        }
    }
}

/// What was seen of a partition, for somebody who keeps it where the log is not: a process that begins with it notices that
/// the log went back while nobody looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The partition.
    pub partition: u32,
    /// Its epoch then.
    pub epoch: u64,
    /// Sequences, with when their messages were stored; in the order of the log.
    pub samples: Vec<(u64, Timestamp)>,
}

/// As [`crate::Log::marks`].
pub(crate) fn marks(log: &Inner) -> Vec<Mark> {
    let of = |(partition, memory): (u32, &Arc<Memory>)| {
        let (epoch, samples) = (log.timelines.get(partition).epoch(), memory.few_samples());
        (!samples.is_empty()).then_some(Mark { partition, epoch, samples })
    };
    (0..).zip(&log.memories).filter_map(of).collect()
}

/// As [`crate::Log::compare`].
pub(crate) async fn compare(log: &Inner, mark: &Mark) -> Result<(), Error> {
    let Some(known) = log.timelines.iter().nth(mark.partition as usize) else { return Ok(()) };
    // An earlier log, or a part of this one that is known to be lost.
    if mark.epoch < known.epoch() {
        return Ok(());
    }
    let memory = Memory::default();
    let is_of_this_log = mark.epoch == known.epoch();
    for (sequence, stored) in mark.samples.iter().filter(|_| is_of_this_log) {
        // They are in the order of the log, so that none comes twice.
        let _ = memory.see(*sequence, *stored);
    }
    let name = partition::stream(mark.partition);
    let mut doubt = Doubt::default();
    loop {
        let stream = request("asking for a stream of the log", log.context.get_stream(&name)).await?;
        let info = stream.cached_info();
        let contradiction = match went_back(info, memory.last()) {
            _ if !is_of_this_log => Some(format!("epoch {:x} is of a later log", mark.epoch)),
            Some(reason) => Some(reason),
            None => memory.contradiction(&stream, info).await?,
        };
        match doubt.judge(info, contradiction) {
            Verdict::Same => {
                // From now on it is what this process has seen, too.
                let known = &log.memories[mark.partition as usize];
                let _ = mark.samples.iter().all(|(sequence, stored)| known.see(*sequence, *stored));
                return Ok(());
            }
            Verdict::Doubtful(_) => sleep(PAUSE).await,
            Verdict::Lost(reason) => {
                let first = divergence(&stream, info, &mark.samples).await?;
                let epoch = new_epoch(log).max(mark.epoch + 1);
                setup::fork(&log.context, mark.partition, known, first, epoch).await?;
                return Err(Error::Replaced { stream: name, reason });
            }
        }
    }
}

/// As [`crate::Log::begin_epoch`].
pub(crate) async fn begin_epoch(log: &Inner) -> Result<Vec<(u64, u64)>, Error> {
    let epoch = new_epoch(log);
    let mut begun = Vec::new();
    for (partition, known) in (0..).zip(log.timelines.iter()) {
        let info = setup::find(&log.context, &partition::stream(partition)).await?;
        let last = info.map_or(0, |info| info.state.last_sequence);
        let forked = setup::fork(&log.context, partition, known, last + 1, epoch).await?;
        begun.push((last, forked.epoch()));
    }
    Ok(begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(replicas: usize, peers: serde_json::Value) -> stream::Info {
        let info = serde_json::json!({
            "config": { "name": "CHAT_0", "retention": "limits", "max_consumers": -1, "max_msgs": -1, "max_bytes": -1,
                "max_age": 0, "max_msgs_per_subject": -1, "storage": "file", "discard": "new", "num_replicas": replicas },
            "created": "2026-11-22T12:00:00Z",
            "state": { "messages": 1, "bytes": 0, "consumer_count": 1, "first_seq": 1, "last_seq": 1,
                "first_ts": "2026-11-22T12:00:00Z", "last_ts": "2026-11-22T12:34:56Z" },
            // A server on its own says this too.
            "cluster": { "leader": "nats-0", "replicas": peers },
        });
        serde_json::from_value(info).unwrap()
    }

    #[test]
    fn a_member_that_has_not_heard_of_most_others_lately_speaks_for_itself_only() {
        let peer = |seconds: f64, offline: bool| {
            let active = (seconds * 1e9) as u64;
            serde_json::json!({ "name": "nats-1", "current": true, "active": active, "offline": offline })
        };
        for (peers, expected) in [
            (vec![], true),
            (vec![peer(0.4, false), peer(0.9, false)], true),
            (vec![peer(0.4, false), peer(60.0, true)], true),
            (vec![peer(3.1, false), peer(4.0, false)], false),
            (vec![peer(0.1, true), peer(0.1, true)], false),
            (vec![peer(0.4, false), peer(9.0, false), peer(9.0, false), peer(9.0, false)], false),
            (vec![peer(0.4, false), peer(0.4, false), peer(9.0, false), peer(9.0, false)], true),
            // Half of four are not most.
            (vec![peer(0.4, false), peer(9.0, false), peer(9.0, false)], false),
        ] {
            assert_eq!(is_of_most(&info(3, peers.clone().into())), expected, "{peers:?}");
        }
    }

    #[test]
    fn a_server_on_its_own_is_believed_at_once_and_a_member_of_a_cluster_after_a_while() {
        let reason = || Some("it went back".to_owned());
        let mut doubt = Doubt::default();
        let alone = info(1, serde_json::json!([]));
        assert!(matches!(doubt.judge(&alone, None), Verdict::Same));
        assert!(matches!(doubt.judge(&alone, reason()), Verdict::Lost(_)));
        let member = info(3, serde_json::json!([]));
        assert!(matches!(doubt.judge(&member, reason()), Verdict::Doubtful(_)));
        doubt.0 = Some(Instant::now() - GONE_AFTER - PAUSE);
        assert!(matches!(doubt.judge(&member, reason()), Verdict::Lost(_)));
        assert!(matches!(doubt.judge(&member, None), Verdict::Same));
        assert!(matches!(doubt.judge(&member, reason()), Verdict::Doubtful(_)), "it begins anew");
    }
}
