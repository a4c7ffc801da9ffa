//! What a token shows of a room, whichever way a reader connects.

use chat::{PresenterIdx, UserIdx};
use web::auth::Identity;

use crate::readers::access::Access;
use crate::readers::stream::{Admission, AdmittedBy};
use crate::readers::view::View;
use crate::visibility::Visibility;

/// Reads messages in every room.
pub(crate) const READ: &str = "chat:read";

/// What a token allows to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) user: i64,
    /// Beyond the user's own room.
    pub(crate) visibility: Visibility,
    /// The messages of every room.
    pub(crate) reads: bool,
}

impl Rights {
    pub(crate) fn of(identity: &Identity) -> Rights {
        Rights { user: identity.user_idx, visibility: Visibility::of(identity), reads: identity.has_scope(READ) }
    }
}

/// What the token, the user's role or the room's setting shows of the room. None: nothing.
pub(crate) fn view(
    access: &Access,
    rights: Option<Rights>,
    presenter: PresenterIdx,
) -> Option<(View, Option<Admission>)> {
    // Read before the decisions: one that comes meanwhile is looked at again.
    let version = access.version();
    if let Some(Rights { user, visibility, reads }) = rights {
        let whole = View::Presenter(Visibility { holds: true, ..visibility });
        if user == presenter.get() || visibility.moderates {
            return Some((whole, None));
        }
        if let Ok(user) = UserIdx::try_from(user) {
            let admission = Admission { presenter, by: AdmittedBy::Moderator(user), version };
            if admission.holds(access) {
                return Some((whole, Some(admission)));
            }
        }
        if reads {
            return Some((View::Viewer { flags: true }, None));
        }
    }
    let admission = Admission { presenter, by: AdmittedBy::Setting { has_token: rights.is_some() }, version };
    admission.holds(access).then_some((View::Viewer { flags: false }, Some(admission)))
}
