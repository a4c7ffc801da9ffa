//! A session: a socket and a cursor into its room's window. It takes hold of the room and then writes everything after
//! its cursor, once, in order, for as long as no newer session claims the room. It has no queue: a presenter who takes
//! little has an old cursor, and costs nobody anything. It speaks whichever dialect its client does.

pub(crate) mod claim_rate;
pub(crate) mod claims;
pub(crate) mod close_codes;
pub(crate) mod entry;
pub(crate) mod fence;
pub(crate) mod frame_limits;
pub(crate) mod lease_watch;
pub(crate) mod log_outage;
pub(crate) mod saved_cursors;
pub(crate) mod seats;
pub(crate) mod socket;

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chat::{Body, Event, Position, PresenterConnected, PresenterDisconnected, PresenterIdx};
use futures_util::FutureExt;
use nats::Place;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use web::auth::TokenError;
use web::places;

use crate::dialects::{Complaint, Dialect, Framed, Said, Welcome};
use crate::node::Node;
use crate::session::claim_rate::{SHORT_WAIT, Turn};
use crate::session::close_codes::End;
use crate::session::entry::Bearer;
use crate::session::fence::{Fence, Hold};
use crate::session::socket::{Heard, Socket};
use crate::window::feed::Reader;
use crate::window::{Ask, Page};

/// How soon a session that has something to write asks again whether it may.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// How long a session that is told to stop waits for what it has begun to write. So long may it hold up the next one.
const FINISH_TIMEOUT: Duration = Duration::from_millis(200);

/// Who has shown a valid token, and what it asked for.
#[derive(Debug)]
pub(crate) struct Entrant {
    pub(crate) bearer: Bearer,
    /// The last event that the client has dealt with, in its own words.
    pub(crate) position: Option<String>,
}

/// Runs the presenter's session on an authenticated socket, to its end. The newcomer's place is given back once the
/// session has begun; until the room is its own it may be asked to go.
pub(crate) async fn run(
    node: &Arc<Node>,
    dialect: &dyn Dialect,
    mut socket: Socket,
    mut entrant: Entrant,
    newcomer: Arc<places::Place>,
) {
    let presenter = entrant.bearer.presenter;
    // Boxed, so that what only the beginning needs is given back before the session idles for hours.
    let begun: Result<_, End> = Box::pin(async {
        let turn = tokio::select! {
            turn = wait_for_turn(node, dialect, &mut socket, &mut entrant) => turn?,
            // The room was not claimed: nothing is lost.
            () = newcomer.lost() => return Err(End::Overload),
        };
        // It may have taken seconds, and a room is not claimed with what has ended.
        if expires_in(dialect, entrant.bearer.until).is_zero() {
            return Err(End::TokenExpired);
        }
        newcomer.works();
        let permit = node.sessions.try_acquire().map_err(|_| End::Overload)?;
        Ok((Session::begin(node, dialect, entrant, turn).await?, permit))
    })
    .await;
    match begun {
        Ok(((session, welcome), _permit)) => {
            socket.waits_in(None);
            drop(newcomer);
            session.run(socket, &welcome).await;
        }
        Err(end) => {
            tracing::info!(%presenter, end = end.word(), "presenter {presenter} got no session: {}", end.word());
            entry::leave(socket, end, &newcomer).await;
        }
    }
}

struct Session<'a> {
    node: &'a Arc<Node>,
    dialect: &'a dyn Dialect,
    hold: Hold<'a>,
    reader: Reader,
    /// Up to here everything of the room was written.
    cursor: Position,
    /// What the newest token opens, and until when: by the wall clock, which also goes on while the machine is suspended.
    bearer: Bearer,
    pinged: Instant,
    /// Whether the client knows that the node is stopping.
    warned: bool,
    /// Appends `presenter.connected`; what follows in the log waits for it.
    connected: oneshot::Receiver<()>,
}

