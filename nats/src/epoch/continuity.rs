//! Continuity: whether the log still is the one that this process, or another, has seen. A log that lost its end, or
//! that is older than a saved position, gets a new epoch from that point on, recorded for all nodes. Nodes with
//! positions of the lost part start over.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use chat::Position;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout};

use crate::context::Context;
use crate::epoch::doubt::{Doubt, Verdict};
use crate::epoch::evidence::Evidence;
use crate::epoch::memory::{self, Memory, divergence, first_difference, went_back};
use crate::epoch::timeline::{Standing, TIMELINE, TIMELINE_CHANGED, Timeline};
use crate::error::Error;
use crate::jetstream::{find_stream, request};
use crate::partition;

/// The pause before the next question to a stream in doubt.
const PAUSE: Duration = Duration::from_millis(250);

/// How long the process that noticed a loss first has to record it. It takes about a second, unless the log is in
/// trouble.
const RECORDED_WITHIN: Duration = Duration::from_secs(10);

/// How long a process that ends because of a loss tries to amend its record. Others may have started already.
const AMENDED_WITHIN: Duration = Duration::from_secs(3);

/// The partition's stream, once it is certain that this process has seen this same stream before.
pub(crate) async fn same_stream(context: &Context, partition: u32) -> Result<Stream, Error> {
    let (name, memory) = (partition::stream(partition), &context.memories[partition as usize]);
    let mut doubt = Doubt::default();
    loop {
        // Read before the request: the answer may lack what is acknowledged meanwhile.
        let seen = memory.last();
        let stream = request("asking for a stream of the log", context.jetstream.get_stream(&name)).await?;
        let info = stream.cached_info();
        if Timeline::of(info) != *context.timelines.get(partition) {
            return Err(Error::Replaced { stream: name, reason: TIMELINE_CHANGED.to_owned() });
        }
        let contradiction = match went_back(info, seen) {
            Some(reason) => Some(reason),
            None => memory.contradiction(&stream, info).await?,
        };
        match doubt.judge(info, contradiction) {
            Verdict::Same => return Ok(stream),
            Verdict::Doubtful(_) => sleep(PAUSE).await,
            Verdict::Lost(reason) => record_doubted_loss(context, partition, reason).await?,
        }
    }
}

/// Looks at each partition for the first time: see [`memory::first_look`].
pub(crate) async fn first_look(context: &Context) -> Result<(), Error> {
    let look = async |partition: u32, memory: &Memory| {
        let asking = context.jetstream.get_stream(partition::stream(partition));
        let stream = request("asking for a stream of the log", asking).await?;
        memory::first_look(memory, &stream).await
    };
    try_join_all((0..).zip(&context.memories).map(|(partition, memory)| look(partition, memory))).await.map(|_| ())
}

/// Fails the log, in which a batch contradicts the timeline. The batch's writer remembers where the loss begins, and
/// records the new epoch; usually it has done so. If nobody does, this process records that the loss begins with the
/// batch.
pub(crate) async fn accept_evidence(context: &Context, partition: u32, evidence: Evidence) -> Error {
    let (stream, until) = (partition::stream(partition), Instant::now() + RECORDED_WITHIN);
    loop {
        // Without an answer the loss could not be recorded either.
        if let Ok(Some(info)) = find_stream(&context.jetstream, &stream).await
            && Timeline::of(&info) != *context.timelines.get(partition)
        {
            return lost(context, stream, TIMELINE_CHANGED.to_owned());
        }
        if Instant::now() > until {
            return record_loss(context, partition, evidence.reason, Some(evidence.at_most)).await;
        }
        if context.tasks.stop().run_until_cancelled(sleep(PAUSE)).await.is_none() {
            return Error::Closed;
        }
    }
}

/// Records that the partition has lost its end, and fails the log with the returned error. If `at_most` is given, the
/// loss begins at its sequence or earlier, and the new epoch is later than its epoch.
pub(crate) async fn record_loss(context: &Context, partition: u32, reason: String, at_most: Option<Position>) -> Error {
    let stream = partition::stream(partition);
    while let Err(error) = try_record_loss(context, partition, at_most).await {
        if !pause(context, &stream, &reason, &error).await {
            break;
        }
    }
    lost(context, stream, reason)
}

/// As [`record_loss`], for a loss that the stream's own account shows. Ok: nothing is lost. A cluster that elects
/// leaders may have given an old account for longer than expected, and has what was seen by the time the loss can be
/// recorded.
pub(crate) async fn record_doubted_loss(context: &Context, partition: u32, reason: String) -> Result<(), Error> {
    let stream = partition::stream(partition);
    loop {
        let recorded = match is_whole(context, partition).await {
            Ok(true) => {
                tracing::warn!(stream, reason, "the log seemed to have lost its end, and has not");
                return Ok(());
            }
            Ok(false) => try_record_loss(context, partition, None).await,
            Err(error) => Err(error),
        };
        match recorded {
            Ok(()) => break,
            Err(error) if pause(context, &stream, &reason, &error).await => {}
            Err(_) => break,
        }
    }
    Err(lost(context, stream, reason))
}

