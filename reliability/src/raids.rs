//! Raids: some users write a few texts in many spellings, and moderators sweep that out while the last of them still
//! write. Many sweeps are undone. Sometimes two moderators sweep, or undo, at once, and some of the messages are deleted
//! or restored one by one as well.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chat::EventId;
use fastrand::Rng;
use futures_util::future::join_all;
use judge::history::{Decided, MessageObservation, Surface, Swept};
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::ask::{Answer, client};
use crate::moderators::{Caller, FIRST_MODERATOR, Moderators};
use crate::viewers::{Attempts, Viewers};

/// The first of the two moderators who sweep.
const FIRST_SWEEPER: i64 = FIRST_MODERATOR + 90;

/// The users of raids. They write nothing else, and nobody bans or erases them.
const RAIDERS: std::ops::Range<i64> = 5_000..5_006;

/// The first of the users of raids who have never written before, and their number in each.
const FIRST_NEW: i64 = 6_000;
const NEW: i64 = RAIDERS.end - RAIDERS.start;

/// The flag of a message about which the review hook could not be asked.
const UNREVIEWED: &str = "review.unavailable";

/// The number of texts of a raid.
const TEXTS: u64 = 3;

/// The number of messages of a raid.
const MESSAGES: std::ops::Range<u64> = 4..13;

/// The pause between two raids, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 500..2_500;

/// How long a sweep stands before it is undone, in milliseconds.
const STANDS_MS: std::ops::Range<u64> = 50..3_000;

/// The pause between the end of a sweep and one more message of the raid, in milliseconds: every node knows of the end.
const ENDED_MS: std::ops::Range<u64> = 1_100..2_000;

/// The body of a request for a sweep.
pub(crate) fn request(swept: &Swept, reason: &str) -> Value {
    let Swept { texts, similarity, users, first_seen, label, seconds_back, refuses_for, holds_for, .. } = swept;
    let mut rule = Map::new();
    rule.extend(texts.as_ref().map(|texts| ("texts".to_owned(), json!(texts))));
    let similarity = similarity.map(|percent| f64::from(percent) / 100.0);
    rule.extend(similarity.map(|similarity| ("similarity".to_owned(), json!(similarity))));
    rule.extend(users.as_ref().map(|users| ("users".to_owned(), json!(users))));
    rule.extend(first_seen.map(|seconds| ("firstSeenSeconds".to_owned(), json!(seconds))));
    rule.extend(label.as_ref().map(|label| ("label".to_owned(), json!(label))));
    let mut body = json!({ "rule": rule, "secondsBack": seconds_back, "reason": reason });
    if let Some(seconds) = refuses_for.or(*holds_for) {
        body["secondsForward"] = json!(seconds);
        body["forward"] = json!(if holds_for.is_some() { "hold" } else { "refuse" });
    }
    body
}

/// A message of a raid.
struct Wave {
    post: u64,
    user: i64,
    text: String,
}

