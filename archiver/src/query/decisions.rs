//! The moderation log: decisions about a room, or about all, in the order of time, with the messages that they
//! deleted or restored.

use std::collections::{HashMap, HashSet};

use mongodb::bson::{DateTime, Document, doc};
use mongodb::options::{FindOptions, Hint};
use serde::Deserialize;

use super::sequence::{Order, Span, by_time};
use crate::mongo::collections::DECISIONS;
use crate::mongo::database::Database;
use crate::mongo::documents::{DecisionDocument, MessageDocument, REPORTED};
use crate::mongo::failure::Failure;
use crate::mongo::find::read_each;
use crate::mongo::schema::{DECISION_TIMES, ROOM_TIMES, USER_TIMES};

/// 50,000: of a user's deleted and restored messages only the latest are looked for. Their ids make a question of about
/// 2 MB.
const MOST_TARGETS: i64 = 50_000;

/// 10,000: of the messages on a page only so many reports are counted.
const MOST_REPORTS: i64 = 10_000;

/// Which decisions.
#[derive(Debug, Clone)]
pub(crate) struct DecisionSelection {
    /// About this room. None: about any room, and about all rooms.
    pub(crate) room: Option<i64>,
    pub(crate) span: Span,
    /// The type of the event.
    pub(crate) kind: Option<&'static str>,
    /// About this user, or about a deleted or restored message of this user.
    pub(crate) user: Option<i64>,
    /// Decided by this user.
    pub(crate) by: Option<i64>,
    pub(crate) order: Order,
}

/// A decision's place in the order of time: its time and its id.
pub(crate) type DecisionKey = (DateTime, String);

/// Some of the decisions.
#[derive(Debug)]
pub(crate) struct DecisionPage {
    pub(crate) decisions: Vec<DecisionDocument>,
    /// The messages that they name, by id.
    pub(crate) messages: HashMap<String, MessageDocument>,
    /// Who reported those.
    pub(crate) reporters: Reporters,
    /// Where to go on. None: that was all.
    pub(crate) next: Option<DecisionKey>,
}

/// Who reported some messages: the reports by message.
#[derive(Debug, Default)]
pub(crate) struct Reporters(HashMap<String, Vec<DecisionDocument>>);

impl Reporters {
    /// How many users had reported the decision's message, in its room, before the decision.
    pub(crate) fn before(&self, decision: &DecisionDocument) -> usize {
        let reports = decision.target.as_ref().and_then(|target| self.0.get(target)).into_iter().flatten();
        let here = reports.filter(|report| report.presenter_idx == decision.presenter_idx);
        let before = here.filter(|report| report.position < decision.position);
        before.map(|report| report.by.as_ref().map(|by| by.user_idx)).collect::<HashSet<_>>().len()
    }
}

/// The first decisions after the key.
pub(crate) async fn page(
    database: &Database,
    selection: &DecisionSelection,
    after: Option<DecisionKey>,
    first: usize,
) -> Result<DecisionPage, Failure> {
    let (direction, beyond) = match selection.order {
        Order::Desc => (-1, "$lt"),
        Order::Asc => (1, "$gt"),
    };
    let mut all: Vec<Document> = selection.room.into_iter().map(|room| doc! { "presenterIdx": room }).collect();
    all.extend(selection.span.filter().map(|range| doc! { "at": range }));
    // Reports of messages decide nothing.
    all.push(selection.kind.map_or_else(|| doc! { "type": { "$ne": REPORTED } }, |kind| doc! { "type": kind }));
    all.extend(selection.by.map(|by| doc! { "by.userIdx": by }));
    if let Some(user) = selection.user {
        all.push(about(database, user, selection.room).await?);
    }
    if let Some((at, id)) = after {
        all.extend(by_time("at", beyond, at, &id));
    }
    let filter = doc! { "$and": all };
    let index = if selection.room.is_some() { ROOM_TIMES } else { DECISION_TIMES };
    let options = FindOptions::builder()
        .sort(doc! { "at": direction, "_id": direction })
        .hint(Hint::Name(index.to_owned()))
        // One more than the page shows whether more follow.
        .limit(first as i64 + 1)
        .build();
    let mut found: Vec<Document> = database.select(&database.decisions(), filter, options).await?;
    let is_last = found.len() <= first;
    found.truncate(first);
    // Taken before invalid documents are skipped: a document that was changed by hand hides nothing after it.
    let next = found.last().filter(|_| !is_last).and_then(key);
    let decisions: Vec<DecisionDocument> = read_each(DECISIONS, found);
    let targets: Vec<&str> = decisions.iter().filter_map(|decision| decision.target.as_deref()).collect();
    let messages: Vec<MessageDocument> = if targets.is_empty() {
        Vec::new()
    } else {
        database.find(&database.messages(), doc! { "_id": { "$in": targets } }, 0).await?
    };
    let messages = messages.into_iter().map(|message| (message.id.clone(), message)).collect();
    let reporters = reporters(database, &decisions, selection.room).await?;
    Ok(DecisionPage { decisions, messages, reporters, next })
}

/// The reports of the messages that the decisions name.
async fn reporters(
    database: &Database,
    decisions: &[DecisionDocument],
    room: Option<i64>,
) -> Result<Reporters, Failure> {
    let targets: Vec<&str> = decisions.iter().filter_map(|decision| decision.target.as_deref()).collect();
    let mut reporters = Reporters::default();
    if targets.is_empty() {
        return Ok(reporters);
    }
    let mut about = doc! { "target": { "$in": targets }, "type": REPORTED };
    about.extend(room.map(|room| ("presenterIdx".to_owned(), room.into())));
    let options = FindOptions::builder().limit(MOST_REPORTS).build();
    let reports: Vec<DecisionDocument> = database.select(&database.decisions(), about, options).await?;
    for report in reports {
        if let Some(target) = report.target.clone() {
            reporters.0.entry(target).or_default().push(report);
        }
    }
    Ok(reporters)
}

fn key(decision: &Document) -> Option<DecisionKey> {
    Some((*decision.get_datetime("at").ok()?, decision.get_str("_id").ok()?.to_owned()))
}

/// Matches decisions about the user: bans, and deletions and restorations of the user's messages.
async fn about(database: &Database, user: i64, room: Option<i64>) -> Result<Document, Failure> {
    #[derive(Deserialize)]
    struct Target {
        #[serde(rename = "_id")]
        id: String,
    }
    let decided = [doc! { "deleted": { "$exists": true } }, doc! { "restored": { "$exists": true } }];
    let mut theirs = doc! { "userIdx": user, "$or": decided.to_vec() };
    theirs.extend(room.map(|room| ("presenterIdx".to_owned(), room.into())));
    let options = FindOptions::builder()
        .projection(doc! { "_id": 1 })
        .hint(Hint::Name(USER_TIMES.to_owned()))
        .sort(doc! { "sentAt": -1 })
        .limit(MOST_TARGETS)
        .build();
    let targets: Vec<Target> = database.select(&database.messages(), theirs, options).await?;
    let targets: Vec<String> = targets.into_iter().map(|Target { id }| id).collect();
    Ok(doc! { "$or": [{ "userIdx": user }, { "target": { "$in": targets } }] })
}
