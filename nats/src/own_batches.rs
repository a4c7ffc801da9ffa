//! The batches that this process has sent and has not read back yet, with their events. A reader that gets one of them
//! from the log takes its events from here instead of parsing them. The log decides all the same: whether a batch
//! counts, and where its events stand. A batch is recognised by its message id, and only if it has the same bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use bytes::Bytes;
use chat::Event;
use parking_lot::Mutex;

/// 64 batches of a partition, of 256 KiB each at most: 16 MB, and as much again in parsed events. A reader is rarely
/// more than two behind. Beyond that the oldest is forgotten, and parsed when it is read.
const MOST_BATCHES: usize = 64;

/// The own batches of one partition, in the order of sending.
#[derive(Debug, Default)]
pub(crate) struct OwnBatches(Mutex<VecDeque<OwnBatch>>);

/// A batch that this process has sent.
#[derive(Debug)]
pub(crate) struct OwnBatch {
    /// The message id.
    pub(crate) id: String,
    pub(crate) payload: Bytes,
    /// The event of each line.
    pub(crate) events: Vec<Arc<Event>>,
}

impl OwnBatches {
    pub(crate) fn insert(&self, batch: OwnBatch) {
        let mut batches = self.0.lock();
        if batches.len() == MOST_BATCHES {
            batches.pop_front();
        }
        batches.push_back(batch);
    }

    /// Forgets the batch: it is not in the log.
    pub(crate) fn forget(&self, id: &str) {
        self.0.lock().retain(|batch| batch.id != id);
    }

    /// The events of a message of the log, if it is an own batch. The batch is forgotten.
    pub(crate) fn take(&self, headers: Option<&HeaderMap>, payload: &Bytes) -> Option<Vec<Arc<Event>>> {
        let id = headers?.get(NATS_MESSAGE_ID)?;
        let mut batches = self.0.lock();
        let place = batches.iter().position(|batch| batch.id == id.as_str())?;
        let batch = batches.remove(place).filter(|batch| batch.payload == payload)?;
        Some(batch.events)
    }
}

#[cfg(test)]
mod tests {
    use chat::{Body, Role, RoomCleared, User};

    use super::*;

    fn batch(id: usize) -> OwnBatch {
        let by = User { idx: 42.try_into().unwrap(), nickname: "presenter".to_owned(), role: Role::Presenter };
        let event = Event::now(42.try_into().unwrap(), Body::RoomCleared(RoomCleared { by, reason: None }));
        OwnBatch { id: id.to_string(), payload: event.to_line(), events: vec![Arc::new(event)] }
    }

    fn headers(id: usize) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, id.to_string());
        headers
    }

    #[test]
    fn an_own_batch_is_taken_once_and_only_if_the_log_has_the_same_bytes() {
        let batches = OwnBatches::default();
        let (one, other) = (batch(1), batch(2));
        let (line, events) = (one.payload.clone(), one.events.clone());
        batches.insert(one);
        batches.insert(other);
        assert_eq!(batches.take(None, &line), None, "a message without an id");
        assert_eq!(batches.take(Some(&headers(3)), &line), None, "another node's");
        assert_eq!(batches.take(Some(&headers(1)), &line), Some(events));
        assert_eq!(batches.take(Some(&headers(1)), &line), None, "it was taken");
        assert_eq!(batches.take(Some(&headers(2)), &line), None, "other bytes under its id");
        assert!(batches.0.lock().is_empty());
    }

    #[test]
    fn the_oldest_is_forgotten_when_too_many_wait_and_so_is_one_that_is_not_in_the_log() {
        let batches = OwnBatches::default();
        let sent: Vec<Bytes> = (0..=MOST_BATCHES)
            .map(|id| {
                let batch = batch(id);
                let payload = batch.payload.clone();
                batches.insert(batch);
                payload
            })
            .collect();
        assert_eq!(batches.0.lock().len(), MOST_BATCHES);
        assert_eq!(batches.take(Some(&headers(0)), &sent[0]), None);
        assert!(batches.take(Some(&headers(1)), &sent[1]).is_some());
        batches.forget("2");
        assert_eq!(batches.take(Some(&headers(2)), &sent[2]), None);
        assert!(batches.take(Some(&headers(3)), &sent[3]).is_some());
    }
}
