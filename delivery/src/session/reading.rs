//! A reader's socket of `chat.v1`: the events of a room that is not claimed, by the room's broadcast. It begins, drains
//! and closes as a presenter's session does. It moves no saved cursor, and no other socket notices it.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use chat::{Position, PresenterIdx, SessionId};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use web::UserPermit;
use web::auth::TokenError;
use web::fair_slots::{Slot, Source};

use crate::dialects::{ClientFrame, Complaint, Dialect, Welcome};
use crate::node::Node;
use crate::readers::beginning;
use crate::readers::broadcast::{Format, Frame, Subscription};
use crate::readers::rights;
use crate::readers::stream::{Admission, LOOK, ReaderEnd};
use crate::readers::view::View;
use crate::session::close_codes::CloseReason;
use crate::session::entry::Entrant;
use crate::session::replies::{complain, renewed};
use crate::session::socket::{Received, Socket};
use crate::session::token::{Bearer, expires_in};

/// A reader of a room, by a socket.
struct Reading<'a> {
    node: &'a Arc<Node>,
    dialect: &'a dyn Dialect,
    presenter: PresenterIdx,
    subscription: Subscription,
    view: View,
    /// What has to hold in the room for this reader to stay. None: its token alone allows it.
    admitted_by: Option<Admission>,
    bearer: Bearer,
    /// Everything of the room up to here was written.
    cursor: Position,
    /// Whether events wait in the window. Otherwise the next one comes by the broadcast.
    is_behind: bool,
    pinged: Instant,
    sent_away: watch::Receiver<u64>,
    /// When the socket closes, and why, once the node wants to be rid of it.
    leaves: Option<(Instant, CloseReason)>,
    /// Held until the socket closes.
    _permit: UserPermit<Source>,
}

/// Serves a reader to the end of its socket. `slot` is given back once the reading has begun.
pub(super) async fn serve(
    node: &Arc<Node>,
    dialect: &dyn Dialect,
    mut socket: Box<Socket>,
    entrant: Entrant,
    presenter: PresenterIdx,
    slot: Arc<Slot>,
) {
    slot.set_working();
    let closed = |reason: CloseReason| {
        node.metrics.closed(reason);
        tracing::debug!(%presenter, end = reason.word(), "a reader's socket closes: {}", reason.word());
    };
    match Box::pin(begin(node, dialect, entrant, presenter)).await {
        Ok((mut reading, welcome)) => {
            socket.counts_in(None);
            drop(slot);
            let reason = match reading.deliver(&mut socket, &welcome).await {
                Ok(never) => match never {},
                Err(reason) => reason,
            };
            node.metrics.reader_ended(end_of(reason));
            closed(reason);
            drop(reading);
            Box::pin(socket.close(reason)).await;
        }
        Err(reason) => {
            closed(reason);
            Box::pin(socket.leave(reason, &slot)).await;
        }
    }
}

/// Finds what the reader sees, and where it begins.
async fn begin<'a>(
    node: &'a Arc<Node>,
    dialect: &'a dyn Dialect,
    entrant: Entrant,
    presenter: PresenterIdx,
) -> Result<(Reading<'a>, Welcome), CloseReason> {
    let Entrant { bearer, position, .. } = entrant;
    if !node.feed.is_current() {
        return Err(CloseReason::CutOff);
    }
    let permit = node.readers.permit(bearer.source()).ok_or(CloseReason::Overload)?;
    let shown = rights::view(&node.readers.access, Some(bearer.rights()), presenter);
    let (view, admitted_by) = shown.ok_or(CloseReason::Forbidden)?;
    let sent_away = node.readers.sent_away();
    let subscription = node.readers.broadcasts.join(&node.feed, presenter, view, Format::ChatV1, &node.sockets);
    let beginning = beginning::begin(node, &subscription.room, presenter, position.as_deref()).await?;
    let welcome = Welcome {
        session: SessionId::new(),
        position: beginning.position,
        recovered: beginning.recovered,
        expires_in: expires_in(dialect, bearer.until),
        pinned: node.readers.access.pinned(presenter),
    };
    let reading = Reading {
        node,
        dialect,
        presenter,
        subscription,
        view,
        admitted_by,
        bearer,
        cursor: beginning.position,
        is_behind: true,
        pinged: Instant::now(),
        sent_away,
        leaves: None,
        _permit: permit,
    };
    Ok((reading, welcome))
}

