//! What is there when all is over: the whole log with its copies, the whole archive, the rooms as they are replayed, as
//! a file and beside the video, and what a presenter gets who has seen nothing. Read past the networks that were broken.

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
use crate::history::{Dialect, Phase, Reading, Recorder, What};
use crate::moderators::Moderators;
use crate::presenters::Presenters;
use crate::streams;
use crate::system::{System, token};
use crate::video;
use crate::viewers::Viewers;

/// Everything accepted is in its place within this time after the last fault: the longest backoff, a lease, an ack's
/// wait of 30 s for a batch that a killed archiver held, on a busy machine.
const DRAIN: Duration = Duration::from_secs(90);

/// A presenter who has seen nothing is tried again for so long.
const FRESH: Duration = Duration::from_secs(60);

/// A presenter of the original's dialect who has not come to the end by then is sent something more. What was lost with
/// its last connection never comes, and that may have been the last message: only a later one shows that it is served.
const SAY_MORE: Duration = Duration::from_secs(5);

/// Reading the whole log takes no longer.
pub(crate) const READ: Duration = Duration::from_secs(120);

/// What presenters are told of.
pub(crate) fn is_shown(entry: &Entry) -> bool {
    !entry.kind.as_str().starts_with("presenter.")
}

/// Whether it may be gone again: somebody wrote it who is erased now and then.
fn may_be_erased(body: Option<&Body>) -> bool {
    matches!(body, Some(Body::MessagePosted(posted)) if is_erased(posted.user.idx.get()))
}

/// What the history has of an event's body.
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

/// The whole log, with its copies.
pub(crate) async fn log(config: &nats::Config) -> anyhow::Result<Vec<Entry>> {
    let log = Log::connect(config, "reliability").await?;
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
    tokio::time::timeout(READ, reading).await.context("the log cannot be read to its end")??;
    log.close().await;
    Ok(entries)
}

/// What has not come to its place.
enum Missing {
    /// The room's presenter has not come to the position.
    Presenter { room: i64, position: Position },
    /// The archive does not have it, or not as it is.
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

/// Waits until everything in the log is where it belongs, and notes whether it came to that.
pub(crate) async fn drain(
    system: &System,
    recorder: &Recorder,
    viewers: &Viewers,
    presenters: &Presenters,
    moderators: &Moderators,
) -> anyhow::Result<()> {
    recorder.note(What::Phase { phase: Phase::Healed });
    let (client, began) = (client()?, Instant::now());
    viewers.say_last_words(&client).await;
    let mut said_more: BTreeMap<i64, Instant> = BTreeMap::new();
    let mut missing = "nothing was read yet".to_owned();
    while began.elapsed() < DRAIN {
        match what_is_missing(system, presenters, moderators).await {
            Ok(None) => {
                recorder.note(What::Phase { phase: Phase::Drained });
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
    recorder.note(What::Phase { phase: Phase::NotDrained });
    Ok(())
}

/// The room's last event that its presenter is told of.
fn last_told(room: &[(EventId, Position, Option<Body>)], dialect: Dialect) -> Option<Position> {
    let is_told = |(id, position, body): &&(EventId, Position, Option<Body>)| match dialect {
        Dialect::V1 => true,
        // The original's dialect has messages alone, those that are not deleted.
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
    // Of each room the first copy of every event, in the order of the log.
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

/// Reads everything, and notes it.
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
        // A copy does not come to anybody again.
        let is_told = is_shown(&entry) && !(text.is_some() && user.is_some_and(is_erased));
        if let Some(room) = room.filter(|_| is_told && seen.insert(entry.id)) {
            last.insert(room, entry.position);
        }
        let Entry { id, position, stored, .. } = entry;
        let kind = entry.kind.to_string();
        recorder.note(What::Logged { room, id, position, kind, user, text, target, reason, stored });
    }
    recorder.note(What::Read { reading: Reading::Log });
    streams::read(system, recorder).await?;

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
    audit::read(system, recorder, rooms).await?;

    for room in 1..=rooms {
        replay(system, recorder, room).await.with_context(|| format!("cannot replay room {room}"))?;
    }
    recorder.note(What::Read { reading: Reading::Replay });

    let gone = Instant::now();
    for room in 1..=rooms {
        video::read(system, recorder, room, gone)
            .await
            .with_context(|| format!("cannot replay room {room} beside videos"))?;
    }
    recorder.note(What::Read { reading: Reading::Video });

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
    #[serde(rename_all = "camelCase")]
    struct Message {
        id: EventId,
        position: Position,
        text: String,
        sent_at: Timestamp,
    }
    let client = reqwest::Client::builder().no_proxy().timeout(READ).build()?;
    let archiver = &system.archivers[usize::try_from(room)? % system.archivers.len()];
    let url = format!("{archiver}/v1/rooms/{room}/export?order=asc");
    let answer = client.get(url).bearer_auth(token(room, false)).send().await?.error_for_status()?;
    let text = answer.text().await?;
    for line in text.split('\n').filter(|line| !line.is_empty()) {
        let Message { id, position, text, sent_at: sent } = serde_json::from_str(line)?;
        recorder.note(What::Replayed { room, id, position, text, sent });
    }
    Ok(())
}
