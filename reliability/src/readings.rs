//! The readings at the end of a run: the log with its copies, the archive, the replays as a file and beside the video,
//! and each room for a presenter without a position. They bypass the proxies.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chat::{Body, EventId, MessagePosted, Position, PresenterIdx};
use jiff::Timestamp;
use judge::history::{MessageObservation, Observation, ReaderView, Reading, Recorder, SeenAt, Swept, extras};
use nats::{Entry, Log, Start};
use serde::Deserialize;
use serde_json::Value;

use crate::audit;
use crate::erasures::is_erased;
use crate::people;
use crate::pins;
use crate::presenters::Presenters;
use crate::queues;
use crate::streams;
use crate::system::{System, token};
use crate::video;

/// How long a presenter without a position is retried.
const FRESH: Duration = Duration::from_secs(60);

/// The time limit for reading the whole log.
pub(crate) const READ: Duration = Duration::from_secs(120);

/// Whether somebody receives the event: a presenter, or moderators.
pub(crate) fn is_shown(entry: &Entry) -> bool {
    !entry.kind.as_str().starts_with("presenter.")
}

/// The members of an event's body that a history has.
#[derive(Debug, Default)]
struct Said {
    user: Option<i64>,
    text: Option<String>,
    target: Option<EventId>,
    reason: Option<String>,
    purge_seconds: Option<u32>,
    swept: Option<Swept>,
    /// The `replyTo`, the attributes and the emotes of a message.
    extras: Option<String>,
    /// The flags of a message.
    flags: Vec<String>,
    /// When a hold ends.
    until: Option<Timestamp>,
}

impl Said {
    fn message(posted: MessagePosted) -> Said {
        let attributes = posted.attributes.map(|attributes| Value::Object(attributes.members()));
        let emotes = posted.emotes.and_then(|emotes| serde_json::to_value(emotes).ok());
        let extras = extras(posted.reply_to, attributes.as_ref(), emotes.as_ref());
        let (user, flags) = (Some(posted.user.idx.get()), posted.flags);
        Said { user, text: Some(posted.text), extras, flags, ..Said::default() }
    }

