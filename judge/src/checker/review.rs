//! Verdicts of the review hook are enforced. If the hook cannot be asked, these runs accept the message.

use super::Findings;
use super::view::{SETTLE_US, View};
use crate::history::ReviewVerdict;

/// How soon after the post the hook must be asked: ingest waits 200 ms for it, after the room server and the limits.
const ASKED_WITHIN_US: u64 = 500_000;

pub(super) fn reviews_are_heeded(view: &View, findings: &mut Findings) {
    for post in view.posts.values() {
        // Without a hook every message stays as it was sent.
        findings.look();
        let Some((reviewed, verdict)) = view.reviews.get(post.text) else { continue };
        let Some((accepted, id, _)) = post.request.accepted() else { continue };
        let stands = match verdict {
            ReviewVerdict::Deny => "although it was denied",
            ReviewVerdict::Hold => "without a hold, although it was to wait for a moderator",
            ReviewVerdict::Replace { .. } if view.logged.contains_key(&id) && !view.replaced.contains(&id) => {
                "as it was sent, although its text was replaced"
            }
            _ => continue,
        };
        // Ingest had already stopped waiting for the answer.
        let sent = post.request.attempts.values().map(|attempt| attempt.sent).filter(|sent| sent < reviewed).max();
        if sent.is_some_and(|sent| view.at(*reviewed) > view.at(sent) + ASKED_WITHIN_US) {
            continue;
        }
        let (from, to) = (view.at(post.request.invoked), view.at(accepted));
        if !view.disturbed(&["ingest", "nats"], from, to, SETTLE_US) {
            let sentence = format!("{id} was accepted {stands}");
            findings.broken(sentence, [post.request.invoked, *reviewed, accepted]);
        }
    }
}
