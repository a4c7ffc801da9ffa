//! Who sees which part of a decision. A presenter may read the audit of their own room, and receives its decisions
//! whole. Of a decision about every room a presenter receives the members that hide messages, and no more. A token that
//! may read the audit of all rooms, or the receipts of erasures, receives that on the socket as well: every surface
//! shows the same data. The dialects map this to members.

use web::auth::Identity;

/// Moderates every room.
pub(crate) const MODERATE: &str = "chat:moderate";

/// Erases users.
pub(crate) const ERASE: &str = "chat:erase";

/// What a token may see of the room beside its messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Visibility {
    /// Who decided about every room, and why.
    pub(crate) moderates: bool,
    /// Who erased a user, and how.
    pub(crate) erases: bool,
    /// Messages that wait for a moderator, and denials of them. Never in a presenter's session: a page of an earlier
    /// version would forward them to its viewers.
    pub(crate) holds: bool,
}

impl Visibility {
    pub(crate) fn of(identity: &Identity) -> Visibility {
        Visibility { moderates: identity.has_scope(MODERATE), erases: identity.has_scope(ERASE), holds: false }
    }
}
