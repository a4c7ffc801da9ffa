//! What a token shows of a room, whichever way a reader connects.

use chat::{PresenterIdx, UserIdx};
use web::auth::Pass;

use crate::readers::access::Access;
use crate::readers::stream::{Admission, AdmittedBy};
use crate::readers::view::View;
use crate::visibility::{MODERATE, Visibility};

/// Reads messages in every room.
pub(crate) const READ: &str = "chat:read";

/// What the token, the user's role or the room's setting shows of the room. None: nothing.
pub(crate) fn view(access: &Access, pass: Option<&Pass>, presenter: PresenterIdx) -> Option<(View, Option<Admission>)> {
    // Read before the decisions: one that comes meanwhile is looked at again.
    let version = access.version();
    if let Some(Pass { identity, .. }) = pass {
        let whole = View::Presenter(Visibility::of(identity));
        if identity.user_idx == presenter.get() || identity.has_scope(MODERATE) {
            return Some((whole, None));
        }
        if let Ok(user) = UserIdx::try_from(identity.user_idx) {
            let admission = Admission { presenter, by: AdmittedBy::Moderator(user), version };
            if admission.holds(access) {
                return Some((whole, Some(admission)));
            }
        }
        if identity.has_scope(READ) {
            return Some((View::Viewer { flags: true }, None));
        }
    }
    let admission = Admission { presenter, by: AdmittedBy::Setting { has_token: pass.is_some() }, version };
    admission.holds(access).then_some((View::Viewer { flags: false }, Some(admission)))
}
