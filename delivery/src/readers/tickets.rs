//! Tickets, for readers that cannot send a token in a header: a browser's `EventSource`, an overlay. A one-use ticket
//! opens one stream with the rights of the token that asked for it, within 30 s. A long-lived ticket opens any number
//! of streams until it is revoked. Every node accepts the tickets of all nodes. A ticket is 256 random bits, of which
//! NATS has a hash alone.

mod open;
mod record;

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use chat::{PresenterIdx, UserIdx};
use nats::Log;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use uuid::Uuid;
use web::auth::Pass;
use web::fair_slots::Source;
use web::{SourceRate, SourceRates};

use crate::readers::access::Access;
use crate::readers::stream::{Admission, AdmittedBy};
use crate::readers::view::View;
use crate::visibility::Visibility;
pub(crate) use open::OpenTicket;
use open::Rooms;
use record::OneUse;
pub(crate) use record::{Grantor, LongLived, ShownView};

/// The long-lived tickets of a room.
const MOST_IN_ROOM: usize = 50;

/// Other nodes change the tickets of the same room at the same moment. Each round settles one of them.
const ATTEMPTS: u32 = 20;

/// 20 ms: the longest pause before the next attempt.
const PAUSE: Duration = Duration::from_millis(20);

const ONE_USE_PREFIX: &str = "once_";
const LONG_LIVED_PREFIX: &str = "long_";

/// 256 bits, which nobody guesses, so that a fast hash protects them.
const SECRET_BYTES: usize = 32;

/// The tickets, as this node knows them.
#[derive(Debug)]
pub(crate) struct Tickets {
    stored: nats::Tickets,
    rates: SourceRates,
    rooms: Rooms,
    /// One change at a time: those of one room would only make each other begin again. Who waits is bounded by the
    /// listener's connections, and waits until the deadline of the request.
    turn: Semaphore,
}

/// A ticket that was made: what its holder has to show, once.
#[derive(Debug)]
pub(crate) struct Made<T> {
    pub(crate) secret: String,
    pub(crate) ticket: T,
}

/// A ticket that a reader showed.
#[derive(Debug)]
pub(crate) enum ShownTicket {
    OneUse { pass: Pass, view: ShownView, unused: Unused },
    LongLived { ticket: LongLived, open: OpenTicket },
}

/// A one-use ticket that nobody has used yet.
#[derive(Debug)]
pub(crate) struct Unused {
    presenter: PresenterIdx,
    key: String,
    revision: u64,
}

/// Why there is no ticket.
#[derive(Debug)]
pub(crate) enum TicketError {
    /// Forged, used, revoked, of another room, or too old.
    Invalid,
    /// The room has as many long-lived tickets as it may.
    TooMany,
    /// The user asks too often.
    TooOften,
    /// No long-lived ticket of the room has this id.
    NotFound,
    /// The log cannot be reached, or has something else in the place of a ticket.
    Unavailable,
}

impl Tickets {
    pub(crate) fn new(log: &Log, rate: SourceRate) -> Tickets {
        Tickets {
            stored: log.tickets(),
            rates: SourceRates::new(rate),
            rooms: Rooms::default(),
            turn: Semaphore::new(1),
        }
    }

    /// Makes a ticket with the rights of the pass, or with those of a viewer.
    pub(crate) async fn make_one_use(
        &self,
        presenter: PresenterIdx,
        pass: &Pass,
        view: ShownView,
    ) -> Result<Made<()>, TicketError> {
        self.spend(pass.identity.user_idx)?;
        let secret = secret(ONE_USE_PREFIX)?;
        let value = OneUse::of(pass, view).to_json();
        self.stored.put_one_use(presenter, &hash(&secret), value).await.map_err(unavailable)?;
        Ok(Made { secret, ticket: () })
    }

