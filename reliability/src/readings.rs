//! The readings at the end of a run: the log with its copies, the archive, the replays as a file and beside the video,
//! and each room for a presenter without a position. They bypass the proxies.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chat::{Body, EventId, Position, PresenterIdx};
use jiff::Timestamp;
use nats::{Entry, Log, Start};
use serde::Deserialize;

use crate::ask::client;
use crate::audit;
use crate::erasures::{self, is_erased};
use crate::history::{Dialect, Observation, Phase, Reading, Recorder};
use crate::moderators::Moderators;
use crate::presenters::Presenters;
use crate::streams;
use crate::system::{System, token};
use crate::video;
use crate::viewers::Viewers;

/// Everything accepted reaches its places within this time after the last fault: the longest backoff, a lease, and 30 s
/// until a killed archiver's batch is redelivered, on a busy machine.
const DRAIN: Duration = Duration::from_secs(90);

/// How long a presenter without a position is retried.
const FRESH: Duration = Duration::from_secs(60);

/// After this time, a presenter of the original's dialect who has not received the last message is sent another one.
/// The last message may have been lost with a connection; only a later one shows that the session works.
const SAY_MORE: Duration = Duration::from_secs(5);

/// The time limit for reading the whole log.
pub(crate) const READ: Duration = Duration::from_secs(120);

/// Whether presenters receive the event.
pub(crate) fn is_shown(entry: &Entry) -> bool {
    !entry.kind.as_str().starts_with("presenter.")
}

/// Whether the event may be erased: its author is one of the erased users.
fn may_be_erased(body: Option<&Body>) -> bool {
    matches!(body, Some(Body::MessagePosted(posted)) if is_erased(posted.user.idx.get()))
}

/// The members of an event's body that a history has.
#[derive(Debug, Default)]
struct Said {
    user: Option<i64>,
    text: Option<String>,
    target: Option<EventId>,
    reason: Option<String>,
}

impl Said {
    fn of(entry: &Entry) -> Said {
        let nothing = Said::default();
        match entry.body() {
            Ok(Body::MessagePosted(posted)) => {
                Said { user: Some(posted.user.idx.get()), text: Some(posted.text), ..nothing }
            }
            Ok(Body::MessageDeleted(deleted)) => {
                Said { target: Some(deleted.target), reason: deleted.reason, ..nothing }
            }
            Ok(Body::RoomCleared(cleared)) => Said { reason: cleared.reason, ..nothing },
            Ok(Body::RoomUpdated(updated)) => Said { reason: updated.reason, ..nothing },
            Ok(Body::UserBanned(banned)) => Said { user: Some(banned.user.get()), reason: banned.reason, ..nothing },
            Ok(Body::UserUnbanned(unbanned)) => {
                Said { user: Some(unbanned.user.get()), reason: unbanned.reason, ..nothing }
            }
            _ => nothing,
        }
    }
}

/// Reads the whole log with its copies.
pub(crate) async fn log(config: &nats::Config) -> anyhow::Result<Vec<Entry>> {
    let log = Log::connect(config, "reliability").await?;
    let mut tail = log.tail_with_copies(Start::Oldest);
    let status = tail.status();
    let mut entries = Vec::new();
    let reading = async {
        loop {
            // A dropped branch loses nothing: `next` hands a batch only to a branch that completes.
            tokio::select! {
                biased;
                batch = tail.next() => entries.extend(batch?),
                () = status.caught_up() => return anyhow::Ok(()),
            }
        }
    };
    tokio::time::timeout(READ, reading).await.context("the log could not be read to its end in time")??;
    log.close().await;
    Ok(entries)
}

/// Something that has not reached its place.
enum Missing {
    /// The room's presenter has not reached the position.
    Presenter { room: i64, position: Position },
    /// The archive does not have it, or has it in an old state.
    Archived(String),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Presenter { room, position } => write!(f, "the presenter of room {room} is not at {position}"),
            Missing::Archived(sentence) => write!(f, "{sentence}"),
        }
    }
}

