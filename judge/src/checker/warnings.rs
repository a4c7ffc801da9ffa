//! Warnings of users: from a second after the decision the answers to the user's posts in that room have it, on every
//! node, until the log has that it was sent. Nobody else is told, nor is the user after a withdrawal, a newer warning
//! or an erasure.

use std::collections::{HashMap, HashSet};

use chat::EventId;

use super::Findings;
use super::rules::{APPENDED_US, HOLDS_WITHIN_US, RECONNECTED_US, deafens};
use super::view::{Answer, Attempt, Decision, Erased, Post, Ruling, Source, Told, View, WarningList};
use crate::history::{Decided, ListedWarning, Surface};

const WARNED: &str = "user.warned";
const WITHDRAWN: &str = "warning.withdrawn";
const SENT: &str = "warning.sent";

/// The decisions about each user's warnings in a room.
type Decisions<'a, 'b> = HashMap<(i64, i64), Vec<&'b Decision<'a>>>;

/// How long after the answer to an erasure a node may still tell what it says.
const ERASED_WITHIN_US: u64 = 2_000_000;

pub(super) fn warnings_reach_their_user(view: &View, findings: &mut Findings) {
    let decisions = view.decided_about(|it| matches!(it.decided, Decided::Warn { .. } | Decided::Withdraw { .. }));
    for told in &view.people.told {
        findings.look();
        is_for_the_author(view, told, findings);
    }
    presenters_see_none(view, findings);
    were_told(view, findings);
    // What a disk lost, some nodes may know.
    if view.has_the_whole_log() {
        let sent = sent(view);
        view.people.told.iter().for_each(|told| is_in_force(view, &decisions, &sent, told, findings));
        is_told(view, &decisions, &sent, findings);
        is_listed(view, findings);
    }
}

/// The author of the post was warned in that room, in these words.
fn is_for_the_author(view: &View, told: &Told, findings: &mut Findings) {
    let Some(post) = view.posts.get(&told.post) else { return };
    let Some(decision) = view.reasons.get(told.reason).map(|decision| &view.decisions[decision]) else {
        return findings.broken(format!("an answer has the warning {}, which nobody made", told.warning), [told.line]);
    };
    let lines = [decision.request.invoked, post.request.invoked, told.line];
    let is_its = *decision.decided == Decided::Warn { user: post.user } && decision.request.room == Some(post.room);
    let is_made = !decision.request.is_refused() && decision.request.invoked < told.line;
    if !is_its || !is_made || decision.request.accepted().is_some_and(|(_, id, _)| id != told.warning) {
        let (user, room) = (post.user, post.room);
        findings.broken(format!("user {user} was told {} in room {room}, and not warned so", told.warning), lines);
    }
}

fn presenters_see_none(view: &View, findings: &mut Findings) {
    for session in &view.sessions {
        for frame in session.frames.iter().filter(|frame| [WARNED, WITHDRAWN, SENT].contains(&frame.kind)) {
            let sentence = format!("room {}: a presenter received {}, a {}", session.room, frame.id, frame.kind);
            findings.broken(sentence, [session.welcome, frame.line]);
        }
    }
}

/// A `warning.sent` is about a warning of that user, and is the only one. An answer has told the user, or one that did
/// not arrive. The audit has it once.
fn were_told(view: &View, findings: &mut Findings) {
    let about = view.about_people(&[WARNED, SENT]);
    let told: HashSet<EventId> = view.people.told.iter().map(|told| told.warning).collect();
    // When the requests were sent whose answers did not arrive.
    let mut unanswered: HashMap<(i64, i64), Vec<u64>> = HashMap::new();
    for post in view.posts.values() {
        let attempts = post.request.attempts.values().filter(|attempt| attempt.surface == Surface::V1);
        let lost = attempts.filter(|attempt| matches!(attempt.answered, None | Some((_, Answer::Unknown))));
        unanswered.entry((post.room, post.user)).or_default().extend(lost.map(|attempt| view.at(attempt.sent)));
    }
    let mut audited: HashMap<(Source, EventId), usize> = HashMap::new();
    for ruling in view.rulings.iter().filter(|ruling| ruling.kind == SENT) {
        *audited.entry((ruling.source, ruling.id)).or_default() += 1;
    }
    for (subject, of_user) in &about {
        let mut first: HashMap<EventId, &Ruling> = HashMap::new();
        for sent in of_user.iter().filter(|ruling| ruling.kind == SENT) {
            findings.look();
            let (id, line) = (sent.id, sent.line);
            let Some(warning) = sent.target else {
                findings.broken(format!("{id} does not say which warning was sent"), [line]);
                continue;
            };
            let other = first.entry(warning).or_insert(sent);
            if other.id != id {
                findings.broken(format!("{warning} was recorded as sent twice"), [line, other.line]);
            }
            let is_made = of_user.iter().any(|ruling| ruling.kind == WARNED && ruling.id == warning);
            if !is_made && view.has_the_whole_log() {
                findings.broken(format!("{warning} was sent to a user who was not warned so"), [line]);
            }
            let stored = stored(view, sent);
            let may_be_told = unanswered.get(subject).is_some_and(|lost| lost.iter().any(|sent| *sent < stored));
            if !told.contains(&warning) && !may_be_told {
                findings.broken(format!("{warning} was recorded as sent, and no answer had it"), [line]);
            }
            for source in [Source::Archive, Source::List] {
                if audited.get(&(source, id)) != Some(&1) && !view.is_lost(id) {
                    findings.broken(format!("that {warning} was sent is not {} once", source.word()), [line]);
                }
            }
        }
    }
}

