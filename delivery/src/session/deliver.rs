//! The write loop of a session: writes pages after the cursor, checks the fence before each, handles the client's
//! frames, and keeps the connection alive.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use chat::Position;
use jiff::Timestamp;
use nats::Cursor;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::dialects::{ClientFrame, Complaint, Dialect, Framed, Welcome};
use crate::node::Node;
use crate::session::close_codes::CloseReason;
use crate::session::fence::{Fence, MayWrite};
use crate::session::replies::{complain, renewed, started_again};
use crate::session::socket::{Received, Socket, write_timeout};
use crate::session::token::{Bearer, expires_in};
use crate::traces::Unacknowledged;
use crate::window::feed::RoomReader;
use crate::window::{Kept, Page};

/// 100 ms: how soon a session with something to write checks an undecided fence again.
const RECHECK_INTERVAL: Duration = Duration::from_millis(100);

/// 200 ms: how long a session that must stop may finish the write in progress. It can delay its successor by as much.
const FINISH_TIMEOUT: Duration = Duration::from_millis(200);

/// A session that has its room.
pub(super) struct Session<'a> {
    pub(super) node: &'a Arc<Node>,
    pub(super) dialect: &'a dyn Dialect,
    pub(super) fence: Fence<'a>,
    pub(super) reader: RoomReader,
    /// Every event of the room up to here was written.
    pub(super) cursor: Position,
    /// An acknowledged position means that the page received every event after this one, up to that position.
    pub(super) acknowledged_after: Position,
    /// The last event that was written and is not acknowledged: its position, and when it was stored.
    pub(super) written: Option<(Position, Timestamp)>,
    /// The sampled messages that were written and are not acknowledged.
    pub(super) unacknowledged: Vec<Unacknowledged>,
    pub(super) began: Timestamp,
    /// The newest valid token. It expires by the wall clock, which continues while the machine is suspended.
    pub(super) bearer: Bearer,
    pub(super) pinged: Instant,
    /// Fires when something is due, or earlier: what is due moves on with every frame, and the timer does not.
    pub(super) timer: Pin<Box<Sleep>>,
    /// Whether the client knows that the node is stopping.
    pub(super) warned: bool,
    /// Resolves when `presenter.connected` is appended. Later events of the session wait for it.
    pub(super) connected: oneshot::Receiver<()>,
}

/// Whether the socket has just said that the client sent nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Already,
    NotYet,
}

/// A page that is being written.
struct Writing<'p> {
    rest: &'p [Kept],
    /// The last event whose frame is in the socket's buffer, or with the client.
    reached: Position,
}

