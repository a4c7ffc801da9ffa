//! Readers of rooms, beside the presenters: by server-sent events or by a socket of `chat.v1`, with a token or a
//! ticket. A reader moves to another node every few seconds and goes on after its last position. Some begin anew with
//! the window now and then, as a reloaded page does: there they meet what was deleted and restored meanwhile.

mod stream;
mod tickets;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use chat::Position;
use fastrand::Rng;
use judge::history::{ReaderView, Recorder};
use parking_lot::Mutex;
use reqwest::{Client, StatusCode};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::presenters::{CONNECT, Reached};
use crate::system::token_with;
use stream::Stream;
use tickets::Ticket;

/// The first reader's user number.
const FIRST_READER: i64 = 3_000;

/// The rooms with readers: one for each [`Kind`]. Each has a second reader, of another kind.
const ROOMS: i64 = 6;

/// How long a session lasts, in milliseconds.
const STAYS_MS: std::ops::Range<u64> = 3_000..12_000;

/// How long a reader is away, in milliseconds, if it does not reconnect at once.
const AWAY_MS: std::ops::Range<u64> = 500..6_000;

/// With a window up to this length, some absences exceed it.
const SHORT_WINDOW: Duration = Duration::from_secs(30);

/// After the first three sessions, one in so many begins anew. Each reads the whole window.
const ANEW: u32 = 8;

/// How long the stream of a revoked ticket is watched.
const LINGER: Duration = Duration::from_secs(5);

/// How a reader connects, and by which right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Server-sent events, with this scope.
    Events(&'static str),
    /// A socket of `chat.v1`, with this scope.
    Socket(&'static str),
    /// Server-sent events, with a new ticket for each session.
    OneUse,
    /// Server-sent events, with a ticket that lasts until it is revoked.
    LongLived,
}

const MODERATE: &str = "chat:moderate";
const READ: &str = "chat:read";

const KINDS: [Kind; 6] = [
    Kind::Events(MODERATE),
    Kind::Events(READ),
    Kind::OneUse,
    Kind::LongLived,
    Kind::Socket(READ),
    Kind::Socket(MODERATE),
];

impl Kind {
    fn view(self) -> ReaderView {
        match self {
            Kind::Events(MODERATE) | Kind::Socket(MODERATE) => ReaderView::Moderator,
            Kind::Events(_) | Kind::Socket(_) => ReaderView::Flags,
            Kind::OneUse | Kind::LongLived => ReaderView::Viewer,
        }
    }
}

/// A reader of a room.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) view: ReaderView,
    room: i64,
    kind: Kind,
    user: i64,
    /// Whether it begins anew now and then.
    reloads: bool,
    current: Mutex<Following>,
}

/// A reader's number in the history, and how far it has come. Who begins anew counts as another reader.
#[derive(Debug, Clone)]
struct Following {
    number: u64,
    reached: Arc<Reached>,
}

impl Reader {
    /// Its number in the history.
    pub(crate) fn number(&self) -> u64 {
        self.current.lock().number
    }

    /// The last event that it has received.
    pub(crate) fn last_event(&self) -> Option<Position> {
        self.current.lock().reached.last_event()
    }

    fn token(&self) -> String {
        let scope = match self.kind {
            Kind::Events(scope) | Kind::Socket(scope) => scope,
            Kind::OneUse | Kind::LongLived => READ,
        };
        token_with(self.user, &[scope])
    }
}

/// The readers of all rooms.
#[derive(Debug)]
pub(crate) struct Readers {
    recorder: Arc<Recorder>,
    client: Client,
    /// The delivery nodes, `host:port`.
    delivery: Vec<String>,
    seed: u64,
    window: Duration,
    sessions: AtomicU32,
    numbers: AtomicU64,
    tickets: AtomicU64,
    readers: Vec<Arc<Reader>>,
}

impl Readers {
    /// `delivery`: the nodes as `ws://host:port`.
    pub(crate) fn new(
        recorder: Arc<Recorder>,
        delivery: &[String],
        rooms: i64,
        seed: u64,
        window: Duration,
    ) -> anyhow::Result<Readers> {
        // A stream has no end: each request has its own time limit.
        let client = testkit::client().connect_timeout(Duration::from_secs(2)).build()?;
        let kind = |place: i64| KINDS[usize::try_from(place).unwrap_or(0) % KINDS.len()];
        let of_room = |room: i64| [(room, kind(room - 1), false), (room, kind(room + 2), room > 1)];
        let all = (1..=rooms.min(ROOMS)).flat_map(of_room).zip(1_u64..);
        let readers: Vec<Arc<Reader>> = all
            .map(|((room, kind, reloads), number)| {
                let user = FIRST_READER + number.cast_signed();
                let current = Mutex::new(Following { number, reached: Arc::default() });
                Arc::new(Reader { view: kind.view(), room, kind, user, reloads, current })
            })
            .collect();
        Ok(Readers {
            recorder,
            client,
            delivery: delivery.iter().map(|url| url.trim_start_matches("ws://").to_owned()).collect(),
            seed,
            window,
            sessions: AtomicU32::new(1),
            numbers: AtomicU64::new(readers.len() as u64 + 1),
            tickets: AtomicU64::new(1),
            readers,
        })
    }