/// When the event was stored, in microseconds since the start of the run.
fn stored(view: &View, ruling: &Ruling) -> u64 {
    let copied = ruling.position.and_then(|position| view.copies.get(&position));
    copied.map_or(0, |copied| view.since_the_beginning(copied.stored))
}

/// When each warning was recorded as sent, and the line.
fn sent(view: &View) -> HashMap<EventId, (u64, usize)> {
    let sent = view.about_people(&[SENT]);
    sent.values().flatten().filter_map(|it| Some((it.target?, (stored(view, it), it.line)))).collect()
}

/// A second after its end no answer has the warning.
fn is_in_force(
    view: &View,
    decisions: &Decisions,
    sent: &HashMap<EventId, (u64, usize)>,
    told: &Told,
    findings: &mut Findings,
) {
    let Some(post) = view.posts.get(&told.post) else { return };
    let Some(attempt) = post.request.attempts.get(&told.attempt) else { return };
    let Some((_, warning)) = view.logged.get(&told.warning) else { return };
    let of_user = decisions.get(&(post.room, post.user)).map(Vec::as_slice).unwrap_or_default();
    let confirmed = of_user.iter().filter_map(|decision| decision.request.accepted());
    let own = confirmed.clone().find(|(_, id, _)| *id == told.warning).map(|(line, ..)| line);
    let later = confirmed.filter(|(_, id, position)| *id != told.warning && *position > warning.position);
    let later = later.map(|(line, ..)| (view.at(line), line, "was withdrawn or replaced"));
    let erased = view.erasures.values().filter(|it| it.user == post.user && own.is_some_and(|own| own < it.asked));
    let erased = erased.filter_map(|it| Some((view.at(it.done?) + ERASED_WITHIN_US, it.done?, "ended by an erasure")));
    let recorded = sent.get(&told.warning).map(|(at, line)| (*at, *line, "was recorded as sent"));
    let (asked, answered) = (view.at(attempt.sent), view.at(told.line));
    let Some((at, line, why)) = later.chain(erased).chain(recorded).min() else { return };
    if at + HOLDS_WITHIN_US < asked && !view.faulty(asked, answered, RECONNECTED_US, deafens) {
        let late = (asked - at) / 1_000;
        let sentence = format!("user {} was told {}, which {why} {late} ms before", post.user, told.warning);
        findings.broken(sentence, [line, attempt.sent, told.line]);
    }
}

/// An accepted post that was sent a second after a warning has it in its answer, until the log has that it was sent.
/// One answer may lack it: a node that cannot read the warning in half a second does not let the post wait.
fn is_told(view: &View, decisions: &Decisions, sent: &HashMap<EventId, (u64, usize)>, findings: &mut Findings) {
    let told: HashMap<(u64, u32), EventId> =
        view.people.told.iter().map(|told| ((told.post, told.attempt), told.warning)).collect();
    let mut attempts: Vec<(u64, u32, &Post, &Attempt)> = Vec::new();
    for (number, post) in &view.posts {
        if decisions.contains_key(&(post.room, post.user)) {
            attempts.extend(post.request.attempts.iter().map(|(attempt, it)| (*number, *attempt, post, it)));
        }
    }
    attempts.sort_by_key(|(.., attempt)| attempt.sent);
    let mut lacked: HashMap<EventId, usize> = HashMap::new();
    for (number, place, post, attempt) in attempts {
        let Some((warning, confirmed, answered)) = owed(view, &decisions[&(post.room, post.user)], post, attempt)
        else {
            continue;
        };
        if sent.get(&warning).is_some_and(|(at, _)| *at < view.at(answered)) {
            continue;
        }
        findings.look();
        let is_told = told.get(&(number, place)) == Some(&warning);
        if is_told || view.faulty(view.at(attempt.sent), view.at(answered), RECONNECTED_US, deafens) {
            continue;
        }
        let first = *lacked.entry(warning).or_insert(answered);
        if first < attempt.sent {
            let sentence = format!("user {} wrote to room {} and was not told {warning}", post.user, post.room);
            findings.broken(sentence, [confirmed, first, attempt.sent, answered]);
        }
    }
}

