//! Checks a play: every accepted message is on its presenter's screen and in the archive, once, as sent, in one order
//! that keeps each user's own order.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use archiver::{Archive, ArchivedMessage};
use chat::{EventId, PresenterIdx};

use super::post::{Outcome, Posted};
use super::presenter::{Screen, Seen};
use super::report::Report;

/// How long the number of missing messages must not change before they count as lost: longer than any backoff.
const QUIET: Duration = Duration::from_secs(60);

/// The interval between checks.
const LOOK: Duration = Duration::from_millis(200);

/// `posted` has each user's lines in order. `users` are the user numbers of this play.
pub(super) async fn check(
    posted: &[Vec<Posted>],
    screens: &BTreeMap<PresenterIdx, Screen>,
    archive: &Archive,
    users: &Range<i64>,
    posting: Duration,
) -> anyhow::Result<Report> {
    let mut report = Report { posting, ..Report::default() };
    let mut rooms: BTreeMap<PresenterIdx, Room> = BTreeMap::new();
    for line in posted.iter().flatten() {
        let room = rooms.entry(line.room).or_default();
        match &line.outcome {
            Outcome::Accepted { id, .. } => {
                report.accepted += 1;
                if room.accepted.insert(*id, line).is_some() {
                    report.problem(format!("two messages were accepted under the id {id}"));
                }
            }
            Outcome::Refused(reason) => {
                *report.refused.entry(reason.clone()).or_default() += 1;
                report.refused_lines.entry(reason.clone()).or_default().push(line.line);
            }
            Outcome::Unknown(reason) => {
                *report.unknown.entry(reason.clone()).or_default() += 1;
                room.unknown.push(line);
            }
        }
    }

    if report.accepted == 0 && !rooms.is_empty() {
        report.problem("nothing was accepted".to_owned());
    }

    until_complete(async || {
        let missing = |(room, screen): (&PresenterIdx, &Screen)| {
            let (seen, Some(room)) = (screen.seen(), rooms.get(room)) else { return 0 };
            room.accepted.keys().filter(|id| !seen.contains(**id)).count()
        };
        screens.iter().map(missing).sum()
    })
    .await;
    let mut archived: BTreeMap<PresenterIdx, Vec<ArchivedMessage>> = BTreeMap::new();
    until_complete(async || {
        let mut missing = 0;
        for (idx, room) in &rooms {
            match archive.room(*idx).await {
                Ok(messages) => {
                    let ids: HashSet<EventId> = messages.iter().map(|message| message.id).collect();
                    missing += room.accepted.keys().filter(|id| !ids.contains(id)).count();
                    archived.insert(*idx, messages);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot read the archive: {error}; trying again");
                    missing += room.accepted.len();
                }
            }
        }
        missing
    })
    .await;

    for (idx, room) in &rooms {
        let messages = archived.remove(idx).unwrap_or_default();
        let screen = screens.get(idx).expect("every room of the play has a screen");
        room.check_screen(*idx, &screen.seen(), &messages, &mut report);
        room.check_archive(*idx, &messages, users, &mut report);
    }
    for user in posted {
        report.check_order_of_user(user);
    }
    Ok(report)
}

#[derive(Default)]
struct Room<'a> {
    accepted: HashMap<EventId, &'a Posted>,
    unknown: Vec<&'a Posted>,
}

impl Room<'_> {
    fn check_archive(&self, idx: PresenterIdx, messages: &[ArchivedMessage], users: &Range<i64>, report: &mut Report) {
        let mut ids = HashSet::new();
        for message in messages {
            let id = message.id;
            if !ids.insert(id) {
                report.problem(format!("room {idx}: {id} is in the archive twice"));
            }
            match self.accepted.get(&id) {
                Some(posted) => {
                    report.archived += 1;
                    if posted.text.trim() != message.message || posted.user != message.user.idx {
                        report.problem(format!("room {idx}: {id} is not archived as it was sent"));
                    }
                    report.places.insert(id, message.position);
                }
                None if !users.contains(&message.user.idx) => {}
                None => {
                    let may_be =
                        |posted: &&&Posted| posted.user == message.user.idx && posted.text.trim() == message.message;
                    if self.unknown.iter().find(may_be).is_none() {
                        report.problem(format!("room {idx}: {id} is in the archive but was never accepted"));
                    }
                }
            }
        }
        for id in self.accepted.keys().filter(|id| !ids.contains(*id)) {
            report.problem(format!("room {idx}: {id} was accepted and is not in the archive"));
        }
    }

    fn check_screen(&self, idx: PresenterIdx, seen: &Seen, messages: &[ArchivedMessage], report: &mut Report) {
        report.repeated += seen.repeated;
        for id in self.accepted.keys().filter(|id| !seen.contains(**id)) {
            report.problem(format!("room {idx}: {id} was accepted and did not reach the presenter"));
        }
        let mut order = Vec::new();
        for shown in &seen.shown {
            let Some(posted) = self.accepted.get(&shown.message_id) else { continue };
            report.delivered += 1;
            order.push(shown.message_id);
            if posted.text.trim() != shown.message {
                report.problem(format!("room {idx}: {} did not reach the presenter as it was sent", shown.message_id));
            }
        }
        let archived: Vec<EventId> =
            messages.iter().map(|message| message.id).filter(|id| self.accepted.contains_key(id)).collect();
        // Missing messages are reported above. If none is missing, the orders are compared.
        if order.len() == archived.len()
            && let Some((shown, _)) = order.iter().zip(&archived).find(|(shown, archived)| shown != archived)
        {
            report.problem(format!("room {idx}: from {shown} on, the presenter's order differs from the archive's"));
        }
    }
}

impl Report {
    /// In order of posting, and therefore of the archive's positions in each room.
    fn check_order_of_user(&mut self, posted: &[Posted]) {
        let mut last = HashMap::new();
        for line in posted {
            let Outcome::Accepted { id, .. } = line.outcome else { continue };
            let Some(place) = self.places.get(&id).copied() else { continue };
            if let Some(before) = last.insert(line.room, place)
                && before >= place
            {
                self.problem(format!("room {}: {id} overtook an earlier message of the same user", line.room));
            }
        }
    }
}

/// Repeats `look` until it returns 0, or the same number for [`QUIET`].
async fn until_complete(mut look: impl AsyncFnMut() -> usize) {
    let (mut missing, mut since) = (usize::MAX, Instant::now());
    loop {
        let now = look().await;
        if now == 0 {
            return;
        }
        if now != missing {
            (missing, since) = (now, Instant::now());
        }
        if since.elapsed() > QUIET {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests;