    /// Makes a ticket that lasts until it is revoked.
    pub(crate) async fn make_long_lived(
        &self,
        presenter: PresenterIdx,
        by: UserIdx,
        grantor: Grantor,
        name: String,
        view: ShownView,
    ) -> Result<Made<LongLived>, TicketError> {
        self.spend(by.get())?;
        let secret = secret(LONG_LIVED_PREFIX)?;
        let at = chat::now();
        let ticket = LongLived { id: Uuid::now_v7(), hash: hash(&secret), name, view, by, grantor, at };
        self.change(presenter, |tickets| {
            if tickets.len() >= MOST_IN_ROOM {
                return Err(TicketError::TooMany);
            }
            tickets.push(ticket.clone());
            Ok(())
        })
        .await?;
        Ok(Made { secret, ticket })
    }

    /// The long-lived tickets of the room, the oldest first.
    pub(crate) async fn list(&self, presenter: PresenterIdx, user: UserIdx) -> Result<Vec<LongLived>, TicketError> {
        self.spend(user.get())?;
        Ok(self.read(presenter).await?.0)
    }

    /// Revokes a long-lived ticket. Its streams end on every node.
    pub(crate) async fn revoke(&self, presenter: PresenterIdx, user: UserIdx, id: Uuid) -> Result<(), TicketError> {
        self.spend(user.get())?;
        self.change(presenter, |tickets| {
            let before = tickets.len();
            tickets.retain(|ticket| ticket.id != id);
            if tickets.len() < before { Ok(()) } else { Err(TicketError::NotFound) }
        })
        .await
    }

    /// Finds a ticket of the room. A one-use ticket is not used yet: [`Tickets::use_up`] uses it.
    pub(crate) async fn find(&self, presenter: PresenterIdx, secret: &str) -> Result<ShownTicket, TicketError> {
        if is_secret(secret, ONE_USE_PREFIX) {
            let key = hash(secret);
            let stored = self.stored.one_use(presenter, &key).await.map_err(unavailable)?;
            // A used one has no value.
            let stored = stored.filter(|stored| !stored.value.is_empty()).ok_or(TicketError::Invalid)?;
            let (pass, view) = OneUse::from_json(&stored.value).map_err(malformed)?.into_pass();
            if pass.until <= SystemTime::now() {
                return Err(TicketError::Invalid);
            }
            return Ok(ShownTicket::OneUse {
                pass,
                view,
                unused: Unused { presenter, key, revision: stored.revision },
            });
        }
        if is_secret(secret, LONG_LIVED_PREFIX) {
            // Before the question, so that no revocation is missed after the answer.
            let watch = self.rooms.watch(presenter);
            let (tickets, revision) = self.read(presenter).await?;
            let hash = hash(secret);
            let ticket = tickets.into_iter().find(|ticket| ticket.hash == hash).ok_or(TicketError::Invalid)?;
            let open = watch.opened(ticket.id, revision);
            return Ok(ShownTicket::LongLived { ticket, open });
        }
        Err(TicketError::Invalid)
    }

    /// Uses a one-use ticket. Of several requests one succeeds.
    pub(crate) async fn use_up(&self, Unused { presenter, key, revision }: Unused) -> Result<(), TicketError> {
        let is_first = self.stored.use_up(presenter, &key, revision).await.map_err(unavailable)?;
        if is_first { Ok(()) } else { Err(TicketError::Invalid) }
    }

    /// Ends the streams of revoked tickets. Returns why it cannot continue.
    pub(crate) async fn follow(&self) -> nats::Error {
        let mut changes = self.stored.changes();
        loop {
            match changes.next().await {
                Ok((presenter, stored)) => self.rooms.apply(presenter, stored.revision, &stored.value),
                Err(error) => return error,
            }
        }
    }

    /// Counts a request of the user.
    fn spend(&self, user: i64) -> Result<(), TicketError> {
        if self.rates.spend(Source::User(user)) { Ok(()) } else { Err(TicketError::TooOften) }
    }

