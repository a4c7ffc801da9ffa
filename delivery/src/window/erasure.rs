//! Erased users: what the window withholds because of them. Authorship is checked on read, and only while the window
//! holds an erasure: marking a full window would delay every reader.

use std::collections::VecDeque;

use chat::{Position, UserIdx};

use crate::window::kept::{About, Kept};

/// Nothing that the user wrote before the position is handed out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Erasure {
    pub(super) position: Position,
    pub(super) user: UserIdx,
}

/// Withholds what the event says of users who were erased after it.
pub(super) fn forget_erased(kept: &mut Kept, erasures: &VecDeque<Erasure>) {
    let later = erasures.partition_point(|erasure| erasure.position <= kept.position);
    if later < erasures.len() {
        kept.forget(|user| erasures.range(later..).any(|erasure| erasure.user == user));
    }
}

/// Sets whom a deletion or a restoration is about: the author of its message. If the author was erased after the
/// message, the reason and the message are withheld, even if the erasure precedes the decision. An unknown author
/// counts as erased by any erasure.
pub(super) fn about_target(decision: &mut Kept, target: Option<&Kept>, erasures: &VecDeque<Erasure>) {
    let author = target.and_then(Kept::author);
    decision.about = author.map_or(About::Unknown, About::User);
    let is_erased = match (target, author) {
        (Some(target), Some(author)) => {
            let later = erasures.partition_point(|erasure| erasure.position <= target.position);
            erasures.range(later..).any(|erasure| erasure.user == author)
        }
        _ => !erasures.is_empty(),
    };
    decision.withheld.reason |= is_erased;
    decision.withheld.message |= is_erased;
}
