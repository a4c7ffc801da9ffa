//! Releases and denials of held messages. Both have the message's id, so `moderation_log` keeps the first of them. If
//! that is a denial, a later release brought no message into the room. Its message is not stored, or removed if the
//! denial is archived after it.

use std::collections::HashMap;

use mongodb::bson::{DateTime, doc};

use crate::mongo::database::Database;
use crate::mongo::documents::{MessageDocument, PositionDocument};
use crate::mongo::failure::Failure;
use crate::work::Work;
use crate::write::deduplicate::{self, EventDocument as _};
use crate::write::text_index;

/// The type of a release: it is a `message.posted` in the log, and a decision here.
pub(crate) const RELEASED: &str = "message.released";

/// The type of a denial.
pub(crate) const DENIED: &str = "message.denied";

/// Whether the two are decisions about one held message.
pub(crate) fn are_of_one_hold(one: &str, other: &str) -> bool {
    [one, other].iter().all(|kind| [RELEASED, DENIED].contains(kind))
}

/// The messages of the batch's releases and denials that were denied first, with the denials' positions, after the
/// decisions of the batch are stored.
pub(crate) async fn denied(database: &Database, work: &Work) -> Result<HashMap<String, PositionDocument>, Failure> {
    let standing = deduplicate::find(database, &database.decisions(), decided(work)).await?;
    let denied = standing.into_values().filter(|decision| decision.kind == DENIED);
    Ok(denied.map(|decision| (decision.id, decision.position)).collect())
}

/// The messages of the batch's releases and denials.
fn decided(work: &Work) -> Vec<String> {
    let decisions = work.decisions.iter().map(|decision| &decision.document);
    let about_holds = decisions.filter(|decision| [RELEASED, DENIED].contains(&decision.kind.as_str()));
    about_holds.map(|decision| decision.id.clone()).collect()
}

/// Removes the messages of the batch's releases and denials that were denied first, after the batch is stored: another
/// archiver may have stored a denial meanwhile, and this batch may have one whose release is archived already.
pub(crate) async fn enforce(database: &Database, work: &Work) -> Result<(), Failure> {
    let standing = deduplicate::find(database, &database.decisions(), decided(work)).await?;
    let mut released = Vec::new();
    for decision in standing.into_values() {
        if decision.kind == DENIED {
            let later = doc! {
                "_id": &decision.id,
                "presenterIdx": decision.presenter_idx,
                "position": { "$gt": decision.position },
            };
            text_index::remove_messages(database, later).await?;
        } else {
            let is_its =
                |message: &&MessageDocument| (&message.id, message.position) == (&decision.id, decision.position);
            let its_message = work.messages.iter().map(|message| &message.document).find(is_its);
            released.extend(its_message.map(|message| message.clone().stored_at(DateTime::now())));
        }
    }
    // A denial between two copies of a release may have removed the later copy while the earlier one replaced it.
    if released.is_empty() { Ok(()) } else { database.insert(database.messages(), released).await.map(|_| ()) }
}