impl Reading<'_> {
    /// Delivers until the socket must close.
    async fn deliver(&mut self, socket: &mut Socket, welcome: &Welcome) -> Result<Infallible, CloseReason> {
        if let Some(welcome) = self.dialect.welcome(welcome) {
            socket.send_text(welcome).await?;
        }
        loop {
            self.attend(socket).await?;
            if self.is_behind { self.catch_up(socket).await? } else { self.follow(socket).await? }
        }
    }

    /// Maintains the connection, and closes it if the reader's right has ended.
    async fn attend(&mut self, socket: &mut Socket) -> Result<(), CloseReason> {
        let (node, now) = (self.node, Instant::now());
        let (config, access) = (&node.config, &node.readers.access);
        if self.admitted_by.as_mut().is_some_and(|admission| !admission.still_holds(access)) {
            return Err(CloseReason::Forbidden);
        }
        if now >= socket.received_at() + config.silence_timeout() {
            return Err(CloseReason::Silent);
        }
        if expires_in(self.dialect, self.bearer.until).is_zero() {
            return Err(CloseReason::TokenExpired);
        }
        if self.leaves.is_none() && node.stop.is_cancelled() {
            self.warn(socket).await?;
        }
        if let Some((_, reason)) = self.leaves.filter(|(at, _)| now >= *at) {
            return Err(reason);
        }
        if now >= self.pinged + config.ping_interval() {
            self.pinged = now;
            socket.send(Message::Ping(Bytes::new())).await?;
        }
        if now >= socket.sent_at() + config.keepalive() {
            // A temporary setting ends without an event.
            if self.admitted_by.is_some_and(|admission| !admission.holds(access)) {
                return Err(CloseReason::Forbidden);
            }
            self.cursor = self.subscription.room.reached(self.cursor);
            if let Some(keepalive) = self.dialect.keepalive(self.cursor) {
                socket.send_text(keepalive).await?;
            }
        }
        Ok(())
    }

    /// Writes a page from the window.
    async fn catch_up(&mut self, socket: &mut Socket) -> Result<(), CloseReason> {
        let page = self.subscription.room.after(Some(self.cursor));
        if page.gap {
            return Err(CloseReason::Slow);
        }
        let Some(last) = page.events.last() else {
            self.is_behind = false;
            return Ok(());
        };
        self.write(socket, &self.view.write(Format::ChatV1, &page.events), last.position).await?;
        // Frames that arrived meanwhile, without waiting for more.
        while let Poll::Ready(received) = poll_fn(|context| Poll::Ready(socket.poll_receive(context))).await {
            self.handle(socket, received?).await?;
        }
        Ok(())
    }

    /// Waits for the next frame of the broadcast or of the client, or for something else to do.
    async fn follow(&mut self, socket: &mut Socket) -> Result<(), CloseReason> {
        let due = self.next_attention(socket);
        let is_leaving = self.leaves.is_some();
        let Reading { node, subscription, sent_away, .. } = self;
        // Frames that are not received stay with the broadcast or in the socket: nothing is lost with a dropped branch.
        let received = tokio::select! {
            biased;
            () = node.stop.cancelled(), if !is_leaving => return Ok(()),
            _ = sent_away.changed(), if !is_leaving => {
                self.leaves = Some((Instant::now() + spread(self.node), CloseReason::CutOff));
                return Ok(());
            }
            received = socket.receive() => return self.handle(socket, received?).await,
            received = subscription.frames.recv() => received,
            () = sleep_until(due) => return Ok(()),
        };
        match received {
            Ok(frame) if frame.to <= self.cursor => Ok(()),
            Ok(Frame { from, first, to, texts }) if from <= self.cursor && self.cursor < first => {
                self.write(socket, &texts, to).await
            }
            // The reader has a part of the frame already, or frames before it are missing. The window has the rest.
            Ok(_) | Err(RecvError::Lagged(_)) => {
                self.is_behind = true;
                Ok(())
            }
            // The room's broadcast has panicked. Another node, or another attempt, has one.
            Err(RecvError::Closed) => Err(CloseReason::Slow),
        }
    }

    /// Writes the frames, each by its deadline, and moves the cursor past them.
    async fn write(&mut self, socket: &mut Socket, texts: &[Utf8Bytes], reached: Position) -> Result<(), CloseReason> {
        for text in texts {
            socket.send_text(text.clone()).await?;
        }
        self.cursor = reached;
        Ok(())
    }

    /// When [`Reading::attend`] has something to do next.
    fn next_attention(&self, socket: &Socket) -> Instant {
        let (config, now) = (&self.node.config, Instant::now());
        let next = (self.pinged + config.ping_interval())
            .min(socket.received_at() + config.silence_timeout())
            .min(socket.sent_at() + config.keepalive())
            .min(now + expires_in(self.dialect, self.bearer.until).min(LOOK));
        self.leaves.map_or(next, |(at, _)| next.min(at))
    }

    /// Tells the client to leave, and closes the socket as a presenter's that stays: within a quarter of the spread, a
    /// quarter after it.
    async fn warn(&mut self, socket: &mut Socket) -> Result<(), CloseReason> {
        let within = self.node.config.drain_spread();
        let at = Instant::now() + within + within / 4 + spread(self.node) / 4;
        self.leaves = Some((at, CloseReason::Drain));
        match self.dialect.reconnect(within) {
            Some(reconnect) => socket.send_text(reconnect).await,
            None => Ok(()),
        }
    }

    async fn handle(&mut self, socket: &mut Socket, received: Received) -> Result<(), CloseReason> {
        let Received::Text(text) = received else { return Ok(()) };
        match self.dialect.parse(&text) {
            ClientFrame::Answered(answer) => socket.send_text(answer).await,
            ClientFrame::Keepalive => Ok(()),
            // Nothing is saved for a reader.
            ClientFrame::Ack { position } => match position.parse::<Position>() {
                Ok(position) if position <= self.cursor => Ok(()),
                _ => complain(self.dialect, socket, Complaint::BadPosition).await,
            },
            ClientFrame::Token { token } => self.renew(socket, &token).await,
            ClientFrame::Start { .. } => complain(self.dialect, socket, Complaint::AlreadyStarted).await,
        }
    }

    /// Continues with another token of the user, if it shows the same.
    async fn renew(&mut self, socket: &mut Socket, token: &str) -> Result<(), CloseReason> {
        let (bearer, mut answer) = renewed(self.node, self.dialect, self.bearer.presenter, token).await;
        if let Some(bearer) = bearer {
            match rights::view(&self.node.readers.access, Some(bearer.rights()), self.presenter) {
                Some((view, admitted_by)) if view == self.view => {
                    (self.bearer, self.admitted_by) = (bearer, admitted_by);
                }
                _ => answer = self.dialect.renewed(Err(TokenError::Claims)),
            }
        }
        match answer {
            Some(answer) => socket.send_text(answer).await,
            None => Ok(()),
        }
    }
}

/// A random part of the time over which a node spreads its closes.
fn spread(node: &Node) -> Duration {
    node.config.drain_spread().mul_f64(fastrand::f64())
}

/// How the metrics of readers name the end.
fn end_of(reason: CloseReason) -> ReaderEnd {
    match reason {
        CloseReason::TokenExpired => ReaderEnd::Expired,
        CloseReason::Forbidden => ReaderEnd::Closed,
        CloseReason::Drain | CloseReason::CutOff => ReaderEnd::Reconnect,
        CloseReason::Slow => ReaderEnd::Behind,
        _ => ReaderEnd::Left,
    }
}
