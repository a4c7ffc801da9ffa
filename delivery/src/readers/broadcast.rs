//! One broadcast for each room, view and format that has readers: a task reads the window, writes each page of events
//! once, and hands the bytes to all of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use chat::{Position, PresenterIdx};
use parking_lot::Mutex;
use tokio::sync::broadcast::{Receiver, Sender, WeakSender, channel};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::readers::view::View;
use crate::wake::Wake;
use crate::window::Kept;
use crate::window::feed::{Feed, RoomReader};

/// 64 pages: a reader that is further behind reads the window by itself.
const WAITING: usize = 64;

/// A page of events, as every reader of the broadcast receives it.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// It has what the view shows of the events after this position ...
    pub(crate) from: Position,
    /// ... of which this is the first ...
    pub(crate) first: Position,
    /// ... and this the last.
    pub(crate) to: Position,
    /// The events in the broadcast's format. Empty if the view shows none.
    pub(crate) texts: Arc<[Utf8Bytes]>,
}

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    /// Server-sent events.
    EventStream,
    /// Frames of `chat.v1`.
    ChatV1,
}

type Key = (PresenterIdx, View, Format);

/// The broadcasts in progress.
#[derive(Debug, Default)]
pub(crate) struct Broadcasts(Mutex<HashMap<Key, Broadcast>>);

#[derive(Debug)]
struct Broadcast {
    /// Weak: if the task panics, its readers see the end, and reconnect.
    frames: WeakSender<Frame>,
    room: Arc<RoomReader>,
    readers: usize,
    _task: DropGuard,
}

/// One reader's part in a broadcast. The broadcast ends with its last reader.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) frames: Receiver<Frame>,
    /// To catch up by.
    pub(crate) room: Arc<RoomReader>,
    broadcasts: Arc<Broadcasts>,
    key: Key,
}

impl Broadcasts {
    /// Joins the broadcast of the room, or begins one. Every event from now on comes as a frame, or is in the window.
    pub(crate) fn join(
        self: &Arc<Self>,
        feed: &Arc<Feed>,
        presenter: PresenterIdx,
        view: View,
        format: Format,
        tasks: &TaskTracker,
    ) -> Subscription {
        let key = (presenter, view, format);
        let mut broadcasts = self.0.lock();
        let running = match broadcasts.entry(key) {
            Entry::Occupied(mut running) => {
                let frames = running.get().frames.upgrade();
                let running = running.get_mut();
                running.readers += 1;
                frames.map(|frames| (frames.subscribe(), running.room.clone()))
            }
            Entry::Vacant(vacant) => {
                let (sender, frames) = channel(WAITING);
                let wake = Arc::<Wake>::default();
                let room = Arc::new(feed.reader(presenter, wake.clone()));
                let stop = CancellationToken::new();
                vacant.insert(Broadcast {
                    frames: sender.downgrade(),
                    room: room.clone(),
                    readers: 1,
                    _task: stop.clone().drop_guard(),
                });
                let broadcast = run(room.clone(), wake, move |events| view.write(format, events), room.end(), sender);
                tasks.spawn(async move {
                    stop.run_until_cancelled(broadcast).await;
                });
                Some((frames, room))
            }
        };
        let (frames, room) = running.unwrap_or_else(|| {
            // The task has panicked. This reader is told so at once, as the others are.
            let (_, frames) = channel(1);
            (frames, Arc::new(feed.reader(presenter, Arc::default())))
        });
        Subscription { frames, room, broadcasts: self.clone(), key }
    }
}

/// Hands out every event of the room after the cursor. Without one, every event that comes.
async fn run(
    room: Arc<RoomReader>,
    wake: Arc<Wake>,
    write: impl Fn(&[Kept]) -> Arc<[Utf8Bytes]>,
    mut cursor: Option<Position>,
    frames: Sender<Frame>,
) {
    loop {
        let page = room.after(cursor);
        let (Some(first), Some(last)) = (page.events.first(), page.events.last()) else {
            wake.signalled().await;
            continue;
        };
        if page.gap {
            // What left the window before it was read here: each reader finds the gap by itself.
            cursor = room.end();
            continue;
        }
        let (first, to) = (first.position, last.position);
        let texts = write(&page.events);
        // Nobody may be listening just now.
        let _ = frames.send(Frame { from: cursor.unwrap_or(first), first, to, texts });
        cursor = Some(to);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut broadcasts = self.broadcasts.0.lock();
        if let Entry::Occupied(mut running) = broadcasts.entry(self.key) {
            running.get_mut().readers -= 1;
            if running.get().readers == 0 {
                running.remove();
            }
        }
    }
}
