//! The queue of reports: the messages of a room that users reported, with their reports. By the log's order, a
//! message's reports are closed by the first event after the latest of them that closes them, deletes the message, or
//! bans its author from the room. A later report opens them again. So nothing about a queue is stored, and copies,
//! redelivery and the order of archiving do not matter.

use std::collections::HashMap;

use mongodb::bson::doc;
use mongodb::options::{FindOptions, Hint};

use crate::mongo::database::Database;
use crate::mongo::documents::{DecisionDocument, MessageDocument, PositionDocument, REPORTED, SWEPT};
use crate::mongo::failure::Failure;
use crate::mongo::schema::ROOM_REPORTS;

/// 5,000: of a room only the latest reports are in the queue. Each may have 8 KB, and usually has a few hundred bytes.
const MOST_REPORTS: i64 = 5_000;

/// A message with its reports.
#[derive(Debug)]
pub(crate) struct ReportedMessage {
    pub(crate) message: MessageDocument,
    /// The latest first. There is at least one.
    pub(crate) reports: Vec<DecisionDocument>,
    /// The decision that closed them. None: they are open.
    pub(crate) closed: Option<DecisionDocument>,
}

/// Some of the messages.
#[derive(Debug)]
pub(crate) struct ReportPage {
    /// The one that was reported last comes first.
    pub(crate) messages: Vec<ReportedMessage>,
    /// Where to go on: the position of the latest report of the last message. None: that was all.
    pub(crate) next: Option<PositionDocument>,
}

/// The first messages whose latest report is before that position. `is_open`: only those whose reports are open, or
/// only those whose reports are closed. Reports of messages that the archive does not have are left out.
pub(crate) async fn page(
    database: &Database,
    room: i64,
    is_open: Option<bool>,
    before: Option<PositionDocument>,
    first: usize,
) -> Result<ReportPage, Failure> {
    let reported = doc! { "presenterIdx": room, "type": REPORTED, "category": { "$exists": true } };
    let options = FindOptions::builder()
        .sort(doc! { "position": -1 })
        .hint(Hint::Name(ROOM_REPORTS.to_owned()))
        .limit(MOST_REPORTS)
        .build();
    let reports: Vec<DecisionDocument> = database.select(&database.decisions(), reported, options).await?;
    let Some(oldest) = reports.last().map(|report| report.position) else {
        return Ok(ReportPage { messages: Vec::new(), next: None });
    };
    let mut by_target: HashMap<String, Vec<DecisionDocument>> = HashMap::new();
    for report in reports {
        if let Some(target) = report.target.clone() {
            by_target.entry(target).or_default().push(report);
        }
    }
    let targets: Vec<&str> = by_target.keys().map(String::as_str).collect();
    let theirs = doc! { "_id": { "$in": &targets }, "presenterIdx": room };
    let messages: Vec<MessageDocument> = database.select(&database.messages(), theirs, FindOptions::default()).await?;
    let authors: Vec<i64> = messages.iter().map(|message| message.user_idx).collect();
    let deletions: Vec<&str> =
        messages.iter().filter_map(|message| Some(message.deleted.as_ref()?.decision.as_str())).collect();
    let closing = doc! {
        "presenterIdx": room,
        "position": { "$gt": oldest },
        "$or": [
            { "type": { "$in": ["report.closed", "message.deleted"] }, "target": { "$in": &targets } },
            { "type": "room.cleared" },
            { "type": "user.banned", "userIdx": { "$in": authors } },
            { "type": SWEPT, "_id": { "$in": deletions } },
        ],
    };
    let options = FindOptions::builder().sort(doc! { "position": 1 }).build();
    let closing: Vec<DecisionDocument> = database.select(&database.decisions(), closing, options).await?;

    let mut reported: Vec<ReportedMessage> = messages
        .into_iter()
        .filter_map(|message| {
            let reports = by_target.remove(&message.id)?;
            let closed = closing.iter().find(|decision| closes(decision, &message, reports[0].position)).cloned();
            Some(ReportedMessage { message, reports, closed })
        })
        .filter(|reported| is_open.is_none_or(|is_open| reported.closed.is_none() == is_open))
        .filter(|reported| before.is_none_or(|before| reported.latest() < before))
        .collect();
    reported.sort_by_key(|reported| std::cmp::Reverse(reported.latest()));
    let is_last = reported.len() <= first;
    reported.truncate(first);
    let next = reported.last().filter(|_| !is_last).map(ReportedMessage::latest);
    Ok(ReportPage { messages: reported, next })
}

impl ReportedMessage {
    /// The position of the latest report.
    fn latest(&self) -> PositionDocument {
        self.reports[0].position
    }
}

/// Whether the decision closes the message's reports, of which the latest is at that position.
fn closes(decision: &DecisionDocument, message: &MessageDocument, latest: PositionDocument) -> bool {
    let is_about = match decision.kind.as_str() {
        "room.cleared" => true,
        "user.banned" => decision.user_idx == Some(message.user_idx),
        // An undone sweep leaves no mark, so that the reports are open again.
        SWEPT => message.deleted.as_ref().is_some_and(|deleted| deleted.decision == decision.id),
        _ => decision.target.as_ref() == Some(&message.id),
    };
    is_about && decision.position > latest
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{DateTime, Document, deserialize_from_document};

    use super::*;

    fn decision(kind: &str, members: Document, sequence: i64) -> DecisionDocument {
        let mut document = doc! {
            "_id": "a-decision", "type": kind, "presenterIdx": 1_i64, "at": DateTime::now(),
            "position": PositionDocument { epoch: 1, sequence, index: 0 },
        };
        document.extend(members);
        deserialize_from_document(document).unwrap()
    }

    #[test]
    fn reports_are_closed_by_what_follows_the_latest_of_them_and_is_about_the_message() {
        let message = doc! {
            "_id": "a-message", "presenterIdx": 1_i64, "userIdx": 7_i64, "nickname": "n", "role": "viewer",
            "sentAt": DateTime::now(), "position": PositionDocument { epoch: 1, sequence: 1, index: 0 }, "flags": [],
            "deleted": {
                "decision": "its-sweep", "at": DateTime::now(),
                "by": { "userIdx": 1_i64, "nickname": "n", "role": "presenter" },
                "position": PositionDocument { epoch: 1, sequence: 6, index: 0 },
            },
        };
        let message: MessageDocument = deserialize_from_document(message).unwrap();
        let latest = PositionDocument { epoch: 1, sequence: 5, index: 0 };
        for (kind, members, is_about) in [
            ("report.closed", doc! { "target": "a-message" }, true),
            ("report.closed", doc! { "target": "another" }, false),
            ("message.deleted", doc! { "target": "a-message" }, true),
            ("message.deleted", doc! { "target": "another" }, false),
            ("room.cleared", doc! {}, true),
            ("user.banned", doc! { "userIdx": 7_i64 }, true),
            ("user.banned", doc! { "userIdx": 8_i64 }, false),
            (SWEPT, doc! { "_id": "its-sweep" }, true),
            (SWEPT, doc! {}, false),
        ] {
            for (sequence, follows) in [(4, false), (5, false), (6, true)] {
                let decision = decision(kind, members.clone(), sequence);
                assert_eq!(closes(&decision, &message, latest), is_about && follows, "{kind} {members} at {sequence}");
            }
        }
    }
}