impl Moderators {
    /// Lets raids happen and sweeps them until the stop.
    pub(crate) async fn sweep_raids(&self, viewers: &Viewers, stop: &CancellationToken) -> anyhow::Result<()> {
        let sweepers = [Caller::with_scope(FIRST_SWEEPER)?, Caller::with_scope(FIRST_SWEEPER + 1)?];
        let (client, mut rng) = (client()?, Rng::with_seed(self.seed ^ 0x5eeb));
        for raid in 1_u64.. {
            let pause = Duration::from_millis(rng.u64(PAUSE_MS));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
            let room = if rng.bool() { 1 } else { rng.i64(1..=self.rooms) };
            let count = rng.u64(MESSAGES);
            let waves: Vec<Wave> = (0..count).map(|wave| self.wave(viewers, room, raid, wave)).collect();
            let (first, late) = waves.split_at(waves.len() - rng.usize(..3));
            let [refused, refused_again, free] = [2, 5, 8].map(|later| self.wave(viewers, room, raid, count + later));
            let mut forks: Vec<Rng> = waves.iter().map(|_| rng.fork()).collect();
            let (of_first, of_late) = forks.split_at_mut(first.len());
            let posted: Vec<EventId> = post_all(viewers, &client, room, first, of_first).await;
            if let Some(target) = rng.choice(&posted).copied().filter(|_| rng.bool()) {
                self.ask(&sweepers[0], Some(room), Decided::Delete { target }, &mut rng).await;
            }
            let [one, other] = [(); 2].map(|()| swept(raid, &mut rng));
            // The first of them always, so that even a short run has some.
            if raid < 6 || rng.bool() {
                self.preview(&sweepers[1], room, &one, &mut rng).await;
            }
            let (by_two, mut fork) = (rng.u32(..3) == 0, rng.fork());
            let (_, one, other) = tokio::join!(
                post_all(viewers, &client, room, late, of_late),
                self.sweep(&sweepers[0], room, one, &mut rng),
                async { if by_two { self.sweep(&sweepers[1], room, other, &mut fork).await } else { None } },
            );
            if let Some(target) = rng.choice(&posted).copied().filter(|_| rng.u32(..4) == 0) {
                self.ask(&sweepers[1], Some(room), Decided::Restore { target }, &mut rng).await;
            }
            // The first of them always, so that even a short run has some.
            let undone = |sweep: Option<EventId>, rng: &mut Rng| sweep.filter(|_| raid < 4 || rng.u32(..3) > 0);
            let (one, other) = (undone(one, &mut rng), undone(other, &mut rng));
            // Its text is one of the raid's. Whether a sweep refuses it is the judge's business.
            post(viewers, &client, room, &refused, &mut rng).await;
            tokio::time::sleep(Duration::from_millis(rng.u64(STANDS_MS))).await;
            post(viewers, &client, room, &refused_again, &mut rng).await;
            tokio::join!(self.undo(&sweepers[0], room, one, &mut rng), self.undo(&sweepers[1], room, other, &mut fork),);
            if one.or(other).is_some() {
                tokio::time::sleep(Duration::from_millis(rng.u64(ENDED_MS))).await;
                post(viewers, &client, room, &free, &mut rng).await;
            }
        }
        Ok(())
    }

    fn wave(&self, viewers: &Viewers, room: i64, raid: u64, wave: u64) -> Wave {
        let post = viewers.posts.fetch_add(1, Ordering::Relaxed);
        // The presenter says the same, and no sweep by a text is about that.
        let user = if wave == 1 { room } else { raider(raid, wave as i64) };
        Wave { post, user, text: spelled(&text(raid, wave % TEXTS), wave) }
    }

    /// Its id, if it was confirmed.
    async fn sweep(&self, caller: &Caller, room: i64, swept: Swept, rng: &mut Rng) -> Option<EventId> {
        match self.ask(caller, Some(room), Decided::Sweep { swept }, rng).await {
            Answer::Accepted { id, .. } => Some(id),
            Answer::Refused { .. } | Answer::Unknown(_) => None,
        }
    }

    /// A dry run of a sweep.
    async fn preview(&self, caller: &Caller, room: i64, swept: &Swept, rng: &mut Rng) {
        // Who is new is not known before the sweep is made.
        if swept.first_seen.is_some() {
            return;
        }
        let (preview, node) = (self.decisions.fetch_add(1, Ordering::Relaxed), rng.usize(..self.ingest.len()));
        // No decision has this reason.
        let mut body = request(swept, &format!("dry-run-{preview}"));
        body["dryRun"] = json!(true);
        let (swept, from) = (swept.clone(), format!("ingest-{node}"));
        self.recorder.note(MessageObservation::Previews { preview, node: from, room, swept }.into());
        let url = format!("{}/v1/rooms/{room}/sweeps", self.ingest[node]);
        if let Ok(Preview { messages, complete, latest }) = caller.preview(url, &body).await {
            let latest = latest.into_iter().map(|message| message.id).collect();
            self.recorder.note(MessageObservation::Previewed { preview, messages, complete, latest }.into());
        }
    }

    async fn undo(&self, caller: &Caller, room: i64, sweep: Option<EventId>, rng: &mut Rng) {
        if let Some(target) = sweep {
            self.ask(caller, Some(room), Decided::Unsweep { target }, rng).await;
        }
    }
}