/// Waits before the next attempt: only this process remembers what was lost. False: the log is closed.
async fn pause(context: &Context, stream: &str, reason: &str, error: &Error) -> bool {
    tracing::error!(stream, reason, %error, "the log lost its end, which is not recorded yet: {error}");
    context.tasks.stop().run_until_cancelled(sleep(PAUSE)).await.is_some()
}

fn lost(context: &Context, stream: String, reason: String) -> Error {
    context.fail(Error::Replaced { stream: stream.clone(), reason: reason.clone() });
    Error::Replaced { stream, reason }
}

/// Whether a replicated stream has the last message that this process knows of. One server alone cannot give an old
/// account.
async fn is_whole(context: &Context, partition: u32) -> Result<bool, Error> {
    let asking = context.jetstream.get_stream(partition::stream(partition));
    let stream = request("asking for a stream of the log", asking).await?;
    let info = stream.cached_info();
    Ok(info.config.num_replicas > 1 && context.memories[partition as usize].is_confirmed_by(&stream, info).await?)
}

async fn try_record_loss(context: &Context, partition: u32, at_most: Option<Position>) -> Result<(), Error> {
    let name = partition::stream(partition);
    let stream = request("asking for a stream of the log", context.jetstream.get_stream(&name)).await?;
    let (info, known) = (stream.cached_info(), context.timelines.get(partition));
    // A recreated stream has its own epoch.
    if Timeline::of(info) != *known {
        return Ok(());
    }
    let first = divergence(&stream, info, &context.memories[partition as usize].samples()).await?;
    let first = at_most.map_or(first, |at_most| first.min(at_most.sequence));
    let epoch = at_most.map_or(0, |at_most| at_most.epoch.saturating_add(1));
    fork(context, partition, known, first, new_epoch(context).max(epoch)).await?;
    Ok(())
}

/// An epoch later than every other epoch of this log.
fn new_epoch(context: &Context) -> u64 {
    let now = u64::try_from(context.clocks[0].now().as_nanosecond()).unwrap_or(0);
    let last = context.timelines.epochs().max().expect("a log has at least one partition");
    now.max(last + 1)
}

/// Once the log has failed because it was replaced: compares what this process remembers with what is recorded. A log
/// may have lost its end twice before anybody noticed. A process that started in between records the second loss, and
/// cannot know that the first one goes further back.
pub(crate) async fn amend(context: &Context) {
    if !context.is_replaced() {
        return;
    }
    let amending = context.amended.get_or_init(async || {
        for partition in 0..context.config.partitions {
            if let Err(error) = amend_one(context, partition).await {
                let stream = partition::stream(partition);
                tracing::warn!(stream, %error, "cannot compare a recorded loss with what was seen: {error}");
            }
        }
    });
    // Without an answer the recorded loss stands.
    let _ = timeout(AMENDED_WITHIN, amending).await;
}

async fn amend_one(context: &Context, partition: u32) -> Result<(), Error> {
    let asking = context.jetstream.get_stream(partition::stream(partition));
    let stream = request("asking for a stream of the log", asking).await?;
    let (info, known) = (stream.cached_info(), context.timelines.get(partition));
    let recorded = Timeline::of(info);
    // A recreated stream has its own epoch, and nothing of what was seen.
    let Some(first) = recorded.forked_at(known) else { return Ok(()) };
    let samples = context.memories[partition as usize].samples();
    let before = samples.partition_point(|(sequence, _)| *sequence < first);
    let Some(earlier) = first_difference(&stream, info, &samples[..before]).await? else { return Ok(()) };
    fork(context, partition, &recorded, earlier, new_epoch(context)).await.map(|_| ())
}

/// See [`crate::Log::confirm`].
pub(crate) async fn confirm(
    context: &Arc<Context>,
    kept: impl IntoIterator<Item = (u32, Position)>,
) -> Result<(), Error> {
    let mut furthest: Vec<Option<Position>> = vec![None; context.memories.len()];
    for (partition, position) in kept {
        let timeline = context.timelines.get(partition);
        let is_ahead = match timeline.standing(position) {
            Standing::Here(_) => true,
            Standing::Lost(_) => false,
            // A position of a later log means that this log was restored.
            Standing::Elsewhere => position.epoch > timeline.epoch(),
        };
        let furthest = &mut furthest[partition as usize];
        if is_ahead {
            *furthest = position.max(furthest.unwrap_or(position)).into();
        }
    }
    for (partition, position) in (0..).zip(furthest) {
        if let Some(position) = position {
            confirm_one(context, partition, position).await?;
        }
    }
    Ok(())
}