/// Waits until everything in the log has reached its places, and records whether it did.
pub(crate) async fn drain(
    system: &System,
    recorder: &Recorder,
    viewers: &Viewers,
    presenters: &Presenters,
    moderators: &Moderators,
) -> anyhow::Result<()> {
    recorder.note(Observation::Phase { phase: Phase::Healed });
    let (client, began) = (client()?, Instant::now());
    viewers.say_last_words(&client).await;
    let mut said_more: BTreeMap<i64, Instant> = BTreeMap::new();
    let mut missing = "nothing was read yet".to_owned();
    while began.elapsed() < DRAIN {
        match what_is_missing(system, presenters, moderators).await {
            Ok(None) => {
                recorder.note(Observation::Phase { phase: Phase::Drained });
                return Ok(());
            }
            Ok(Some(what)) => {
                missing = what.to_string();
                if let Missing::Presenter { room, .. } = what
                    && presenters.dialect(room) == Dialect::Original
                    && said_more.get(&room).unwrap_or(&began).elapsed() > SAY_MORE
                {
                    viewers.say_goodbye(&client, room).await;
                    said_more.insert(room, Instant::now());
                }
            }
            Err(error) => missing = format!("{error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    eprintln!("not drained: {missing}");
    recorder.note(Observation::Phase { phase: Phase::NotDrained });
    Ok(())
}

/// The last event of the room that its presenter receives.
fn last_told(room: &[(EventId, Position, Option<Body>)], dialect: Dialect) -> Option<Position> {
    let is_told = |(id, position, body): &&(EventId, Position, Option<Body>)| match dialect {
        Dialect::V1 => true,
        // The original's dialect only has messages that are not deleted.
        Dialect::Original => {
            let takes = |(_, decided, decision): &(EventId, Position, Option<Body>)| match decision {
                Some(Body::MessageDeleted(deleted)) => deleted.target == *id,
                Some(Body::RoomCleared(_)) => position < decided,
                _ => false,
            };
            matches!(body, Some(Body::MessagePosted(_))) && !room.iter().any(takes)
        }
    };
    room.iter().rev().find(is_told).map(|(_, position, _)| *position)
}

async fn what_is_missing(
    system: &System,
    presenters: &Presenters,
    moderators: &Moderators,
) -> anyhow::Result<Option<Missing>> {
    // The first copy of every event of each room, in the order of the log.
    let mut rooms: BTreeMap<i64, Vec<(EventId, Position, Option<Body>)>> = BTreeMap::new();
    let mut seen = HashSet::new();
    for entry in log(&system.config.nats).await?.iter().filter(|entry| is_shown(entry)) {
        let Some(room) = entry.presenter.map(PresenterIdx::get) else { continue };
        let body = entry.event().map(|event| event.body).ok();
        if !may_be_erased(body.as_ref()) && seen.insert(entry.id) {
            rooms.entry(room).or_default().push((entry.id, entry.position, body));
        }
    }
    for (room, events) in &rooms {
        let last = last_told(events, presenters.dialect(*room));
        if let Some(position) = last.filter(|last| presenters.reached(*room) < Some(*last)) {
            return Ok(Some(Missing::Presenter { room: *room, position }));
        }
    }
    if let Some(erasure) = erasures::unfinished(system).await? {
        return Ok(Some(Missing::Archived(format!("the erasure {erasure} is not done"))));
    }
    let archive = system.archive().await?;
    let decided: HashSet<EventId> = archive.decisions().await?.into_iter().map(|decision| decision.id).collect();
    let deleted = moderators.deleted.lock().clone();
    let deleted: HashSet<EventId> = deleted.into_iter().collect();
    let cleared = moderators.cleared.lock().clone();
    for (room, events) in &rooms {
        let archived = archive.room(PresenterIdx::try_from(*room)?).await?;
        let ids: HashSet<EventId> = archived.iter().map(|message| message.id).collect();
        let is_message = |body: &Option<Body>| matches!(body, Some(Body::MessagePosted(_)));
        if let Some((id, ..)) = events.iter().find(|(id, _, body)| is_message(body) && !ids.contains(id)) {
            return Ok(Some(Missing::Archived(format!("{id} of room {room} is not archived"))));
        }
        let cleared = cleared.iter().filter(|(cleared, _)| cleared == room).map(|(_, position)| *position).max();
        let is_unknown =
            |(id, _, body): &&(EventId, Position, Option<Body>)| !is_message(body) && !decided.contains(id);
        if let Some((id, ..)) = events.iter().find(is_unknown) {
            return Ok(Some(Missing::Archived(format!("the decision {id} about room {room} is not archived"))));
        }
        let unmarked = archived.iter().find(|message| {
            let taken = deleted.contains(&message.id) || cleared.is_some_and(|cleared| message.position < cleared);
            taken && message.deleted.is_none()
        });
        if let Some(message) = unmarked {
            let sentence = format!("{} of room {room} is not marked as deleted", message.id);
            return Ok(Some(Missing::Archived(sentence)));
        }
    }
    Ok(None)
}

/// Reads and records everything.
pub(crate) async fn read(
    system: &System,
    recorder: &Recorder,
    presenters: &Presenters,
    rooms: i64,
) -> anyhow::Result<()> {
    let mut last: BTreeMap<i64, Position> = BTreeMap::new();
    let mut seen = HashSet::new();
    for entry in log(&system.config.nats).await? {
        let Said { user, text, target, reason } = Said::of(&entry);
        let room = entry.presenter.map(PresenterIdx::get);
        // Readers ignore copies.
        let is_told = is_shown(&entry) && !(text.is_some() && user.is_some_and(is_erased));
        if let Some(room) = room.filter(|_| is_told && seen.insert(entry.id)) {
            last.insert(room, entry.position);
        }
        let Entry { id, position, stored, .. } = entry;
        let kind = entry.kind.to_string();
        recorder.note(Observation::Logged { room, id, position, kind, user, text, target, reason, stored });
    }
    recorder.note(Observation::Read { reading: Reading::Log });
    streams::read(system, recorder).await?;

    let archive = system.archive().await?;
    for room in 1..=rooms {
        for message in archive.room(PresenterIdx::try_from(room)?).await? {
            recorder.note(Observation::Archived {
                room,
                id: message.id,
                position: message.position,
                user: message.user.idx,
                text: message.message,
                deleted: message.deleted.map(|deletion| deletion.decision),
            });
        }
    }
    recorder.note(Observation::Read { reading: Reading::Archive });
    audit::read(system, recorder, rooms).await?;

    for room in 1..=rooms {
        replay(system, recorder, room).await.with_context(|| format!("cannot replay room {room}"))?;
    }
    recorder.note(Observation::Read { reading: Reading::Replay });

    let gone = Instant::now();
    for room in 1..=rooms {
        video::read(system, recorder, room, gone)
            .await
            .with_context(|| format!("cannot replay room {room} beside videos"))?;
    }
    recorder.note(Observation::Read { reading: Reading::Video });

    for (room, last) in last {
        for (node, url) in system.delivery_direct.iter().enumerate() {
            fresh(presenters, node, url, room, last).await?;
        }
    }
    recorder.note(Observation::Read { reading: Reading::Fresh });
    Ok(())
}

/// Reconnects as a page would when the node refuses it: earlier sessions may still be closing.
async fn fresh(presenters: &Presenters, node: usize, url: &str, room: i64, last: Position) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        match presenters.fresh(node, url, room, last).await {
            Err(_) if began.elapsed() < FRESH => tokio::time::sleep(Duration::from_millis(200)).await,
            read => return read,
        }
    }
}

/// Reads the room's replay from its beginning.
async fn replay(system: &System, recorder: &Recorder, room: i64) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Message {
        id: EventId,
        position: Position,
        text: String,
        sent_at: Timestamp,
    }
    let client = testkit::client().timeout(READ).build()?;
    let archiver = &system.archivers[usize::try_from(room)? % system.archivers.len()];
    let url = format!("{archiver}/v1/rooms/{room}/export?order=asc");
    let answer = client.get(url).bearer_auth(token(room, false)).send().await?.error_for_status()?;
    let text = answer.text().await?;
    for line in text.split('\n').filter(|line| !line.is_empty()) {
        let Message { id, position, text, sent_at: sent } = serde_json::from_str(line)?;
        recorder.note(Observation::Replayed { room, id, position, text, sent });
    }
    Ok(())
}
