//! What the review hook says of a message holds, unless it could not be asked: then the runs let the message pass.

use super::Findings;
use super::view::{SETTLE_US, View};
use crate::history::ReviewVerdict;

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
        let (from, to) = (view.at(post.request.invoked), view.at(accepted));
        if !view.disturbed(&["ingest", "nats"], from, to, SETTLE_US) {
            let sentence = format!("{id} was accepted {stands}");
            findings.broken(sentence, [post.request.invoked, *reviewed, accepted]);
        }
    }
}
