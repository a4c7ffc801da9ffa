//! What the review hook says of a message holds, unless it could not be asked: then the runs let the message pass.

use super::Findings;
use super::view::{SETTLE_US, View};
use crate::history::ReviewVerdict;

/// How long after a post was sent the hook has to have been asked: it is given 200 ms, and before it the room server and the
/// limits are.
const ASKED_WITHIN_US: u64 = 500_000;

pub(super) fn reviews_are_heeded(view: &View, findings: &mut Findings) {
    for post in view.posts.values() {
        // Where no hook is asked every message stands as it was sent.
        findings.look();
        let Some((reviewed, verdict)) = view.reviews.get(post.text) else { continue };
        let Some((accepted, id, _)) = post.request.accepted() else { continue };
        let stands = match verdict {
            ReviewVerdict::Deny => "although it was denied",
            ReviewVerdict::Replace { .. } if view.logged.contains_key(&id) && !view.replaced.contains(&id) => {
                "as it was sent, although another text was to take its place"
            }
            _ => continue,
        };
        // By then nobody waited for its answer any more.
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