impl<'a> Session<'a> {
    async fn begin(
        node: &'a Arc<Node>,
        dialect: &'a dyn Dialect,
        entrant: Entrant,
        turn: Turn<'_>,
    ) -> Result<(Session<'a>, Welcome), End> {
        let Entrant { bearer, position } = entrant;
        let presenter = bearer.presenter;
        let warns = dialect.reconnect(Duration::ZERO).is_some();
        let hold = Hold::take(node, presenter, turn, position.is_none(), warns).await?;
        let reader = node.feed.reader(presenter);
        let named = match position {
            Some(position) => Some(position.parse().ok()),
            None => node.cursors.get(presenter).map(Some),
        };
        let ask = match named {
            None => Ask::Anything,
            Some(None) => Ask::Unknown,
            Some(Some(position)) => match ask(node, &reader, presenter, position).await {
                Ok(ask) => ask,
                Err(end) => {
                    let Hold { claim, seat, standing, .. } = hold;
                    drop((reader, seat, standing));
                    claims::withdraw(node, &claim).await;
                    return Err(end);
                }
            },
        };
        let beginning = reader.begin(ask);
        let session = hold.claim.id;
        let body = Body::PresenterConnected(PresenterConnected { session });
        let (appended, connected) = oneshot::channel();
        let append = append(node.clone(), Event::now(presenter, body));
        // Not by its handle, which would keep the task's memory for as long as the session lives.
        node.tasks.spawn(async move {
            append.await;
            // A session that has ended badly does not ask.
            let _ = appended.send(());
        });
        // Of a log that was not heard of yet everything is still to come.
        let cursor = beginning.cursor.unwrap_or_else(|| node.log.timelines().beginning(presenter));
        let recovered = beginning.whole;
        // A presenter who leaves before anything is said has come so far all the same: without a cursor what is said
        // meanwhile could leave the window untold. A gap is told until somebody has dealt with it, by whichever node.
        let reached = if recovered { cursor } else { node.log.timelines().beginning(presenter) };
        if node.cursors.get(presenter).is_none() && reader.has_come(reached) {
            node.cursors.moved(presenter, reached);
        }
        tracing::info!(%presenter, %session, recovered, "presenter {presenter} connected");
        let welcome = Welcome { session, position: cursor, recovered, expires_in: expires_in(dialect, bearer.until) };
        let pinged = Instant::now();
        let session = Session { node, dialect, hold, reader, cursor, bearer, pinged, warned: false, connected };
        Ok((session, welcome))
    }

    async fn run(mut self, mut socket: Socket, welcome: &Welcome) {
        let end = match self.deliver(&mut socket, welcome).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        let Session { node, hold: Hold { claim, seat, standing, .. }, reader, connected, .. } = self;
        let (presenter, session) = (claim.presenter, claim.id);
        let word = end.word();
        tracing::info!(%presenter, %session, end = word, "the session of presenter {presenter} ended: {word}");
        drop(reader);
        // The next session of this node may begin: nothing more is written, and the cursor is known.
        drop(seat);
        let record = Box::pin(async {
            // A claim that is left behind would have the presenter count as connected once the lease is back.
            log_outage::over(node).await;
            // In this order: a session on another node takes the event to mean that the cursor is saved.
            node.cursors.save_now().await;
            // A panic in the append would be a defect of its own; the goodbye is said all the same.
            let _ = connected.await;
            let reason = end.word().to_owned();
            let body = Body::PresenterDisconnected(PresenterDisconnected { session, reason });
            let withdrawn = async {
                drop(standing);
                // A claim that was replaced is not there any more.
                if end != End::Replaced {
                    claims::withdraw(node, &claim).await;
                }
            };
            tokio::join!(append(node.clone(), Event::now(presenter, body)), withdrawn);
        });
        tokio::join!(Box::pin(socket.close(end)), record);
    }