/// The answer to a dry run.
#[derive(Debug, Deserialize)]
pub(crate) struct Preview {
    messages: usize,
    complete: bool,
    latest: Vec<Previewed>,
}

/// A message in it.
#[derive(Debug, Deserialize)]
struct Previewed {
    id: EventId,
}

/// Whether nobody who writes in the raid has written before.
fn is_of_new_accounts(raid: u64) -> bool {
    raid % 3 == 2
}

fn raider(raid: u64, wave: i64) -> i64 {
    let first = if is_of_new_accounts(raid) { FIRST_NEW + raid as i64 * NEW } else { RAIDERS.start };
    first + wave % NEW
}

/// One of the texts of a raid. No other post has it. The review hook does not answer to the last of them, which gets a
/// flag for that.
fn text(raid: u64, number: u64) -> String {
    let end = if number + 1 == TEXTS { " #37" } else { "" };
    format!("raid {raid} of club {number}{end}")
}

/// The text with other letters in upper case for each number below 256.
fn spelled(text: &str, number: u64) -> String {
    let mut letters = 0;
    let spell = |letter: char| {
        if !letter.is_ascii_alphabetic() {
            return letter;
        }
        letters += 1;
        if letters <= 8 && number >> (letters - 1) & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
    };
    text.chars().map(spell).collect()
}

/// A rule against the raid.
fn swept(raid: u64, rng: &mut Rng) -> Swept {
    // The first sweeps are about all texts, so that even a short run has posts that they refuse or hold.
    let count = if raid < 4 { TEXTS } else { rng.u64(1..=TEXTS) };
    let texts = (raid < 4 || rng.u32(..4) > 0).then(|| (0..count).map(|number| text(raid, number)).collect());
    let names_users = texts.is_none() || rng.u32(..4) == 0;
    let users = names_users.then(|| (0..rng.i64(1..5)).map(|wave| raider(raid, wave)).collect());
    // Some reach back into the raid only in part, and those by users alone into earlier raids.
    let seconds_back = if rng.u32(..4) == 0 { 1 } else { rng.u32(5..120) };
    // 90 %: the texts of one raid are similar, and to those of some others. 80 %: of most others, too.
    let similarity = texts.as_ref().and_then(|_| rng.choice([None, None, Some(90), Some(80)]).flatten());
    let first_seen = (is_of_new_accounts(raid) && texts.is_some()).then(|| rng.u32(3..6));
    let users = users.filter(|_| first_seen.is_none());
    let label = (raid > 2 && rng.u32(..4) == 0 && first_seen.is_none()).then(|| UNREVIEWED.to_owned());
    // The first of them always, so that even a short run has some.
    let forward = (raid < 6 || rng.u32(..2) == 0).then(|| rng.u32(2..8));
    // In turn.
    let (refuses_for, holds_for) = if raid % 2 == 1 { (forward, None) } else { (None, forward) };
    Swept { texts, similarity, users, first_seen, label, seconds_back, refuses_for, holds_for, ..Swept::default() }
}

/// Posts the messages at once. Returns the ids of those that were accepted.
async fn post_all(viewers: &Viewers, client: &Client, room: i64, waves: &[Wave], forks: &mut [Rng]) -> Vec<EventId> {
    let posts = waves.iter().zip(forks).map(|(wave, rng)| post(viewers, client, room, wave, rng));
    join_all(posts).await.into_iter().flatten().collect()
}

async fn post(viewers: &Viewers, client: &Client, room: i64, wave: &Wave, rng: &mut Rng) -> Option<EventId> {
    let Wave { post, user, ref text } = *wave;
    let (key, text) = (Some(format!("{:x}-raid-{post}", viewers.seed)), text.clone());
    let attempts = Attempts { viewers, client, post, room, user, key, text, extras: None };
    match attempts.make_until_known(Surface::V1, rng).await {
        Answer::Accepted { id, is_held: false, .. } => Some(id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_spellings_of_a_text_are_one_text() {
        let text = text(7, 1);
        let spellings: HashSet<String> = (0..256).map(|number| spelled(&text, number)).collect();
        assert_eq!(spellings.len(), 256);
        assert!(spellings.iter().all(|spelling| spelling.eq_ignore_ascii_case(&text)));
    }
}
