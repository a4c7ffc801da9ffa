//! The spans of messages whose trace is sampled: one when a session has written the message to its socket, and one when
//! the page has acknowledged it.

use std::time::SystemTime;

use chat::{EventId, EventKind, Position};
use nats::Entry;
use otlp::{Kind, Span, Tracer};
use runtime::{ShardedLru, TraceContext};

use crate::window::{Kept, Shown};

/// 4,096 sampled messages of the window; the least recent is forgotten before another one is kept.
const MOST: usize = 4_096;

/// 64 sampled messages of a session that its page has not acknowledged.
const MOST_UNACKNOWLEDGED: usize = 64;

/// The sampled messages of the window.
#[derive(Debug)]
pub(crate) struct Traces {
    tracer: Tracer,
    sampled: ShardedLru<Position, (EventId, TraceContext)>,
}

/// A sampled message that was written and is not acknowledged.
#[derive(Debug)]
pub(crate) struct Unacknowledged {
    position: Position,
    written: SystemTime,
    delivered: TraceContext,
}

impl Traces {
    pub(crate) fn new(tracer: Tracer) -> Traces {
        Traces { tracer, sampled: ShardedLru::new(MOST) }
    }

    /// Remembers the sampled messages among what comes from the log.
    pub(crate) fn note(&self, entries: &[Entry]) {
        if !self.tracer.is_on() {
            return;
        }
        for entry in entries.iter().filter(|entry| entry.kind == EventKind::MessagePosted) {
            if let Some(trace) = entry.trace {
                self.sampled.insert(entry.position, (entry.id, trace));
            }
        }
    }

    /// When the write of a page begins. None: nothing is traced.
    pub(crate) fn begin(&self) -> Option<SystemTime> {
        self.tracer.is_on().then(SystemTime::now)
    }

    /// Records the messages of the page up to that position as written since `began`. They stay in `unacknowledged` if
    /// there is one.
    pub(crate) fn written(
        &self,
        page: &[Kept],
        reached: Position,
        began: SystemTime,
        mut unacknowledged: Option<&mut Vec<Unacknowledged>>,
    ) {
        let now = SystemTime::now();
        for event in page.iter().take_while(|event| event.position <= reached) {
            let Some((id, parent)) = self.sampled.get(event.position) else { continue };
            // Of a deleted message the session has written that it is deleted, of an erased one nothing.
            if !matches!(event.shown(), Ok(Shown::Message(_))) {
                continue;
            }
            let span = Span::below(parent, Kind::Consumer, "deliver chat").since(began);
            let span = span
                .with("messaging.system", "nats")
                .with("messaging.operation.type", "process")
                .with("messaging.operation.name", "deliver")
                .with("messaging.message.id", id.to_string())
                .with("network.protocol.name", "websocket");
            if let Some(waiting) = &mut unacknowledged {
                if waiting.len() == MOST_UNACKNOWLEDGED {
                    waiting.remove(0);
                }
                waiting.push(Unacknowledged { position: event.position, written: now, delivered: span.context() });
            }
            self.tracer.end_at(span, now);
        }
    }

    /// Records the messages up to that position as acknowledged.
    pub(crate) fn acknowledged(&self, unacknowledged: &mut Vec<Unacknowledged>, position: Position) {
        unacknowledged.retain(|waiting| {
            let is_acknowledged = waiting.position <= position;
            if is_acknowledged {
                let span = Span::below(waiting.delivered, Kind::Internal, "acknowledge chat");
                self.tracer.end(span.since(waiting.written));
            }
            !is_acknowledged
        });
    }
}