    async fn deliver(&mut self, socket: &mut Socket, welcome: &Welcome) -> Result<Infallible, End> {
        if let Some(welcome) = self.dialect.welcome(welcome) {
            socket.say(welcome).await?;
        }
        loop {
            if let Some(end) = self.hold.seat.told() {
                return Err(end);
            }
            self.attend(socket).await?;
            let page = self.reader.after(Some(self.cursor));
            if page.gap {
                // It is told of the gap when it comes back: inside a session there are none.
                let presenter = self.hold.claim.presenter;
                tracing::warn!(%presenter, "presenter {presenter} lagged so far that events left the window unread");
                return Err(End::Slow);
            }
            if page.events.is_empty() {
                self.wait(socket, None).await?;
                continue;
            }
            match Box::pin(self.hold.fence()).await {
                Fence::Lost => return Err(End::Replaced),
                Fence::Unknown => self.wait(socket, Some(Instant::now() + ASK_AGAIN)).await?,
                Fence::Holds => {
                    // Boxed here and below: a session idles most of its life, and its task is as large as the largest
                    // thing that it could be doing.
                    Box::pin(self.write(socket, &page)).await?;
                    // What the client said meanwhile, without waiting for more.
                    while let Some(heard) = socket.hear().now_or_never() {
                        Box::pin(self.answer(socket, heard?)).await?;
                    }
                }
            }
        }
    }

    /// Waits until there is something to do: a frame from the client, an event in the room, a sign of life that is due,
    /// or `until`.
    async fn wait(&mut self, socket: &mut Socket, until: Option<Instant>) -> Result<(), End> {
        let wake = until.map_or(self.next_sign(socket), |until| until.min(self.next_sign(socket)));
        // A frame is taken from the socket only by the branch that answers it, and an event stays in the window:
        // nothing is lost with a dropped branch.
        tokio::select! {
            biased;
            end = self.hold.seat.stopped() => Err(end),
            heard = socket.hear() => Box::pin(self.answer(socket, heard?)).await,
            () = self.reader.changed(), if until.is_none() => Ok(()),
            () = sleep_until(wake) => Ok(()),
            () = self.node.stop.cancelled(), if !self.warned => Ok(()),
        }
    }

    /// When to look after the connection again.
    fn next_sign(&self, socket: &Socket) -> Instant {
        let config = &self.node.config;
        let next = (self.pinged + config.ping_interval()).min(socket.heard() + config.silence_timeout());
        // Within a ping's time only: a deadline in years is beyond what the timer counts.
        let next = next.min(Instant::now() + expires_in(self.dialect, self.bearer.until).min(config.ping_interval()));
        match self.dialect.keepalive(self.cursor) {
            Some(_) => next.min(socket.said() + config.keepalive()),
            None => next,
        }
    }

    /// Looks after the connection: whether the client is there and still may be, and whether it knows that we are and will
    /// be.
    async fn attend(&mut self, socket: &mut Socket) -> Result<(), End> {
        let (config, now) = (&self.node.config, Instant::now());
        if now >= socket.heard() + config.silence_timeout() {
            return Err(End::Silent);
        }
        if expires_in(self.dialect, self.bearer.until).is_zero() {
            return Err(End::TokenExpired);
        }
        if now >= self.pinged + config.ping_interval() {
            self.pinged = now;
            socket.write(Message::Ping(Bytes::new())).await?;
        }
        if now >= socket.said() + config.keepalive() {
            self.cursor = self.reader.reached(self.cursor);
            if let Some(keepalive) = self.dialect.keepalive(self.cursor) {
                socket.say(keepalive).await?;
            }
        }
        if !self.warned && self.node.stop.is_cancelled() {
            self.warned = true;
            if let Some(reconnect) = self.dialect.reconnect(config.drain_spread()) {
                socket.say(reconnect).await?;
            }
        }
        Ok(())
    }