    fn of(entry: &Entry) -> Said {
        let nothing = Said::default();
        match entry.body() {
            Ok(Body::MessagePosted(posted)) => Said::message(posted),
            Ok(Body::MessageReleased(released)) => {
                Said { reason: released.held.reason, ..Said::message(released.posted) }
            }
            Ok(Body::MessageHeld(held)) => {
                Said { target: Some(held.target), until: Some(held.until), ..Said::message(held.posted) }
            }
            Ok(Body::MessageDenied(denied)) => {
                let (user, target) = (Some(denied.user.get()), Some(denied.target));
                Said { user, target, reason: denied.reason, ..nothing }
            }
            Ok(Body::NoticePosted(notice)) => {
                Said { user: Some(notice.user.idx.get()), text: Some(notice.text), ..nothing }
            }
            Ok(Body::MessageReported(reported)) => {
                let (user, target) = (Some(reported.by.idx.get()), Some(reported.target));
                Said { user, target, reason: reported.reason, ..nothing }
            }
            Ok(Body::ReportClosed(closed)) => Said { target: Some(closed.target), reason: closed.reason, ..nothing },
            Ok(Body::MessagePinned(pinned)) => Said { target: Some(pinned.target), ..nothing },
            Ok(Body::MessageUnpinned(unpinned)) => Said { target: Some(unpinned.target), ..nothing },
            Ok(Body::MessageDeleted(deleted)) => {
                Said { target: Some(deleted.target), reason: deleted.reason, ..nothing }
            }
            Ok(Body::MessageRestored(restored)) => {
                Said { target: Some(restored.target), reason: restored.reason, ..nothing }
            }
            Ok(Body::ModeratorAdded(added)) => Said { user: Some(added.user.get()), reason: added.reason, ..nothing },
            Ok(Body::ModeratorRemoved(removed)) => {
                Said { user: Some(removed.user.get()), reason: removed.reason, ..nothing }
            }
            Ok(Body::RoomCleared(cleared)) => Said { reason: cleared.reason, ..nothing },
            Ok(Body::RoomSwept(swept)) => {
                let its = Some(Swept::from(swept.as_ref()));
                Said { swept: its, reason: swept.reason, ..nothing }
            }
            Ok(Body::SweepUndone(undone)) => Said { target: Some(undone.target), reason: undone.reason, ..nothing },
            Ok(Body::RoomUpdated(updated)) => Said { reason: updated.reason, ..nothing },
            Ok(Body::UserBanned(banned)) => {
                let (user, purge_seconds) = (Some(banned.user.get()), banned.purge_seconds);
                Said { user, purge_seconds, reason: banned.reason, ..nothing }
            }
            Ok(Body::UserUnbanned(unbanned)) => {
                Said { user: Some(unbanned.user.get()), reason: unbanned.reason, ..nothing }
            }
            Ok(Body::UserErased(erased)) => Said { user: Some(erased.user.get()), ..nothing },
            Ok(Body::UserWarned(warned)) => Said { user: Some(warned.user.get()), reason: warned.reason, ..nothing },
            Ok(Body::WarningWithdrawn(withdrawn)) => {
                Said { user: Some(withdrawn.user.get()), reason: withdrawn.reason, ..nothing }
            }
            Ok(Body::WarningSent(sent)) => Said { user: Some(sent.user.get()), target: Some(sent.target), ..nothing },
            Ok(Body::NoteAdded(added)) => Said { user: Some(added.user.get()), reason: added.text, ..nothing },
            Ok(Body::NoteDeleted(deleted)) => {
                let (user, target) = (Some(deleted.user.get()), Some(deleted.target));
                Said { user, target, reason: deleted.reason, ..nothing }
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
        let Said { user, text, target, reason, purge_seconds, swept, extras, flags, until } = Said::of(&entry);
        let room = entry.presenter.map(PresenterIdx::get);
        // Readers ignore copies.
        let is_told = is_shown(&entry) && ReaderView::Presenter.shows(entry.kind.as_str());
        let is_told = is_told && !(text.is_some() && user.is_some_and(is_erased));
        if let Some(room) = room.filter(|_| is_told && seen.insert(entry.id)) {
            last.insert(room, entry.position);
        }
        let Entry { id, position, at: sent, stored, .. } = entry;
        let kind = entry.kind.to_string();
        if let Some(until) = until {
            recorder.note(Observation::Message(MessageObservation::HoldEnds { hold: id, until }));
        } else if let Some(extras) = extras {
            recorder.note(Observation::Message(MessageObservation::Attached { seen: SeenAt::Log, id, extras }));
        }
        if !flags.is_empty() {
            recorder.note(Observation::Message(MessageObservation::Flagged { id, flags }));
        }
        recorder.note(Observation::Logged {
            room,
            id,
            position,
            kind,
            user,
            text,
            target,
            reason,
            purge_seconds,
            swept,
            sent,
            stored,
        });
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
    queues::read(system, recorder, rooms).await?;
    pins::read(system, recorder, rooms).await?;
    people::read(system, recorder, rooms).await?;

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
        reply_to: Option<EventId>,
        attributes: Option<Value>,
        emotes: Option<Value>,
        #[serde(default)]
        notice: bool,
    }
    let client = testkit::client().timeout(READ).build()?;
    let archiver = &system.archivers[usize::try_from(room)? % system.archivers.len()];
    let url = format!("{archiver}/v1/rooms/{room}/export?order=asc");
    let answer = client.get(url).bearer_auth(token(room, false)).send().await?.error_for_status()?;
    let text = answer.text().await?;
    for line in text.split('\n').filter(|line| !line.is_empty()) {
        let Message { id, position, text, sent_at: sent, reply_to, attributes, emotes, notice } =
            serde_json::from_str(line)?;
        if let Some(extras) = extras(reply_to, attributes.as_ref(), emotes.as_ref()) {
            recorder.note(Observation::Message(MessageObservation::Attached { seen: SeenAt::Replay, id, extras }));
        }
        if notice {
            recorder.note(Observation::Message(MessageObservation::Notice { id }));
        }
        recorder.note(Observation::Replayed { room, id, position, text, sent });
    }
    Ok(())
}