async fn confirm_one(context: &Context, partition: u32, kept: Position) -> Result<(), Error> {
    let name = partition::stream(partition);
    let mut doubt = Doubt::default();
    loop {
        let stream = request("asking for a stream of the log", context.jetstream.get_stream(&name)).await?;
        let info = stream.cached_info();
        let (last, epoch) = (info.state.last_sequence, Timeline::of(info).epoch());
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
                let epoch = new_epoch(context).max(kept.epoch + 1);
                fork(context, partition, context.timelines.get(partition), last + 1, epoch).await?;
                return Err(Error::Replaced { stream: name, reason });
            }
        }
    }
}

/// What this process has seen of a partition, to be saved outside NATS. A later process that starts with it detects
/// that the log went back while no process watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The partition.
    pub partition: u32,
    /// Its epoch at that time.
    pub epoch: u64,
    /// Sequences with the times at which their messages were stored, in log order.
    pub samples: Vec<(u64, Timestamp)>,
}

/// See [`crate::Log::marks`].
pub(crate) fn marks(context: &Context) -> Vec<Mark> {
    let of = |(partition, memory): (u32, &Arc<Memory>)| {
        let (epoch, samples) = (context.timelines.get(partition).epoch(), memory.few_samples());
        (!samples.is_empty()).then_some(Mark { partition, epoch, samples })
    };
    (0..).zip(&context.memories).filter_map(of).collect()
}

/// See [`crate::Log::compare`].
pub(crate) async fn compare(context: &Context, mark: &Mark) -> Result<(), Error> {
    let Some(known) = context.timelines.iter().nth(mark.partition as usize) else { return Ok(()) };
    // The mark is of an earlier log, or of a part of this one that is known to be lost.
    if mark.epoch < known.epoch() {
        return Ok(());
    }
    let memory = Memory::default();
    let is_of_this_log = mark.epoch == known.epoch();
    for (sequence, stored) in mark.samples.iter().filter(|_| is_of_this_log) {
        // In log order no sequence comes twice.
        let _ = memory.see(*sequence, *stored);
    }
    let name = partition::stream(mark.partition);
    let mut doubt = Doubt::default();
    loop {
        let stream = request("asking for a stream of the log", context.jetstream.get_stream(&name)).await?;
        let info = stream.cached_info();
        let contradiction = match went_back(info, memory.last()) {
            _ if !is_of_this_log => Some(format!("epoch {:x} is of a later log", mark.epoch)),
            Some(reason) => Some(reason),
            None => memory.contradiction(&stream, info).await?,
        };
        match doubt.judge(info, contradiction) {
            Verdict::Same => {
                // From now on this process remembers the samples as its own.
                let known = &context.memories[mark.partition as usize];
                let _ = mark.samples.iter().all(|(sequence, stored)| known.see(*sequence, *stored));
                return Ok(());
            }
            Verdict::Doubtful(_) => sleep(PAUSE).await,
            Verdict::Lost(reason) => {
                let first = divergence(&stream, info, &mark.samples).await?;
                let epoch = new_epoch(context).max(mark.epoch + 1);
                fork(context, mark.partition, known, first, epoch).await?;
                return Err(Error::Replaced { stream: name, reason });
            }
        }
    }
}

/// See [`crate::Log::begin_epoch`].
pub(crate) async fn begin_epoch(context: &Context) -> Result<Vec<(u64, u64)>, Error> {
    let epoch = new_epoch(context);
    let mut begun = Vec::new();
    for (partition, known) in (0..).zip(context.timelines.iter()) {
        let info = find_stream(&context.jetstream, &partition::stream(partition)).await?;
        let last = info.map_or(0, |info| info.state.last_sequence);
        let forked = fork(context, partition, known, last + 1, epoch).await?;
        begun.push((last, forked.epoch()));
    }
    Ok(begun)
}

/// Records that a partition has a new epoch from sequence `first` on. `known` is the timeline that no longer fits. If
/// the stream already records another one, another process detected the loss first, and its record stands.
async fn fork(context: &Context, partition: u32, known: &Timeline, first: u64, epoch: u64) -> Result<Timeline, Error> {
    let asking = context.jetstream.get_stream(partition::stream(partition));
    let stream = request("asking for a stream of the log", asking).await?;
    let info = stream.cached_info();
    let recorded = Timeline::of(info);
    if recorded != *known {
        return Ok(recorded);
    }
    let forked = known.forked(epoch, first);
    let mut config = info.config.clone();
    config.metadata.insert(TIMELINE.to_owned(), forked.to_string());
    request("recording a new epoch of the log", context.jetstream.update_stream(config)).await?;
    tracing::error!(
        stream = info.config.name,
        timeline = %forked,
        "the log lost its end: from sequence {first} on positions have the epoch {:x}",
        forked.epoch()
    );
    Ok(forked)
}