    async fn answer(&mut self, socket: &mut Socket, heard: Heard) -> Result<(), End> {
        let Heard::Text(text) = heard else { return Ok(()) };
        match self.dialect.hear(&text) {
            Said::Answered(answer) => socket.say(answer).await,
            Said::Keepalive => Ok(()),
            Said::Ack { position } => match position.parse() {
                Ok(position) if self.was_written(position) => {
                    self.node.cursors.moved(self.hold.claim.presenter, position);
                    Ok(())
                }
                _ => complain(self.dialect, socket, Complaint::BadPosition).await,
            },
            Said::Token { token } => {
                let (bearer, answer) = renewed(self.node, self.dialect, self.hold.claim.presenter, &token).await;
                self.bearer = bearer.unwrap_or(self.bearer);
                match answer {
                    Some(answer) => socket.say(answer).await,
                    None => Ok(()),
                }
            }
            Said::Start { token, .. } => {
                let presenter = self.hold.claim.presenter;
                let bearer = started_again(self.node, self.dialect, socket, presenter, token).await?;
                self.bearer = bearer.unwrap_or(self.bearer);
                Ok(())
            }
        }
    }

    /// Whether the client can have seen the position: it is not ahead of the session, and the session, whose beginning
    /// was the client's to choose, is not ahead of the log.
    fn was_written(&self, position: Position) -> bool {
        let is_of_this_log = self.node.log.timelines().partition(position).is_some();
        is_of_this_log && position <= self.cursor && self.reader.has_come(position)
    }

