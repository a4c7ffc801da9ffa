//! What ingest exposes to Prometheus, beside what each role does.

use std::sync::Arc;
use std::time::Instant;

use chat::EventKind;
use metrics::{Counter, Counters, Histogram, LATENCY, Registry};
use web::Admin;

use crate::posting::accept::Accepted;
use crate::posting::limits::Limited;
use crate::refusal::Refusal;
use crate::state::Ingest;

/// The outcome of a post that was accepted, beside the codes of the refusals.
const ACCEPTED: &str = "accepted";

/// The handles of what is counted at each request.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    posts: Counters,
    accepted: Counter,
    post_seconds: Histogram,
    limited: Counters,
    events: Counters,
    messages: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let registry = Registry::new();
        let codes = Refusal::all().into_iter().map(|refusal| refusal.row().code);
        let posts = registry.counters(
            "chatting_ingest_posts_total",
            "Posted messages by outcome: accepted, or the code of the refusal.",
            "code",
            codes.chain([ACCEPTED]),
        );
        let events = registry.counters(
            "chatting_ingest_events_total",
            "Events that this node appended, by type.",
            "type",
            EventKind::KNOWN.iter().map(EventKind::as_str),
        );
        Metrics {
            accepted: posts.of(ACCEPTED),
            posts,
            post_seconds: registry.histogram(
                "chatting_ingest_post_seconds",
                "Time from a post's header until it was in the log, fsynced. Accepted posts only.",
                LATENCY,
            ),
            limited: registry.counters(
                "chatting_ingest_limited_total",
                "Posts that a limit refused, by limit.",
                "limit",
                ["room", "user", "slow_mode", "duplicate"],
            ),
            messages: events.of(EventKind::MessagePosted.as_str()),
            events,
            registry,
        }
    }

    /// Counts a post that is about to be answered.
    pub(crate) fn posted(&self, received: Instant, outcome: &Result<Accepted, Refusal>) {
        match outcome {
            Ok(_) => {
                self.accepted.inc();
                self.post_seconds.observe(received.elapsed().as_secs_f64());
            }
            Err(refusal) => {
                self.posts.of(refusal.row().code).inc();
                if let Refusal::Limited(limited) = refusal {
                    self.limited.of(limit(limited)).inc();
                }
            }
        }
    }

    /// Counts an event that this node appended.
    pub(crate) fn appended(&self, kind: &EventKind) {
        match kind {
            EventKind::MessagePosted => self.messages.inc(),
            decision => self.events.of(decision.as_str()).inc(),
        }
    }
}

/// Exposes the metrics of the node and what it depends on.
pub(crate) fn declare(admin: &Admin, ingest: &Arc<Ingest>) {
    let (registry, shared) = (admin.metrics(), || ingest.clone());
    registry.include(&ingest.metrics.registry);
    registry.include(ingest.room_server.metrics());
    let node = shared();
    admin.depends_on("room_server", move || match node.room_server.is_cut_off() {
        true => Err("it does not answer: only rooms with a connected presenter count as live".to_owned()),
        false => Ok(()),
    });
    if let Some(review) = &ingest.review {
        registry.include(review.metrics());
        let node = shared();
        admin.depends_on("review_hook", move || match node.review.as_ref().is_some_and(|review| review.is_cut_off()) {
            true => Err("it does not answer: ingest.review.fallback decides about messages".to_owned()),
            false => Ok(()),
        });
    }
    let node = shared();
    registry.gauge(
        "chatting_ingest_in_flight_requests",
        "Requests between their admission and their answer.",
        move || node.admission.load().0 as f64,
    );
    let node = shared();
    registry.gauge(
        "chatting_ingest_in_flight_limit",
        "Requests that are admitted at once. It goes down while appends are slow; further ones get 503 overloaded.",
        move || node.admission.load().1 as f64,
    );
    let node = shared();
    registry.gauge("chatting_ingest_unfinished_requests", "Requests whose body has not arrived.", move || {
        node.unfinished.in_use() as f64
    });
    let node = shared();
    registry.gauge(
        "chatting_ingest_replay_current",
        "Whether bans, settings and keys are replayed from the log up to now: 1 or 0.",
        move || f64::from(node.replay.is_caught_up() && node.replay.is_current()),
    );
}

fn limit(limited: &Limited) -> &'static str {
    match limited {
        Limited::SlowMode { .. } => "slow_mode",
        Limited::Duplicate => "duplicate",
        Limited::Rate { quota, .. } => quota.policy,
    }
}