impl Session<'_> {
    /// Delivers until the socket must close.
    pub(super) async fn deliver(&mut self, socket: &mut Socket, welcome: &Welcome) -> Result<Infallible, CloseReason> {
        if let Some(welcome) = self.dialect.welcome(welcome) {
            socket.send_text(welcome).await?;
        }
        let mut partial_pages = 0;
        loop {
            if let Some(reason) = self.fence.seat.told() {
                return Err(reason);
            }
            // Taken before anything is looked at: what happens later signals again.
            self.fence.seat.wake().take();
            self.attend(socket).await?;
            let page = self.reader.after_pages(self.cursor, partial_pages);
            if page.gap {
                // No gap within a session: the client is told of it when it reconnects.
                let presenter = self.fence.claim.presenter;
                tracing::warn!(%presenter, "presenter {presenter} fell behind the window: closing its session");
                return Err(CloseReason::Slow);
            }
            if page.events.is_empty() {
                self.wait(socket, None, Asked::NotYet).await?;
                continue;
            }
            match self.fence.check().await {
                MayWrite::No => return Err(CloseReason::Replaced),
                MayWrite::Unknown => {
                    self.wait(socket, Some(Instant::now() + RECHECK_INTERVAL), Asked::NotYet).await?;
                }
                MayWrite::Yes => {
                    self.write(socket, &page).await?;
                    // Frames that arrived meanwhile, without waiting for more.
                    while let Poll::Ready(received) = poll_fn(|context| Poll::Ready(socket.poll_receive(context))).await
                    {
                        Box::pin(self.handle(socket, received?)).await?;
                    }
                    if page.is_partial {
                        partial_pages += 1;
                    } else {
                        partial_pages = 0;
                        self.wait(socket, None, Asked::Already).await?;
                    }
                }
            }
        }
    }

    /// Waits for something to do: a frame from the client, an event in the room, a check of the connection that is due,
    /// or `until`. With `until`, events do not count.
    async fn wait(&mut self, socket: &mut Socket, until: Option<Instant>, asked: Asked) -> Result<(), CloseReason> {
        let due = until.map_or(self.next_attention(socket), |until| until.min(self.next_attention(socket)));
        if self.timer.is_elapsed() || self.timer.deadline() > due {
            self.timer.as_mut().reset(due);
        }
        let mut first = Some(asked);
        // A frame of the client, or `None`: look again. A frame is taken from the socket only to be handled here, and
        // events stay in the window: nothing is lost.
        let received = poll_fn(|context| {
            let wake = self.fence.seat.wake();
            if let Poll::Ready(reason) = self.fence.seat.poll_stopped(context) {
                return Poll::Ready(Some(Err(reason)));
            }
            // Before the events: nothing counts as delivered to a client that has said goodbye.
            let asks = first.take().is_none_or(|asked| asked == Asked::NotYet);
            if asks && let Poll::Ready(received) = socket.poll_receive(context) {
                return Poll::Ready(Some(received));
            }
            if until.is_none() && wake.take() {
                return Poll::Ready(None);
            }
            self.timer.as_mut().poll(context).map(|()| None)
        });
        match received.await {
            Some(received) => Box::pin(self.handle(socket, received?)).await,
            None => Ok(()),
        }
    }

    /// When [`Session::attend`] has something to do next.
    fn next_attention(&self, socket: &Socket) -> Instant {
        let config = &self.node.config;
        let next = (self.pinged + config.ping_interval()).min(socket.received_at() + config.silence_timeout());
        // Capped at the ping interval: the timer cannot represent a deadline in years.
        let next = next.min(Instant::now() + expires_in(self.dialect, self.bearer.until).min(config.ping_interval()));
        if self.dialect.keeps_alive() { next.min(socket.sent_at() + config.keepalive()) } else { next }
    }

    /// Maintains the connection: closes it on silence or an expired token, sends pings, keepalives and the drain
    /// notice.
    async fn attend(&mut self, socket: &mut Socket) -> Result<(), CloseReason> {
        let (config, now) = (&self.node.config, Instant::now());
        if now >= socket.received_at() + config.silence_timeout() {
            return Err(CloseReason::Silent);
        }
        if expires_in(self.dialect, self.bearer.until).is_zero() {
            return Err(CloseReason::TokenExpired);
        }
        if now >= self.pinged + config.ping_interval() {
            self.pinged = now;
            socket.send(Message::Ping(Bytes::new())).await?;
        }
        if now >= socket.sent_at() + config.keepalive() {
            self.cursor = self.reader.reached(self.cursor);
            if let Some(keepalive) = self.dialect.keepalive(self.cursor) {
                socket.send_text(keepalive).await?;
            }
        }
        if !self.warned && self.node.stop.is_cancelled() {
            self.warned = true;
            if let Some(reconnect) = self.dialect.reconnect(config.drain_spread()) {
                socket.send_text(reconnect).await?;
            }
        }
        Ok(())
    }

    async fn handle(&mut self, socket: &mut Socket, received: Received) -> Result<(), CloseReason> {
        let Received::Text(text) = received else { return Ok(()) };
        match self.dialect.parse(&text) {
            ClientFrame::Answered(answer) => socket.send_text(answer).await,
            ClientFrame::Keepalive => Ok(()),
            ClientFrame::Ack { position } => match position.parse() {
                Ok(position) if self.was_named(position) => {
                    // The log has reached it, and this node has not heard of it yet: the next one will be saved.
                    if !self.reader.has_come(position) {
                        return Ok(());
                    }
                    let cursor = Cursor { position, acknowledged_after: Some(self.acknowledged_after) };
                    self.node.cursors.advance(self.fence.claim.presenter, cursor);
                    if let Some((_, stored)) = self.written.take_if(|(written, _)| *written <= position) {
                        self.node.metrics.acknowledged(stored);
                    }
                    self.node.traces.acknowledged(&mut self.unacknowledged, position);
                    Ok(())
                }
                _ => complain(self.dialect, socket, Complaint::BadPosition).await,
            },
            ClientFrame::Token { token } => {
                let (bearer, answer) = renewed(self.node, self.dialect, self.fence.claim.presenter, &token).await;
                self.bearer = bearer.unwrap_or(self.bearer);
                match answer {
                    Some(answer) => socket.send_text(answer).await,
                    None => Ok(()),
                }
            }
            ClientFrame::Start { token, .. } => {
                let presenter = self.fence.claim.presenter;
                let bearer = started_again(self.node, self.dialect, socket, presenter, token).await?;
                self.bearer = bearer.unwrap_or(self.bearer);
                Ok(())
            }
        }
    }

    /// Whether the session may have named the position to the client. It begins where the client asks only if the log
    /// has reached that.
    fn was_named(&self, position: Position) -> bool {
        self.node.log.timelines().partition(position).is_some() && position <= self.cursor
    }

    /// Writes a page and moves the cursor past it.
    async fn write(&mut self, socket: &mut Socket, page: &Page) -> Result<(), CloseReason> {
        let began = self.node.traces.begin();
        let mut writing = Writing { rest: &page.events, reached: self.cursor };
        let written = poll_fn(|context| Poll::Ready(self.poll_write(context, socket, &mut writing))).await;
        match written {
            Poll::Ready(written) => written?,
            // Boxed: most writes end at once, and a session's task is as large as its largest future.
            Poll::Pending => Box::pin(self.write_on(socket, &mut writing)).await?,
        }
        self.cursor = writing.reached;
        self.written = self.node.metrics.written(&page.events, self.cursor, self.began).or(self.written);
        if let Some(began) = began {
            let unacknowledged = self.dialect.acknowledges().then_some(&mut self.unacknowledged);
            self.node.traces.written(&page.events, self.cursor, began, unacknowledged);
        }
        if !self.dialect.acknowledges() {
            self.node.cursors.advance(self.fence.claim.presenter, self.cursor.into());
        }
        Ok(())
    }

    /// Writes the rest of a page by the deadline.
    async fn write_on(&self, socket: &mut Socket, writing: &mut Writing<'_>) -> Result<(), CloseReason> {
        let bytes = writing.rest.iter().map(Kept::bytes).sum();
        let deadline = write_timeout(self.node.config.write_timeout(), bytes);
        let writing = poll_fn(|context| self.poll_write(context, socket, writing));
        let mut writing = Box::pin(timeout(deadline, writing));
        tokio::select! {
            biased;
            // A frame in progress precedes the close frame in any case. If the client takes it in time, it counts as
            // written. Otherwise it is lost here, and the next session writes it again.
            reason = self.fence.seat.stopped() => {
                let rest = timeout(FINISH_TIMEOUT, &mut writing).await;
                rest.unwrap_or(Ok(Err(reason))).unwrap_or(Err(CloseReason::Slow))
            }
            written = &mut writing => written.unwrap_or(Err(CloseReason::Slow)),
        }
    }

    /// Writes as much of a page as the client takes. Returns once it has taken all of it.
    fn poll_write(
        &self,
        context: &mut Context<'_>,
        socket: &mut Socket,
        writing: &mut Writing<'_>,
    ) -> Poll<Result<(), CloseReason>> {
        // Checked at every poll: a process that was suspended in the middle must not continue.
        if self.node.lease_watch.term(&self.node.lease).is_none() {
            return Poll::Ready(Err(CloseReason::Lapsed));
        }
        // A session that is told to stop begins no further frame.
        while !writing.rest.is_empty() && self.fence.seat.told().is_none() {
            ready!(socket.poll_ready(context))?;
            let Framed { frame, events } = self.dialect.frame(writing.rest, self.bearer.visibility);
            if let Some(frame) = frame {
                socket.put(Message::Text(frame))?;
            }
            writing.reached = writing.rest[events - 1].position;
            writing.rest = &writing.rest[events..];
        }
        socket.poll_flush(context)
    }
}
