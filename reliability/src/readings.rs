//! What is there when all is over: the whole log with its copies, the whole archive, the rooms as they are replayed, and
//! what a presenter gets who has seen nothing. Read past the networks that were broken.

use std::collections::{BTreeMap, HashSet};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nats::{Body, Entry, EventId, Position, PresenterIdx, Start};
use serde::Deserialize;

use crate::history::{Phase, Reading, Recorder, What};
use crate::moderators::Moderators;
use crate::presenters::Presenters;
use crate::system::{System, token};

/// Everything accepted is in its place within this time after the last fault: the longest backoff, a lease, an ack's
/// wait of 30 s for a batch that a killed archiver held, on a busy machine.
const DRAIN: Duration = Duration::from_secs(90);

/// A presenter who has seen nothing is tried again for so long.
const FRESH: Duration = Duration::from_secs(60);

/// Reading the whole log takes no longer.
const LOG: Duration = Duration::from_secs(120);

/// What presenters are told of.
fn is_shown(entry: &Entry) -> bool {
    !entry.kind.starts_with("presenter.")
}

async fn log(system: &System) -> anyhow::Result<Vec<Entry>> {
    let log = system.log().await?;
    let mut tail = log.tail_with_copies(Start::Oldest);
    let status = tail.status();
    let mut entries = Vec::new();
    let reading = async {
        loop {
            // `next` hands a batch out only to the branch that takes it: none is lost with a dropped branch.
            tokio::select! {
                biased;
                batch = tail.next() => entries.extend(batch?),
                () = status.caught_up() => return anyhow::Ok(()),
            }
        }
    };
    tokio::time::timeout(LOG, reading).await.context("the log cannot be read to its end")??;
    log.close().await;
    Ok(entries)
}

/// Waits until everything in the log is where it belongs, and notes whether it came to that.
pub(crate) async fn drain(
    system: &System,
    recorder: &Recorder,
    presenters: &Presenters,
    moderators: &Moderators,
) -> anyhow::Result<()> {
    recorder.note(What::Phase { phase: Phase::Healed });
    let began = Instant::now();
    let mut missing = "nothing was read yet".to_owned();
    while began.elapsed() < DRAIN {
        match what_is_missing(system, presenters, moderators).await {
            Ok(None) => {
                recorder.note(What::Phase { phase: Phase::Drained });
                return Ok(());
            }
            Ok(Some(what)) => missing = what,
            Err(error) => missing = format!("{error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    eprintln!("not drained: {missing}");
    recorder.note(What::Phase { phase: Phase::NotDrained });
    Ok(())
}

async fn what_is_missing(
    system: &System,
    presenters: &Presenters,
    moderators: &Moderators,
) -> anyhow::Result<Option<String>> {
    let mut messages: BTreeMap<i64, HashSet<EventId>> = BTreeMap::new();
    let mut first: BTreeMap<EventId, (i64, Position)> = BTreeMap::new();
    for entry in log(system).await?.iter().filter(|entry| is_shown(entry)) {
        let Some(room) = entry.presenter.map(PresenterIdx::get) else { continue };
        first.entry(entry.id).or_insert((room, entry.position));
        if entry.kind == "message.posted" {
            messages.entry(room).or_default().insert(entry.id);
        }
    }
    let mut last: BTreeMap<i64, Position> = BTreeMap::new();
    for (room, position) in first.values() {
        let last = last.entry(*room).or_insert(*position);
        *last = (*last).max(*position);
    }
    for (room, last) in &last {
        if presenters.reached(*room) < Some(*last) {
            return Ok(Some(format!("the presenter of room {room} has not come to {last}")));
        }
    }
    let archive = system.archive().await?;
    let deleted = moderators.deleted.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let deleted: HashSet<EventId> = deleted.into_iter().collect();
    let cleared = moderators.cleared.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (room, messages) in &messages {
        let archived = archive.room(PresenterIdx::try_from(*room)?).await?;
        let ids: HashSet<EventId> = archived.iter().map(|message| message.id).collect();
        if let Some(id) = messages.difference(&ids).next() {
            return Ok(Some(format!("{id} of room {room} is not archived")));
        }
        let cleared = cleared.iter().filter(|(cleared, _)| cleared == room).map(|(_, position)| *position).max();
        let unmarked = archived.iter().find(|message| {
            let taken = deleted.contains(&message.id) || cleared.is_some_and(|cleared| message.position < cleared);
            taken && message.deleted.is_none()
        });
        if let Some(message) = unmarked {
            return Ok(Some(format!("{} of room {room} is not marked as deleted", message.id)));
        }
    }
    Ok(None)
}

/// Reads everything, and notes it.
pub(crate) async fn read(
    system: &System,
    recorder: &Recorder,
    presenters: &Presenters,
    rooms: i64,
) -> anyhow::Result<()> {
    let mut last: BTreeMap<i64, Position> = BTreeMap::new();
    let mut seen = HashSet::new();
    for entry in log(system).await? {
        let (user, text) = match entry.event().map(|event| event.body) {
            Ok(Body::MessagePosted(message)) => (Some(message.user.idx.get()), Some(message.text)),
            _ => (None, None),
        };
        let room = entry.presenter.map(PresenterIdx::get);
        // A copy does not come to anybody again.
        if let Some(room) = room.filter(|_| is_shown(&entry) && seen.insert(entry.id)) {
            last.insert(room, entry.position);
        }
        let Entry { id, position, kind, .. } = entry;
        recorder.note(What::Logged { room, id, position, kind, user, text });
    }
    recorder.note(What::Read { reading: Reading::Log });

    let archive = system.archive().await?;
    for room in 1..=rooms {
        for message in archive.room(PresenterIdx::try_from(room)?).await? {
            recorder.note(What::Archived {
                room,
                id: message.id,
                position: message.position,
                user: message.user.idx,
                text: message.message,
                deleted: message.deleted.map(|deletion| deletion.decision),
            });
        }
    }
    recorder.note(What::Read { reading: Reading::Archive });

    for room in 1..=rooms {
        replay(system, recorder, room).await.with_context(|| format!("cannot replay room {room}"))?;
    }
    recorder.note(What::Read { reading: Reading::Replay });

    for (room, last) in last {
        for (node, url) in system.delivery_direct.iter().enumerate() {
            fresh(presenters, node, url, room, last).await?;
        }
    }
    recorder.note(What::Read { reading: Reading::Fresh });
    Ok(())
}

/// Comes back as a page would where the node sends it away: the sessions from before may still be leaving.
async fn fresh(presenters: &Presenters, node: usize, url: &str, room: i64, last: Position) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        match presenters.fresh(node, url, room, last).await {
            Err(_) if began.elapsed() < FRESH => tokio::time::sleep(Duration::from_millis(200)).await,
            read => return read,
        }
    }
}

/// The room as the archiver gives it to its viewers: what is not deleted, from the beginning.
async fn replay(system: &System, recorder: &Recorder, room: i64) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Message {
        id: EventId,
        position: Position,
        text: String,
    }
    let client = reqwest::Client::builder().no_proxy().timeout(LOG).build()?;
    let archiver = &system.archivers[usize::try_from(room)? % system.archivers.len()];
    let url = format!("{archiver}/v1/rooms/{room}/export?order=asc");
    let answer = client.get(url).bearer_auth(token(room, false)).send().await?.error_for_status()?;
    let text = answer.text().await?;
    for line in text.split('\n').filter(|line| !line.is_empty()) {
        let Message { id, position, text } = serde_json::from_str(line)?;
        recorder.note(What::Replayed { room, id, position, text });
    }
    Ok(())
}
