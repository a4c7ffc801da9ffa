//! A reader's stream of server-sent events: what it missed from the window, then the frames of its room's broadcast. It
//! produces only as fast as its client reads, so that a slow client costs nobody anything. Nothing is skipped
//! silently: a reader that fell behind the window is closed, and learns of the gap when it reconnects.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chat::{Position, PresenterIdx, Readers, UserIdx};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use web::UserPermit;
use web::fair_slots::Source;

use crate::node::Node;
use crate::readers::access::Access;
use crate::readers::broadcast::{Format, Frame, Subscription};
use crate::readers::tickets::OpenTicket;
use crate::readers::view::View;

/// The clock is looked at as often: a longer sleep would not notice that the machine was suspended.
pub(crate) const LOOK: Duration = Duration::from_secs(10);

/// A reader of a room.
pub(crate) struct Reader {
    pub(crate) node: Arc<Node>,
    pub(crate) subscription: Subscription,
    pub(crate) view: View,
    /// Everything of the room up to here was written.
    pub(crate) cursor: Position,
    /// When the token expires. None: there is no token.
    pub(crate) until: Option<SystemTime>,
    /// What has to hold in the room for this reader to stay. None: its token alone allows it.
    pub(crate) admitted_by: Option<Admission>,
    /// The long-lived ticket that admitted it.
    pub(crate) ticket: Option<OpenTicket>,
    pub(crate) sent_away: watch::Receiver<u64>,
    /// Held until the stream ends.
    pub(crate) _permit: UserPermit<Source>,
}

/// A reader whom a decision of the room admits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admission {
    pub(crate) presenter: PresenterIdx,
    pub(crate) by: AdmittedBy,
    /// The version of the rooms' settings and moderators that admitted the reader.
    pub(crate) version: u64,
}

/// What admits a reader.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AdmittedBy {
    /// The room's setting `readers`.
    Setting { has_token: bool },
    /// The role of this user.
    Moderator(UserIdx),
}

impl Admission {
    /// Whether the room still admits the reader, as far as decisions go: looked up once a change. What ends by time is
    /// found by [`Admission::holds`].
    pub(crate) fn still_holds(&mut self, access: &Access) -> bool {
        let version = access.version();
        if self.version == version {
            return true;
        }
        self.version = version;
        self.holds(access)
    }

    /// Whether the room still admits the reader.
    pub(crate) fn holds(self, access: &Access) -> bool {
        match (self.by, access.of(self.presenter)) {
            (AdmittedBy::Moderator(user), _) => access.moderates(self.presenter, user),
            (AdmittedBy::Setting { .. }, Readers::Off) => false,
            (AdmittedBy::Setting { has_token }, Readers::Members) => has_token,
            (AdmittedBy::Setting { .. }, Readers::Anyone) => true,
        }
    }
}

struct EventStream {
    reader: Reader,
    progress: Progress,
    end: ReaderEnd,
    sent_at: Instant,
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReaderEnd {
    /// The client left, or did not take what was written in time.
    Left,
    /// The token has expired.
    Expired,
    /// The room does not admit the reader any more.
    Closed,
    /// The node is stopping, or cut off from the log.
    Reconnect,
    /// The reader fell behind the window.
    Behind,
    /// The room's broadcast has failed.
    Failed,
}

impl ReaderEnd {
    pub(crate) const ALL: [ReaderEnd; 6] = [
        ReaderEnd::Left,
        ReaderEnd::Expired,
        ReaderEnd::Closed,
        ReaderEnd::Reconnect,
        ReaderEnd::Behind,
        ReaderEnd::Failed,
    ];

    pub(crate) fn word(self) -> &'static str {
        match self {
            ReaderEnd::Left => "left",
            ReaderEnd::Expired => "expired",
            ReaderEnd::Closed => "closed",
            ReaderEnd::Reconnect => "reconnect",
            ReaderEnd::Behind => "behind",
            ReaderEnd::Failed => "failed",
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.reader.node.metrics.reader_ended(self.end);
    }
}

enum Progress {
    /// The first event of the stream is not written yet.
    Beginning(Bytes),
    /// Events wait in the window.
    Behind,
    /// The next event comes by the broadcast.
    Following,
    /// The last event is written.
    Ended,
}

impl Reader {
    /// The stream, with `welcome` as its first event.
    pub(crate) fn stream(self, welcome: String) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        let progress = Progress::Beginning(welcome.into());
        let reading = EventStream { reader: self, progress, end: ReaderEnd::Left, sent_at: Instant::now() };
        unfold(reading, |mut reading| async {
            let text = reading.next().await?;
            reading.sent_at = Instant::now();
            Some((Ok(text), reading))
        })
    }
}

/// What to do next.
enum Step {
    Send(Bytes),
    Continue,
    End,
}

