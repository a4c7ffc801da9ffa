//! A reader's tickets: made, and revoked.

use std::sync::atomic::Ordering;
use std::time::Duration;

use judge::history::{Observation, ReaderObservation};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{CONNECT, Reader, Readers};
use crate::system::token;

/// The number of attempts to revoke a ticket.
const ATTEMPTS: usize = 10;

/// The pause between two of them.
const PAUSE: Duration = Duration::from_millis(300);

/// A ticket of a room.
#[derive(Debug)]
pub(super) struct Ticket {
    /// Its number in the history.
    pub(super) number: u64,
    pub(super) secret: String,
    /// A long-lived ticket has an id.
    id: Option<String>,
}

impl Readers {
    /// Makes a ticket with the view of viewers: the reader's own for one use, or a long-lived one of the presenter's.
    pub(super) async fn make(&self, reader: &Reader, node: usize, one_use: bool) -> anyhow::Result<Ticket> {
        #[derive(Deserialize)]
        struct Made {
            ticket: String,
            id: Option<String>,
        }
        let (token, body) = if one_use {
            (reader.token(), json!({ "kind": "one_use", "view": "viewer" }))
        } else {
            (token(reader.room, false), json!({ "kind": "long_lived", "name": "overlay", "view": "viewer" }))
        };
        let url = format!("http://{}/v1/rooms/{}/tickets", self.delivery[node], reader.room);
        let request = self.client.post(url).bearer_auth(token).timeout(CONNECT).json(&body);
        let Made { ticket: secret, id } = request.send().await?.error_for_status()?.json().await?;
        let number = self.tickets.fetch_add(1, Ordering::Relaxed);
        let made = ReaderObservation::Ticket { ticket: number, room: reader.room, one_use };
        self.recorder.note(Observation::Reader(made));
        Ok(Ticket { number, secret, id })
    }

    /// Revokes a long-lived ticket. False: it is not known whether it was.
    pub(super) async fn revoke(&self, reader: &Reader, ticket: &Ticket, node: usize) -> bool {
        let Some(id) = &ticket.id else { return false };
        for attempt in 0..ATTEMPTS {
            let delivery = &self.delivery[(node + attempt) % self.delivery.len()];
            let url = format!("http://{delivery}/v1/rooms/{}/tickets/{id}", reader.room);
            let request = self.client.delete(url).bearer_auth(token(reader.room, false)).timeout(CONNECT);
            // After an attempt of unknown outcome it may be revoked already.
            let is_revoked = |status: StatusCode| status.is_success() || status == StatusCode::NOT_FOUND && attempt > 0;
            if request.send().await.is_ok_and(|answer| is_revoked(answer.status())) {
                self.recorder.note(Observation::Reader(ReaderObservation::Revoked { ticket: ticket.number }));
                return true;
            }
            tokio::time::sleep(PAUSE).await;
        }
        false
    }
}
