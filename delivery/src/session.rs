//! A session: a socket and a cursor into its room's window. It claims the room, waits for the session before it to let
//! go, and then writes everything after its cursor, once, in order, for as long as no newer session claims the room.
//! It has no queue: a presenter who takes little has an old cursor, and costs nobody anything.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::extract::ws::Message;
use bytes::Bytes;
use futures_util::FutureExt;
use nats::{Body, Event, Position, PresenterConnected, PresenterDisconnected, PresenterIdx, SessionId};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::close::End;
use crate::door;
use crate::feed::Reader;
use crate::node::Node;
use crate::original::{self, Said};
use crate::seats::Seat;
use crate::socket::{Heard, Socket};
use crate::window::Page;

/// How soon a session that has something to write asks again whether it may.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// How long a session that is told to stop waits for what it has begun to write. So long may it hold up the next one.
const FINISH_TIMEOUT: Duration = Duration::from_millis(200);

/// Runs the presenter's session on an authenticated socket, to its end.
pub(crate) async fn run(node: &Arc<Node>, socket: Socket, presenter: PresenterIdx) {
    let Ok(_permit) = node.sessions.try_acquire() else {
        tracing::warn!(%presenter, "turned presenter {presenter} away: the node has all the sessions that it may have");
        return socket.close(End::Overload).await;
    };
    match Session::begin(node, presenter).await {
        Ok(session) => session.run(socket).await,
        Err(end) => {
            tracing::info!(%presenter, end = end.word(), "presenter {presenter} got no session: {}", end.word());
            socket.close(end).await;
        }
    }
}

struct Session<'a> {
    node: &'a Arc<Node>,
    claim: nats::Session,
    seat: Seat,
    reader: Reader,
    /// The last event that was written.
    cursor: Option<Position>,
    /// The term of the node's pulse in which the claim was last known to hold.
    term: u64,
    pinged: Instant,
    /// Appends `presenter.connected`; what follows in the log waits for it.
    connected: JoinHandle<()>,
}

/// Whether a session may write.
enum Fence {
    Holds,
    Lost,
    /// The node is out of touch with the others: not now.
    Unknown,
}