    /// Writes a page and moves the cursor past it.
    async fn write(&mut self, socket: &mut Socket, page: &Page) -> Result<(), End> {
        let (node, presenter) = (self.node, self.hold.claim.presenter);
        let (seat, dialect, sight) = (&self.hold.seat, self.dialect, self.bearer.sight);
        let mut reached = self.cursor;
        {
            let writing = async {
                let mut rest = page.events.as_slice();
                // Nothing more is begun once the session is told to stop.
                while !rest.is_empty() && seat.told().is_none() {
                    let Framed { frame, events } = dialect.frame(rest, sight);
                    if let Some(frame) = frame {
                        socket.put(Message::Text(frame)).await?;
                    }
                    reached = rest[events - 1].position;
                    rest = &rest[events..];
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
        self.cursor = reached;
        if !dialect.acknowledges() {
            node.cursors.moved(presenter, reached);
        }
        Ok(())
    }
}

/// Waits until the room may be claimed, which may take some seconds, or up to a minute. Whoever holds it goes on meanwhile, so that a client
/// who leaves must not take it from them; one who stays is answered as in a session.
async fn wait_for_turn<'a>(
    node: &'a Node,
    dialect: &dyn Dialect,
    socket: &mut Socket,
    entrant: &mut Entrant,
) -> Result<Turn<'a>, End> {
    let presenter = entrant.bearer.presenter;
    // A few seconds are part of every start; longer than that nobody waits unless told.
    let wait = node.turns.expected_wait(presenter);
    if wait > SHORT_WAIT {
        complain(dialect, socket, Complaint::StartedTooOften { wait }).await?;
    }
    let mut turn = pin!(node.turns.wait(presenter));
    loop {
        // A frame is taken from the socket only by the branch that answers it, and the turn is not dropped.
        let heard = tokio::select! {
            biased;
            turn = &mut turn => return turn,
            () = node.stop.cancelled() => return Err(End::Drain),
            heard = socket.hear() => heard?,
        };
        let Heard::Text(text) = heard else { continue };
        match dialect.hear(&text) {
            Said::Answered(answer) => socket.say(answer).await?,
            Said::Keepalive => {}
            Said::Ack { .. } => complain(dialect, socket, Complaint::BadPosition).await?,
            Said::Token { token } => {
                let (bearer, answer) = renewed(node, dialect, presenter, &token).await;
                entrant.bearer = bearer.unwrap_or(entrant.bearer);
                if let Some(answer) = answer {
                    socket.say(answer).await?;
                }
            }
            Said::Start { token, .. } => {
                let bearer = started_again(node, dialect, socket, presenter, token).await?;
                entrant.bearer = bearer.unwrap_or(entrant.bearer);
            }
        }
    }
}

/// How long a session may go on, zero if it may not.
fn expires_in(dialect: &dyn Dialect, until: SystemTime) -> Duration {
    // A grace that the calendar cannot hold has no end.
    let Some(until) = until.checked_add(dialect.outlives_token()) else { return Duration::MAX };
    until.duration_since(SystemTime::now()).unwrap_or_default()
}

/// Looks at another token for the session: what it opens, if it is good, and what its client hears of it. One that is not
/// changes nothing.
async fn renewed(
    node: &Node,
    dialect: &dyn Dialect,
    expected: PresenterIdx,
    token: &str,
) -> (Option<Bearer>, Option<Utf8Bytes>) {
    match entry::verify(node, token).await {
        Ok(bearer) if bearer.presenter == expected => {
            (Some(bearer), dialect.renewed(Ok(expires_in(dialect, bearer.until))))
        }
        Ok(_) => (None, dialect.renewed(Err(TokenError::UserIdx))),
        Err(error) => (None, dialect.renewed(Err(error))),
    }
}

/// Answers a second start. The original's pages know no other way to show another token: it says what that opens.
async fn started_again(
    node: &Node,
    dialect: &dyn Dialect,
    socket: &mut Socket,
    expected: PresenterIdx,
    token: Option<String>,
) -> Result<Option<Bearer>, End> {
    if dialect.complaint(Complaint::AlreadyStarted).is_some() {
        complain(dialect, socket, Complaint::AlreadyStarted).await?;
        return Ok(None);
    }
    // The original's pages send it whatever the handshake's header said.
    let bearer = match token {
        Some(token) => entry::verify(node, &token).await,
        None => Err(TokenError::Missing),
    };
    match bearer {
        Ok(bearer) if bearer.presenter == expected => Ok(Some(bearer)),
        Ok(_) => Err(End::OtherPresenter),
        Err(error) => Err(entry::refuse(dialect, socket, error).await),
    }
}

async fn complain(dialect: &dyn Dialect, socket: &mut Socket, about: Complaint) -> Result<(), End> {
    match dialect.complaint(about) {
        Some(complaint) => socket.say(complaint).await,
        None => Ok(()),
    }
}

/// What a position asks for that a client shows, or that was saved. It may be of another log, of a part that was lost, or
/// made up: nothing is ahead of the log, although the log may be ahead of this node.
async fn ask(node: &Node, reader: &Reader, presenter: PresenterIdx, position: Position) -> Result<Ask, End> {
    let timelines = node.log.timelines();
    match timelines.place(presenter, position) {
        // What was lost where an epoch ended was accepted, and came to nobody who was away.
        Place::Here(position) if position.epoch != timelines.epoch(presenter) => Ok(Ask::Lost(position)),
        Place::Here(position) if reader.has_come(position) => Ok(Ask::After(position)),
        Place::Here(position) => match node.log.has_reached(presenter, position).await {
            Ok(true) => Ok(Ask::After(position)),
            Ok(false) => Ok(Ask::Unknown),
            Err(error) => {
                tracing::warn!(%presenter, %error, "cannot tell whether the log has come as far as a position: {error}");
                Err(End::Unavailable)
            }
        },
        Place::Lost(end) => Ok(Ask::Lost(end)),
        Place::Elsewhere => Ok(Ask::Unknown),
    }
}

async fn append(node: Arc<Node>, event: Event) {
    if let Err(error) = node.log.append(&event).await {
        let (presenter, kind) = (event.presenter.map(chat::PresenterIdx::get), event.body.kind());
        tracing::warn!(presenter, kind, %error, "a session's {kind} is not in the log: {error}");
    }
}