    async fn read(&self, presenter: PresenterIdx) -> Result<(Vec<LongLived>, u64), TicketError> {
        let stored = self.stored.of_room(presenter).await.map_err(unavailable)?;
        let Some(stored) = stored else { return Ok((Vec::new(), 0)) };
        Ok((record::tickets(&stored.value).map_err(malformed)?, stored.revision))
    }

    async fn change(
        &self,
        presenter: PresenterIdx,
        change: impl Fn(&mut Vec<LongLived>) -> Result<(), TicketError>,
    ) -> Result<(), TicketError> {
        let _turn = self.turn.acquire().await.expect("nobody closes the semaphore");
        for _ in 0..ATTEMPTS {
            let (mut tickets, revision) = self.read(presenter).await?;
            change(&mut tickets)?;
            let value: Bytes = record::to_json(&tickets);
            if self.stored.replace(presenter, value, revision).await.map_err(unavailable)? {
                return Ok(());
            }
            sleep(PAUSE.mul_f64(fastrand::f64())).await;
        }
        tracing::warn!(%presenter, "the tickets of room {presenter} are changed by too many nodes at once");
        Err(TicketError::Unavailable)
    }
}

impl LongLived {
    /// What the ticket shows. None: its maker has lost the right to make it.
    pub(crate) fn view(&self, access: &Access, presenter: PresenterIdx) -> Option<(View, Option<Admission>)> {
        let version = access.version();
        let view = match self.view {
            // Without the scopes of the token that asked for it, which has expired by now.
            ShownView::Own => View::Presenter(Visibility::default()),
            ShownView::Viewer => View::Viewer { flags: false },
        };
        match self.grantor {
            Grantor::Presenter | Grantor::Scope => Some((view, None)),
            Grantor::Moderator => {
                let admission = Admission { presenter, by: AdmittedBy::Moderator(self.by), version };
                admission.holds(access).then_some((view, Some(admission)))
            }
        }
    }
}

/// A new ticket of that kind.
fn secret(prefix: &str) -> Result<String, TicketError> {
    let mut secret = [0; SECRET_BYTES];
    aws_lc_rs::rand::fill(&mut secret).map_err(|_| {
        tracing::error!("the system gives no random bytes for a ticket");
        TicketError::Unavailable
    })?;
    Ok(format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(secret)))
}

/// Whether the text has the form of a ticket.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn is_ticket(text: &str) -> bool {
    [ONE_USE_PREFIX, LONG_LIVED_PREFIX].iter().any(|prefix| is_secret(text, prefix))
}

/// Whether the text has the form of a ticket of that kind.
fn is_secret(text: &str, prefix: &str) -> bool {
    let secret = text.strip_prefix(prefix).and_then(|secret| BASE64_URL_SAFE_NO_PAD.decode(secret).ok());
    secret.is_some_and(|secret| secret.len() == SECRET_BYTES)
}

/// What NATS has of a ticket.
fn hash(secret: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, secret.as_bytes()))
}

fn unavailable(error: nats::Error) -> TicketError {
    tracing::warn!(%error, "cannot read or write tickets: {error}");
    TicketError::Unavailable
}

fn malformed(error: serde_json::Error) -> TicketError {
    tracing::error!(%error, "a value of a bucket of tickets is not one of this version: {error}");
    TicketError::Unavailable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_recognised_by_its_form_and_every_one_is_different() {
        let [one, other] = [(); 2].map(|()| secret(ONE_USE_PREFIX).unwrap());
        assert_ne!(one, other);
        assert!(is_secret(&one, ONE_USE_PREFIX) && !is_secret(&one, LONG_LIVED_PREFIX));
        for bad in ["", "once_", "once_eA", &format!("{one}A"), &one.replace("once_", ""), "once_*"] {
            assert!(!is_secret(bad, ONE_USE_PREFIX), "{bad}");
        }
        assert!(!hash(&one).contains(&one["once_".len()..]) && hash(&one) == hash(&one) && hash(&one) != hash(&other));
    }
}
