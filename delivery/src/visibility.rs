//! Who is told what of a decision. A presenter reads the audit of the own room, and so gets its decisions whole; of those
//! about every room it is told what hides messages, and no more. Whoever may read the audit of all rooms, or the receipts
//! of erasures, is told that on the socket as well: the same data through every door. Which member holds what is not
//! known here.

use web::auth::Identity;

const MODERATE: &str = "chat:moderate";
const ERASE: &str = "chat:erase";

/// What a session's token may see beyond its own room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    /// Who decided about every room, and why.
    pub(crate) moderates: bool,
    /// Who erases users, and how.
    pub(crate) erases: bool,
}

impl Sight {
    pub(crate) fn of(identity: &Identity) -> Sight {
        Sight { moderates: identity.has_scope(MODERATE), erases: identity.has_scope(ERASE) }
    }
}