    /// The readers of the room.
    pub(crate) fn of(&self, room: i64) -> impl Iterator<Item = &Reader> {
        self.readers.iter().map(Arc::as_ref).filter(move |reader| reader.room == room)
    }

    /// Reads until the stop.
    pub(crate) async fn read(self: &Arc<Self>, stop: &CancellationToken) -> anyhow::Result<()> {
        let mut reading = JoinSet::new();
        for reader in &self.readers {
            let (readers, reader, stop) = (Arc::clone(self), Arc::clone(reader), stop.clone());
            reading.spawn(async move {
                let follows = readers.follow(&reader);
                let _ = stop.run_until_cancelled(follows).await;
            });
        }
        while let Some(ended) = reading.join_next().await {
            ended?;
        }
        Ok(())
    }

    /// Reads for ever, one session after another.
    async fn follow(&self, reader: &Reader) {
        let mut rng = Rng::with_seed(self.seed ^ reader.user.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut node = rng.usize(..self.delivery.len());
        let mut long_lived: Option<Ticket> = None;
        let mut sessions = 0_u32;
        loop {
            match self.connect(reader, node, &mut long_lived).await {
                Ok((mut stream, one_use)) => {
                    sessions += 1;
                    let stays = Duration::from_millis(rng.u64(STAYS_MS));
                    let has_ended = tokio::time::timeout(stays, stream.watch()).await.is_ok();
                    let mut spent = one_use;
                    // The first time always, so that a short run has such tickets.
                    if !has_ended
                        && (sessions == 1 || rng.bool())
                        && let Some(ticket) = long_lived.take()
                    {
                        let watched = tokio::time::timeout(LINGER, stream.watch());
                        let (_, is_revoked) = tokio::join!(watched, self.revoke(reader, &ticket, node));
                        spent = is_revoked.then_some(ticket);
                    }
                    drop(stream);
                    // A ticket that was used or revoked must open nothing, on any node.
                    for node in (0..self.delivery.len()).filter(|_| spent.is_some()) {
                        let _ = self.open(reader, node, spent.as_ref()).await;
                    }
                }
                Err(error) => {
                    // A restored log may lack the ticket: its owner makes another.
                    let status = error.downcast_ref::<reqwest::Error>().and_then(reqwest::Error::status);
                    if status == Some(StatusCode::UNAUTHORIZED) {
                        long_lived = None;
                    }
                    tokio::time::sleep(Duration::from_millis(rng.u64(50..400))).await;
                }
            }
            if rng.u32(..3) == 0 {
                tokio::time::sleep(Duration::from_millis(rng.u64(AWAY_MS))).await;
            }
            if self.window <= SHORT_WINDOW && rng.u32(..4) == 0 {
                tokio::time::sleep(self.window.mul_f64(0.5 + 1.5 * rng.f64())).await;
            }
            if reader.reloads && (sessions <= 3 || rng.u32(..ANEW) == 0) {
                let number = self.numbers.fetch_add(1, Ordering::Relaxed);
                *reader.current.lock() = Following { number, reached: Arc::default() };
            }
            node = if rng.u32(..3) == 0 { node } else { (node + 1) % self.delivery.len() };
        }
    }

    /// Begins a session. With the one-use ticket that opened it, if any.
    async fn connect(
        &self,
        reader: &Reader,
        node: usize,
        long_lived: &mut Option<Ticket>,
    ) -> anyhow::Result<(Stream, Option<Ticket>)> {
        match reader.kind {
            Kind::Events(_) | Kind::Socket(_) => Ok((self.open(reader, node, None).await?, None)),
            Kind::OneUse => {
                let other = (node + 1) % self.delivery.len();
                let ticket = self.make(reader, other, true).await?;
                Ok((self.open(reader, node, Some(&ticket)).await?, Some(ticket)))
            }
            Kind::LongLived => {
                let ticket = match long_lived {
                    Some(ticket) => ticket,
                    None => long_lived.insert(self.make(reader, node, false).await?),
                };
                Ok((self.open(reader, node, Some(ticket)).await?, None))
            }
        }
    }

    async fn open(&self, reader: &Reader, node: usize, ticket: Option<&Ticket>) -> anyhow::Result<Stream> {
        let opening = async {
            match reader.kind {
                Kind::Socket(_) => self.open_socket(reader, node).await,
                _ => self.open_events(reader, node, ticket).await,
            }
        };
        tokio::time::timeout(CONNECT, opening).await?
    }
}