impl EventStream {
    /// The next bytes. None: the stream has ended.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // Looked at before each event: the one before it may be the decision that ends the stream.
            let admitted = self.is_admitted();
            let step = match &mut self.progress {
                Progress::Beginning(welcome) => {
                    let welcome = std::mem::take(welcome);
                    self.progress = Progress::Behind;
                    Step::Send(welcome)
                }
                Progress::Behind | Progress::Following if !admitted => self.close(),
                Progress::Behind => self.catch_up(),
                Progress::Following => self.follow().await,
                Progress::Ended => Step::End,
            };
            match step {
                Step::Send(text) => return Some(text),
                Step::Continue => {}
                Step::End => return None,
            }
        }
    }

    /// A page from the window.
    fn catch_up(&mut self) -> Step {
        if self.has_expired() {
            return self.expire();
        }
        let Reader { subscription, view, cursor, .. } = &mut self.reader;
        let page = subscription.room.after(Some(*cursor));
        if page.gap {
            tracing::debug!("a reader fell behind the window: closing its stream");
            return self.end(ReaderEnd::Behind);
        }
        let Some(last) = page.events.last() else {
            self.progress = Progress::Following;
            return Step::Continue;
        };
        *cursor = last.position;
        send(&view.write(Format::EventStream, &page.events))
    }

    /// Waits for the next frame, or for something else to do.
    async fn follow(&mut self) -> Step {
        let keepalive = self.reader.node.config.keepalive();
        let wake = (self.sent_at + keepalive).min(Instant::now() + self.expires_in().min(LOOK));
        let Reader { node, subscription, sent_away, cursor, ticket, .. } = &mut self.reader;
        // Frames that are not received stay with the broadcast: nothing is lost with a dropped branch.
        let received = tokio::select! {
            biased;
            () = node.stop.cancelled() => return self.leave(),
            _ = sent_away.changed() => return self.leave(),
            () = revoked(ticket.as_mut()) => return self.close(),
            received = subscription.frames.recv() => received,
            () = sleep_until(wake) => return self.attend(),
        };
        match received {
            Ok(frame) if frame.to <= *cursor => Step::Continue,
            Ok(Frame { from, first, to, texts }) if from <= *cursor && *cursor < first => {
                *cursor = to;
                send(&texts)
            }
            // The reader has a part of the frame already, or frames before it are missing. The window has the rest.
            Ok(_) | Err(RecvError::Lagged(_)) => {
                self.progress = Progress::Behind;
                Step::Continue
            }
            Err(RecvError::Closed) => self.end(ReaderEnd::Failed),
        }
    }

    /// Ends a stream whose token has expired, or breaks a silence.
    fn attend(&mut self) -> Step {
        if self.has_expired() {
            return self.expire();
        }
        // A temporary setting ends without an event.
        let access = &self.reader.node.readers.access;
        if self.reader.admitted_by.is_some_and(|admission| !admission.holds(access)) {
            return self.close();
        }
        if self.sent_at.elapsed() < self.reader.node.config.keepalive() {
            return Step::Continue;
        }
        let Reader { subscription, cursor, .. } = &mut self.reader;
        *cursor = subscription.room.reached(*cursor);
        Step::Send(format!("event: keepalive\nid: {cursor}\ndata: {{\"position\":\"{cursor}\"}}\n\n").into())
    }

    /// Whether the room admits the reader, as far as decisions go. What ends by time is looked at in
    /// [`EventStream::attend`].
    fn is_admitted(&mut self) -> bool {
        if self.reader.ticket.as_ref().is_some_and(OpenTicket::is_revoked) {
            return false;
        }
        let access = &self.reader.node.readers.access;
        self.reader.admitted_by.as_mut().is_none_or(|admission| admission.still_holds(access))
    }

    /// Ends the stream after what is still sent.
    fn end(&mut self, end: ReaderEnd) -> Step {
        (self.progress, self.end) = (Progress::Ended, end);
        Step::End
    }

    fn close(&mut self) -> Step {
        self.end(ReaderEnd::Closed);
        Step::Send(Bytes::from_static(b"event: closed\ndata: {}\n\n"))
    }

    fn expires_in(&self) -> Duration {
        let Some(until) = self.reader.until else { return Duration::MAX };
        until.duration_since(SystemTime::now()).unwrap_or_default()
    }

    fn has_expired(&self) -> bool {
        self.expires_in().is_zero()
    }

    fn expire(&mut self) -> Step {
        self.end(ReaderEnd::Expired);
        Step::Send(Bytes::from_static(b"event: expired\ndata: {}\n\n"))
    }

    /// Asks the client to reconnect. It does so within the spread, at a moment of its own.
    fn leave(&mut self) -> Step {
        self.end(ReaderEnd::Reconnect);
        let within = self.reader.node.config.drain_spread().as_millis();
        let pause = fastrand::u128(0..=within);
        Step::Send(format!("retry: {pause}\nevent: reconnect\ndata: {{\"withinMs\":{within}}}\n\n").into())
    }
}

/// Returns when the ticket is revoked. Without one, never.
async fn revoked(ticket: Option<&mut OpenTicket>) {
    match ticket {
        Some(ticket) => ticket.revoked().await,
        None => std::future::pending().await,
    }
}

/// Server-sent events are one text, however many.
fn send(texts: &[Utf8Bytes]) -> Step {
    texts.first().map_or(Step::Continue, |text| Step::Send(AsRef::<Bytes>::as_ref(text).clone()))
}
