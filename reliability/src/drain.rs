//! The wait at the end of a run, until everything in the log has reached its places: presenters, readers, the archive.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use archiver::ArchivedMessage;
use chat::{Body, EventId, EventKind, Position, PresenterIdx, Role, User};
use jiff::Timestamp;
use judge::deletions::{Deletions, Effect, Posted};
use judge::history::{Dialect, Observation, Phase, ReaderView, Recorder};
use nats::Entry;

use crate::ask::client;
use crate::erasures::{self, is_erased};
use crate::moderators::Moderators;
use crate::presenters::Presenters;
use crate::readers::Readers;
use crate::readings;
use crate::system::System;
use crate::viewers::Viewers;

/// Everything accepted reaches its places within this time after the last fault: the longest backoff, a lease, and 30 s
/// until a killed archiver's batch is redelivered, on a busy machine.
const DRAIN: Duration = Duration::from_secs(90);

/// After this time, a presenter of the original's dialect who has not received the last message is sent another one.
/// The last message may have been lost with a connection; only a later one shows that the session works.
const SAY_MORE: Duration = Duration::from_secs(5);

/// An ingest node records a second after its answer that it has sent a warning, within the deadline of an append, or
/// not at all.
const RECORDED: Duration = Duration::from_secs(8);

/// Something that has not reached its place.
enum Missing {
    /// The room's presenter has not reached the position.
    Presenter { room: i64, position: Position },
    /// The reader has not reached the position.
    Reader { reader: u64, position: Position },
    /// The archive does not have it, or has it in an old state.
    Archived(String),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Presenter { room, position } => write!(f, "the presenter of room {room} is not at {position}"),
            Missing::Reader { reader, position } => write!(f, "reader {reader} is not at {position}"),
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
    readers: &Readers,
    moderators: &Moderators,
) -> anyhow::Result<()> {
    recorder.note(Observation::Phase { phase: Phase::Healed });
    let (client, began) = (client()?, Instant::now());
    viewers.say_last_words(&client).await;
    let mut said_more: BTreeMap<i64, Instant> = BTreeMap::new();
    let mut missing = "nothing was read yet".to_owned();
    while began.elapsed() < DRAIN {
        match what_is_missing(system, viewers, presenters, readers, moderators).await {
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

/// Whether the event may be erased: its author is one of the erased users.
fn may_be_erased(body: Option<&Body>) -> bool {
    match body {
        Some(Body::MessagePosted(posted)) => is_erased(posted.user.idx.get()),
        Some(Body::MessageReleased(released)) => is_erased(released.posted.user.idx.get()),
        _ => false,
    }
}

/// An event of a room.
struct Told {
    id: EventId,
    position: Position,
    sent: Timestamp,
    body: Option<Body>,
}

impl Told {
    /// The author and the text, if it is a message or a notice.
    fn said(&self) -> Option<(&User, &str)> {
        match self.body.as_ref()? {
            Body::MessagePosted(posted) => Some((&posted.user, &posted.text)),
            Body::MessageReleased(released) => Some((&released.posted.user, &released.posted.text)),
            Body::NoticePosted(notice) => Some((&notice.user, &notice.text)),
            _ => None,
        }
    }

    /// The flags of a message.
    fn flags(&self) -> &[String] {
        match &self.body {
            Some(Body::MessagePosted(posted)) => &posted.flags,
            Some(Body::MessageReleased(released)) => &released.posted.flags,
            _ => &[],
        }
    }

    fn is_message(&self) -> bool {
        self.said().is_some()
    }

    /// Whether the presenter receives it.
    fn is_told(&self, dialect: Dialect) -> bool {
        let kind = self.body.as_ref().map(Body::kind);
        match dialect {
            Dialect::V1 => kind.is_none_or(|kind| ReaderView::Presenter.shows(kind.as_str())),
            Dialect::Original => kind == Some(EventKind::MessagePosted),
        }
    }

    /// What the decision does to messages.
    fn effect(&self) -> Option<Effect> {
        Some(match self.body.as_ref()? {
            Body::MessageDeleted(deleted) => Effect::Delete(deleted.target),
            Body::MessageRestored(restored) => Effect::Restore(restored.target),
            Body::RoomCleared(_) => Effect::Clear,
            Body::UserBanned(banned) => {
                Effect::Purge { user: banned.user.get(), seconds: banned.purge_seconds?, at: self.sent }
            }
            Body::RoomSwept(swept) => Effect::Sweep { swept: swept.as_ref().into(), at: self.sent },
            Body::SweepUndone(undone) => Effect::Unsweep(undone.target),
            _ => return None,
        })
    }
}

/// What the decisions of a room did to its messages.
fn deletions(room: &[Told]) -> Deletions {
    let mut deletions = Deletions::default();
    for told in room {
        match (told.said(), told.effect()) {
            (Some((user, text)), _) => deletions.post(Posted {
                message: told.id,
                user: user.idx.get(),
                sent: told.sent,
                text: text.to_owned(),
                flags: told.flags().to_vec(),
                is_viewers: user.role == Role::Viewer,
                is_released: matches!(told.body, Some(Body::MessageReleased(_))),
            }),
            (_, Some(effect)) => deletions.decide(told.id, effect),
            _ => {}
        }
    }
    deletions
}

/// The last event of the room that its presenter receives.
fn last_told(room: &[Told], deletions: &Deletions, dialect: Dialect) -> Option<Position> {
    // The original's dialect only has messages, and none that was deleted when it was its turn.
    let changed: HashSet<EventId> = deletions.changed().map(|(message, _)| message).collect();
    let is_whole = |told: &&Told| dialect == Dialect::V1 || !changed.contains(&told.id);
    room.iter().rev().filter(is_whole).find(|told| told.is_told(dialect)).map(|told| told.position)
}

/// A message of the room whose mark in the archive is not the one that the log's decisions make, as a sentence.
fn wrongly_marked(
    room: i64,
    deletions: &Deletions,
    archived: &[ArchivedMessage],
    kept: &HashSet<EventId>,
    perhaps_restored: &HashSet<EventId>,
) -> Option<String> {
    let mark = |message: &ArchivedMessage| message.deleted.as_ref().map(|deletion| deletion.decision);
    let marks: HashMap<EventId, Option<EventId>> = archived.iter().map(|message| (message.id, mark(message))).collect();
    deletions.changed().find_map(|(message, changes)| {
        let mark = *marks.get(&message)?;
        // A disk may have lost the decision since.
        let is_excused = match mark {
            Some(decision) => !kept.contains(&decision),
            None => perhaps_restored.contains(&message),
        };
        let is_excused = is_excused || changes.iter().any(|change| perhaps_restored.contains(&change.decision));
        let differs = mark != Deletions::deletion(changes);
        (differs && !is_excused).then(|| format!("{message} of room {room} is not marked as the log says"))
    })
}

/// The messages with a restoration that the log does not have, and the sweeps with such an end: it was never stored, or
/// a disk lost it.
fn perhaps_restored(moderators: &Moderators, rooms: &BTreeMap<i64, Vec<Told>>) -> HashSet<EventId> {
    let reason = |told: &Told| match &told.body {
        Some(Body::MessageRestored(restored)) => restored.reason.clone(),
        Some(Body::SweepUndone(undone)) => undone.reason.clone(),
        _ => None,
    };
    let kept: HashSet<String> = rooms.values().flatten().filter_map(reason).collect();
    let requested = moderators.restored.lock();
    requested.iter().filter(|(_, reason)| !kept.contains(reason)).map(|(target, _)| *target).collect()
}

/// A warning that an answer had a moment ago, and of which the log does not have that it was sent.
fn unrecorded(viewers: &Viewers, rooms: &BTreeMap<i64, Vec<Told>>) -> Option<EventId> {
    let warning = |told: &Told| match told.body.as_ref()? {
        Body::WarningSent(sent) => Some(sent.target),
        _ => None,
    };
    let recorded: HashSet<EventId> = rooms.values().flatten().filter_map(warning).collect();
    let told = viewers.told.lock();
    let mut recent = told.iter().filter(|(_, at)| at.elapsed() < RECORDED).map(|(warning, _)| *warning);
    recent.find(|warning| !recorded.contains(warning))
}

async fn what_is_missing(
    system: &System,
    viewers: &Viewers,
    presenters: &Presenters,
    readers: &Readers,
    moderators: &Moderators,
) -> anyhow::Result<Option<Missing>> {
    // The first copy of every event of each room, in the order of the log.
    let mut rooms: BTreeMap<i64, Vec<Told>> = BTreeMap::new();
    let mut seen = HashSet::new();
    for entry in readings::log(&system.config.nats).await?.iter().filter(|entry| readings::is_shown(entry)) {
        let Some(room) = entry.presenter.map(PresenterIdx::get) else { continue };
        let body = entry.event().map(|event| event.body).ok();
        if !may_be_erased(body.as_ref()) && seen.insert(entry.id) {
            let Entry { id, position, at: sent, .. } = *entry;
            rooms.entry(room).or_default().push(Told { id, position, sent, body });
        }
    }
    let deleted: BTreeMap<i64, Deletions> = rooms.iter().map(|(room, events)| (*room, deletions(events))).collect();
    for (room, events) in &rooms {
        let last = last_told(events, &deleted[room], presenters.dialect(*room));
        if let Some(position) = last.filter(|last| presenters.reached(*room) < Some(*last)) {
            return Ok(Some(Missing::Presenter { room: *room, position }));
        }
        for reader in readers.of(*room) {
            let is_told = |told: &&Told| told.body.as_ref().is_some_and(|body| reader.view.shows(body.kind().as_str()));
            let last = events.iter().rev().find(is_told).map(|told| told.position);
            if let Some(position) = last.filter(|last| reader.last_event() < Some(*last)) {
                return Ok(Some(Missing::Reader { reader: reader.number(), position }));
            }
        }
    }
    if let Some(warning) = unrecorded(viewers, &rooms) {
        return Ok(Some(Missing::Archived(format!("it is not recorded that the warning {warning} was sent"))));
    }
    if let Some(erasure) = erasures::unfinished(system).await? {
        return Ok(Some(Missing::Archived(format!("the erasure {erasure} is not done"))));
    }
    let archive = system.archive().await?;
    let decided: HashSet<EventId> = archive.decisions().await?.into_iter().map(|decision| decision.id).collect();
    let kept: HashSet<EventId> = rooms.values().flatten().map(|told| told.id).collect();
    let restored = perhaps_restored(moderators, &rooms);
    for (room, events) in &rooms {
        let archived = archive.room(PresenterIdx::try_from(*room)?).await?;
        let ids: HashSet<EventId> = archived.iter().map(|message| message.id).collect();
        let mut unarchived = events.iter().filter(|told| told.is_message() && !ids.contains(&told.id));
        if let Some(Told { id, .. }) = unarchived.next() {
            return Ok(Some(Missing::Archived(format!("{id} of room {room} is not archived"))));
        }
        let mut unknown = events.iter().filter(|told| !told.is_message() && !decided.contains(&told.id));
        if let Some(Told { id, .. }) = unknown.next() {
            return Ok(Some(Missing::Archived(format!("the decision {id} about room {room} is not archived"))));
        }
        if let Some(sentence) = wrongly_marked(*room, &deleted[room], &archived, &kept, &restored) {
            return Ok(Some(Missing::Archived(sentence)));
        }
    }
    Ok(None)
}
