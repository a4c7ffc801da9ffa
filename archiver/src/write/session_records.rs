//! Session records: a presenter's session is one document of `broadcasts`, made of two events that may arrive in any
//! order, more than once, or never.

use mongodb::bson::{Document, doc};

use crate::mongo::database::Database;
use crate::mongo::documents::{Cause, QuarantineDocument, SessionEnd};
use crate::mongo::failure::Failure;
use crate::work::Lined;

/// Records the starts and ends of sessions. Of several copies of an event the first one in the log stays.
pub(crate) async fn record(
    database: &Database,
    sessions: &[Lined<SessionEnd>],
) -> Result<Vec<QuarantineDocument>, Failure> {
    let mut refused = Vec::new();
    for Lined { document, line } in sessions {
        match record_one(database, document).await {
            Ok(()) => {}
            Err(Failure::Refused(reason)) => refused.push(line.quarantined(Cause::Refused, reason)),
            Err(failure) => return Err(failure),
        }
    }
    Ok(refused)
}

async fn record_one(database: &Database, end: &SessionEnd) -> Result<(), Failure> {
    let (at, position) = match end.disconnected {
        None => ("connectedAt", "connectedPosition"),
        Some(_) => ("disconnectedAt", "disconnectedPosition"),
    };
    let mut members = doc! { "presenterIdx": end.presenter_idx, at: end.at, position: end.position };
    if let Some(reason) = &end.disconnected {
        members.insert("reason", reason);
    }
    let set = doc! { "$set": members };
    // The session has no such end yet, or has a later copy of it.
    let later = doc! { position: { "$gt": end.position } };
    let open = doc! { "_id": &end.session, "$or": [doc! { position: { "$exists": false } }, later] };
    match update(database, open.clone(), set.clone(), true).await {
        // The document exists. It has this end from an earlier copy, or another archiver created it at this moment for
        // the other end. Only in that case this update finds it.
        Err(Failure::Exists) => update(database, open, set, false).await,
        answer => answer,
    }
}

async fn update(database: &Database, filter: Document, set: Document, upsert: bool) -> Result<(), Failure> {
    let collection = database.broadcasts();
    database.ask(async move { collection.update_one(filter, set).upsert(upsert).await }).await.map(|_| ())
}
