//! A presenter's session as one document, made of two events that may come in any order, more than once, or never.

use mongodb::bson::{Document, doc};

use crate::mongo::database::{Database, Failure};
use crate::mongo::documents::{Cause, QuarantineDocument, SessionEnd};
use crate::write::work::Lined;

/// Records what the events say about their sessions. Of several copies of one end the first in the log stays.
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
    // No such end yet, or a later copy of it.
    let later = doc! { position: { "$gt": end.position } };
    let open = doc! { "_id": &end.session, "$or": [doc! { position: { "$exists": false } }, later] };
    match update(database, open.clone(), set.clone(), true).await {
        // The document is there. Either it has this end from an earlier copy, or it was made at this very moment by
        // whoever archives the other end: only then this finds it open.
        Err(Failure::Exists) => update(database, open, set, false).await,
        answer => answer,
    }
}

async fn update(database: &Database, filter: Document, set: Document, upsert: bool) -> Result<(), Failure> {
    let collection = database.broadcasts();
    database.ask(async move { collection.update_one(filter, set).upsert(upsert).await }).await.map(|_| ())
}