impl<'a> Session<'a> {
    async fn begin(node: &'a Arc<Node>, presenter: PresenterIdx) -> Result<Session<'a>, End> {
        // A claim that waited for the connection to come back could replace a session that began elsewhere meanwhile.
        if !node.log.is_connected() {
            return Err(End::Unavailable);
        }
        let id = SessionId::new();
        let term = node.pulse.term(&node.lease).unwrap_or_default();
        let before = node.presence.session(presenter).filter(|before| before.node != *node.lease.node());
        // Listened for before the claim, which is what makes the other session leave.
        let departure = before.map(|before| node.feed.departure(before.id));
        let claim = node.lease.claim(presenter, id).await.map_err(|error| {
            tracing::warn!(%presenter, %error, "cannot claim the room of presenter {presenter}: {error}");
            End::Unavailable
        })?;
        let seat = match node.seats.take(&claim).await {
            Ok(seat) => seat,
            Err(end) => {
                release(node, &claim).await;
                return Err(end);
            }
        };
        if let Some(mut departure) = departure
            && timeout(node.config.handover_timeout(), departure.happened()).await.is_err()
        {
            tracing::info!(%presenter, "the session before did not say goodbye in time; some messages may come again");
        }
        let reader = node.feed.reader(presenter);
        let cursor = node.cursors.get(presenter);
        if cursor.is_some_and(|cursor| reader.may_have_missed(cursor)) {
            tracing::info!(%presenter, "the window may not reach back to the cursor of presenter {presenter}");
        }
        let body = Body::PresenterConnected(PresenterConnected { session: id });
        let connected = node.tasks.spawn(append(node.clone(), Event::now(presenter, body)));
        tracing::info!(%presenter, session = %id, "presenter {presenter} connected");
        Ok(Session { node, claim, seat, reader, cursor, term, pinged: Instant::now(), connected })
    }

    async fn run(mut self, mut socket: Socket) {
        let end = match self.deliver(&mut socket).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        let Session { node, claim, seat, reader, connected, .. } = self;
        let (presenter, session) = (claim.presenter, claim.id);
        let word = end.word();
        tracing::info!(%presenter, %session, end = word, "the session of presenter {presenter} ended: {word}");
        drop(reader);
        // The next session of this node may begin: nothing more is written, and the cursor is known.
        drop(seat);
        let record = async {
            // In this order: a session on another node takes the event to mean that the cursor is saved.
            node.cursors.save_now().await;
            // A panic in the append would be a defect of its own; the goodbye is said all the same.
            let _ = connected.await;
            let reason = end.word().to_owned();
            let body = Body::PresenterDisconnected(PresenterDisconnected { session, reason });
            let withdrawn = async {
                // A claim that was replaced is not there any more.
                if end != End::Replaced {
                    release(node, &claim).await;
                }
            };
            tokio::join!(append(node.clone(), Event::now(presenter, body)), withdrawn);
        };
        tokio::join!(socket.close(end), record);
    }

    async fn deliver(&mut self, socket: &mut Socket) -> Result<Infallible, End> {
        loop {
            if let Some(end) = self.seat.told() {
                return Err(end);
            }
            self.keep_alive(socket).await?;
            let page = self.reader.after(self.cursor);
            if page.events.is_empty() {
                self.wait(socket, None).await?;
                continue;
            }
            match self.fence().await {
                Fence::Lost => return Err(End::Replaced),
                Fence::Unknown => self.wait(socket, Some(Instant::now() + ASK_AGAIN)).await?,
                Fence::Holds => {
                    self.write(socket, page).await?;
                    // What the client said meanwhile, without waiting for more.
                    while let Some(heard) = socket.hear().now_or_never() {
                        self.answer(socket, heard?).await?;
                    }
                }
            }
        }
    }

    /// Waits until there is something to do: a frame from the client, an event in the room, a ping that is due, or
    /// `until`.
    async fn wait(&self, socket: &mut Socket, until: Option<Instant>) -> Result<(), End> {
        let config = &self.node.config;
        let alive = (self.pinged + config.ping_interval()).min(socket.heard() + config.silence_timeout());
        let wake = until.map_or(alive, |until| until.min(alive));
        // A frame is taken from the socket only by the branch that answers it, and an event stays in the window:
        // nothing is lost with a dropped branch.
        tokio::select! {
            biased;
            end = self.seat.stopped() => Err(end),
            heard = socket.hear() => self.answer(socket, heard?).await,
            () = self.reader.changed(), if until.is_none() => Ok(()),
            () = sleep_until(wake) => Ok(()),
        }
    }

    async fn keep_alive(&mut self, socket: &mut Socket) -> Result<(), End> {
        let (config, now) = (&self.node.config, Instant::now());
        if now >= socket.heard() + config.silence_timeout() {
            return Err(End::Silent);
        }
        if now >= self.pinged + config.ping_interval() {
            self.pinged = now;
            socket.write(Message::Ping(Bytes::new())).await?;
        }
        Ok(())
    }

    async fn answer(&self, socket: &mut Socket, heard: Heard) -> Result<(), End> {
        let Heard::Text(text) = heard else { return Ok(()) };
        match Said::parse(&text) {
            Said::Ping => socket.say(original::pong()).await,
            Said::Other { id } => socket.say(original::invalid_id(&id)).await,
            // The original's pages send it whatever the handshake's header said.
            Said::Start { token } => {
                let shown = token.ok_or(web::auth::TokenError::Missing);
                match shown.and_then(|token| door::verify(self.node, &token)) {
                    Ok(presenter) if presenter == self.claim.presenter => Ok(()),
                    Ok(_) => Err(End::OtherPresenter),
                    Err(error) => Err(door::refuse(socket, error).await),
                }
            }
        }
    }

    async fn fence(&mut self) -> Fence {
        let node = self.node;
        let Some(term) = node.pulse.term(&node.lease) else { return Fence::Unknown };
        if term != self.term {
            match node.lease.holds(&self.claim).await {
                Ok(true) => self.term = term,
                Ok(false) => return Fence::Lost,
                Err(error) => {
                    tracing::warn!(presenter = %self.claim.presenter, %error, "cannot tell who holds the room");
                    return Fence::Unknown;
                }
            }
        }
        match node.presence.session(self.claim.presenter) {
            Some(newest) if newest.revision > self.claim.revision => Fence::Lost,
            _ => Fence::Holds,
        }
    }

    /// Writes a page and moves the cursor past it.
    async fn write(&mut self, socket: &mut Socket, page: Page) -> Result<(), End> {
        let (node, presenter) = (self.node, self.claim.presenter);
        if page.gap {
            tracing::warn!(%presenter, "presenter {presenter} lagged so far that messages left the window unread");
        }
        let (seat, zone) = (&self.seat, &node.config.time_zone.0);
        let mut reached = self.cursor;
        {
            let writing = async {
                for kept in &page.events {
                    // Nothing more is begun once the session is told to stop.
                    if seat.told().is_some() {
                        break;
                    }
                    match original::event_frame(kept, zone) {
                        Ok(Some(frame)) => socket.put(Message::Text(frame)).await?,
                        Ok(None) => {}
                        Err(error) => {
                            let position = kept.position;
                            tracing::error!(%presenter, %position, %error, "skipped an event that cannot be shown");
                        }
                    }
                    reached = Some(kept.position);
                }
                socket.flush().await
            };
            let mut writing = pin!(timeout(node.config.write_timeout(), writing));
            // Asked at every step: a process that was suspended in the middle must not go on as if nothing had been.
            let mut guarded = poll_fn(|context| match node.pulse.term(&node.lease) {
                None => Poll::Ready(Err(End::Lapsed)),
                Some(_) => writing.as_mut().poll(context).map(|written| written.unwrap_or(Err(End::Slow))),
            });
            tokio::select! {
                biased;
                // What was begun would go out before the close frame in any case. If the client takes it in time it
                // counts as written; otherwise it is lost here, and the next session writes it again.
                end = seat.stopped() => timeout(FINISH_TIMEOUT, &mut guarded).await.unwrap_or(Err(end))?,
                written = &mut guarded => written?,
            }
        }
        if let Some(reached) = reached {
            self.cursor = Some(reached);
            node.cursors.moved(presenter, reached);
        }
        Ok(())
    }
}

async fn append(node: Arc<Node>, event: Event) {
    if let Err(error) = node.log.append(&event).await {
        let (presenter, kind) = (event.presenter, event.body.kind());
        tracing::warn!(%presenter, kind, %error, "the log does not say {kind} of presenter {presenter}: {error}");
    }
}

async fn release(node: &Node, claim: &nats::Session) {
    if let Err(error) = node.lease.release(claim).await {
        tracing::warn!(presenter = %claim.presenter, %error, "a claim was not withdrawn");
    }
}