/// The warning that must be in the answer to the attempt if it was not sent before: its id, the line of its
/// confirmation, and that of the answer.
fn owed(view: &View, decisions: &[&Decision], post: &Post, attempt: &Attempt) -> Option<(EventId, usize, usize)> {
    let (answered, Answer::Accepted { .. }) = attempt.answered? else { return None };
    let requests = |decision: &Decision| decision.request.attempts.values().map(|it| it.sent).max();
    let before = decisions.partition_point(|decision| decision.request.invoked < attempt.sent);
    let (last, earlier) = decisions[..before].split_last()?;
    let (confirmed, warning, _) = last.request.accepted().filter(|_| matches!(last.decided, Decided::Warn { .. }))?;
    // A request of unknown outcome may reach the log until its append expires.
    let may_come = |decision: &&&Decision| {
        let given_up = requests(decision).map(|sent| view.at(sent) + view.append_deadline + APPENDED_US);
        decision.request.is_in_doubt() && given_up > Some(view.at(last.request.invoked))
    };
    let mut asked = decisions.iter().flat_map(|decision| decision.request.attempts.values());
    let is_decided_meanwhile = asked.any(|other| (attempt.sent..answered).contains(&other.sent));
    let is_erased = view.erasures.values().any(|erasure| erasure.user == post.user && erasure.asked < answered);
    let is_known = view.at(attempt.sent) > view.at(confirmed) + HOLDS_WITHIN_US;
    let is_certain = is_known && !is_decided_meanwhile && !is_erased && !earlier.iter().any(|it| may_come(&it));
    (is_certain && attempt.surface == Surface::V1).then_some((warning, confirmed, answered))
}

/// At the end every node lists the warnings that the log makes.
fn is_listed(view: &View, findings: &mut Findings) {
    let (about, erasures) = (view.about_people(&[WARNED, WITHDRAWN, SENT]), view.erasures_in_log());
    for list in &view.people.warnings {
        findings.look();
        let mut users: Vec<i64> = about.keys().filter(|(room, _)| *room == list.room).map(|(_, user)| *user).collect();
        users.sort_unstable();
        let (mut owed, mut perhaps) = (Vec::new(), Vec::new());
        for user in users {
            let of_user = &about[&(list.room, user)];
            let Some(decided) = of_user.iter().rfind(|it| it.kind != SENT).filter(|it| it.kind == WARNED) else {
                continue;
            };
            let Some(position) = decided.position else { continue };
            let is_sent = of_user.iter().any(|it| it.kind == SENT && it.target == Some(decided.id));
            let reason = decided.reason.unwrap_or_default().to_owned();
            let warning = ListedWarning { id: decided.id, user, reason, is_sent };
            match erasures.after(list.room, user, position) {
                Erased::No => owed.push(warning),
                Erased::Perhaps => perhaps.push(warning),
                Erased::Yes => {}
            }
        }
        let WarningList { line, room, node, warnings } = *list;
        let others: Vec<&ListedWarning> = warnings.iter().filter(|warning| !perhaps.contains(warning)).collect();
        if others != owed.iter().collect::<Vec<_>>() {
            let differing =
                owed.iter().find(|it| !others.contains(it)).or(others.into_iter().find(|it| !owed.contains(it)));
            let which = differing.map_or("their order".to_owned(), |it| format!("{} of user {}", it.id, it.user));
            let sentence = format!("room {room}: the warnings of {node} are not those of the log: {which}");
            let shown = differing.and_then(|it| about.get(&(room, it.user))?.last()).map(|ruling| ruling.line);
            findings.broken(sentence, [line].into_iter().chain(shown));
        }
    }
}
