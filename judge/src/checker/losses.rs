//! Events that a disk lost cannot be restored. Presenters who may have missed one must be told of a gap.

use std::collections::{BTreeMap, HashSet};

use chat::EventId;

use super::Findings;
use super::view::{Session, View};
use crate::history::Dialect;

pub(super) fn losses_are_told(view: &View, findings: &mut Findings) {
    let mut rooms: BTreeMap<i64, Vec<&Session>> = BTreeMap::new();
    for session in view.presenters().filter(|session| session.dialect == Dialect::V1) {
        // This welcome reports no gap, which is right if nothing was lost.
        findings.look();
        rooms.entry(session.room).or_default().push(session);
    }
    for (number, sessions) in rooms {
        let came: HashSet<EventId> =
            sessions.iter().flat_map(|session| &session.frames).map(|frame| frame.id).collect();
        for lost in view.losses.iter().filter(|lost| lost.room == Some(number) && !came.contains(&lost.id)) {
            findings.look();
            let mut later = sessions.iter().filter(|session| session.welcome > lost.line);
            let is_told = later.clone().any(|session| !session.recovered);
            if let Some(next) = later.next()
                && !is_told
            {
                let sentence = format!(
                    "room {number}: {} was lost before its presenter received it, and no gap was reported",
                    lost.id
                );
                findings.broken(sentence, [lost.line, next.welcome]);
            }
        }
    }
}
