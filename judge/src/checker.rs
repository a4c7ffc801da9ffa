//! Judges a history. Each promise is an invariant: a function that looks for violations. The checker knows only the
//! history. Tests prove it on histories with planted violations.

mod answers;
mod chatting;
mod decisions;
mod erasure;
mod extras;
mod holds;
mod losses;
mod memory;
mod moderation;
mod notes;
mod notices;
mod order;
mod pins;
mod places;
mod positions;
mod presence;
mod presenters;
mod previews;
mod readers;
mod refusing;
mod reports;
mod retention;
mod review;
mod roles;
mod rules;
mod sweeps;
mod tickets;
mod time;
mod traces;
mod video;
mod view;
mod warnings;

use crate::history::{Line, Reading};

pub use view::View;

/// A violation of an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The name of the invariant.
    pub invariant: &'static str,
    /// What is wrong, as a sentence.
    pub sentence: String,
    /// The lines of the history that show the violation: numbers from 0, ascending.
    pub lines: Vec<usize>,
}

/// The result for one invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It held in this many places where it could have been violated.
    Held(usize),
    /// It was violated.
    Broken(Vec<Violation>),
    /// The history is inconclusive, for this reason.
    Unknown(&'static str),
}

/// A promise, and the function that looks for violations.
pub struct Invariant {
    /// Its name.
    pub name: &'static str,
    /// The promise, as a sentence.
    pub promise: &'static str,
    /// Counts the places where the promise could have been violated, and collects the violations.
    check: fn(&View, &mut Findings),
}

macro_rules! invariants {
    ($($module:ident::$name:ident: $promise:literal,)*) => {
        &[$(Invariant { name: stringify!($name), promise: $promise, check: $module::$name }),*]
    };
}

/// Every invariant.
pub const INVARIANTS: &[Invariant] = invariants![
    places::accepted_is_in_the_log: "every post that was answered with a 2xx is in the log, as it was sent",
    places::accepted_is_in_the_archive: "... and in the archive",
    places::nothing_is_invented: "log, archive, replays and sockets have only messages that were posted",
    places::refused_never_appears: "a post that was definitely refused appears nowhere",
    places::one_id_one_place: "an id has one position and a position one id, in every source",
    answers::answers_have_the_logs_positions: "the log has each accepted event at the position in its answer",
    answers::answered_in_time: "every request is answered within the deadline of an append and a few seconds",
    answers::nothing_takes_effect_late: "a request of unknown outcome is stored within its deadline, or never",
    retention::logged_is_archived: "every event in the log is in the archive, whether or not it was acknowledged",
    retention::nothing_leaves_the_log_unarchived: "no event leaves the log before it is in the archive",
    places::archived_once: "the archive and the replays have each message once",
    order::sockets_have_the_logs_order: "a presenter receives the room in the order of the log",
    order::archive_has_the_logs_order: "... the archive has that order",
    order::replay_has_the_logs_order: "... and so do the replays",
    order::video_has_the_logs_order: "... also beside the video",
    order::earlier_comes_first: "a post or a decision that was accepted before another one was sent precedes it",
    presenters::presenters_miss_nothing: "a presenter receives every event of the room, or is told of the gap",
    presenters::gaps_have_a_reason: "a gap is reported only if the missing events are older than a node's window",
    losses::losses_are_told: "a presenter is told of a gap if a disk lost an event that the presenter had not received",
    presenters::presenters_keep_up: "a connected presenter receives events within 4 s, unless a fault prevents it",
    positions::frames_start_after_the_position: "a session receives only events after its start position",
    positions::positions_never_go_back: "... and its positions never go back",
    positions::presenters_repeat_little: "a reloaded page receives only the last few acknowledged events again",
    presenters::sockets_repeat_nothing: "a session receives no event twice",
    presenters::newest_session_wins: "a replaced session receives nothing more",
    readers::readers_miss_nothing: "a reader receives every event of its view, once and in order, or is told of it",
    readers::readers_keep_up: "... within 4 s while connected, unless a fault prevents it",
    readers::readers_see_nothing_deleted: "a reader receives no text of a deleted message",
    readers::viewers_never_see_moderators: "viewers receive no moderator, reason, flag or setting",
    tickets::tickets_open_until_spent: "a ticket opens streams until it is used or revoked, and then none",
    presence::connected_has_a_socket: "ingest reports a presenter as connected only while a socket is served",
    presence::a_socket_is_connected: "... and always while one is",
    chatting::chatting_brings_messages_alone: "a presenter of the original's dialect receives only messages",
    chatting::chatting_skips_nothing: "... within a session every message that is not deleted",
    chatting::chatting_loses_only_with_a_connection: "... misses only messages in transit on a connection that broke",
    chatting::chatting_repeats_little: "... and receives again only messages since the last saved cursor",
    video::video_offsets_never_descend: "offsets beside the video never go back",
    video::video_replay_is_complete: "... every message of the broadcast is shown, and no other",
    video::video_is_followed_in_order: "... and a reader that follows a broadcast in progress misses nothing",
    moderation::deleted_is_not_shown: "a deleted message is not shown any more",
    erasure::erased_is_gone: "earlier messages of an erased user are not shown, replayed, or archived under that user",
    moderation::deletions_have_the_logs_order: "a message is deleted if its last decision in the log deletes it",
    moderation::nothing_is_deleted_unasked: "messages are deleted only by a decision, and all others are replayed",
    sweeps::sweeps_are_told_whole: "clients receive a sweep as the deletion of each message that it deletes",
    sweeps::ends_of_sweeps_are_told_whole: "... and its end as the restoration of each, if nothing else deletes it",
    refusing::sweeps_refuse: "a post that a sweep refuses is refused within a second",
    refusing::sweeps_stop_refusing: "... and not refused a second after the sweep was undone or over",
    refusing::sweeps_hold: "a post that a sweep holds waits for a moderator, on every node within a second",
    refusing::sweeps_stop_holding: "... and a post waits only for a sweep in force, or because the hook holds it",
    previews::dry_runs_are_true: "a dry run lists the messages that the sweep would delete, and no other",
    previews::new_accounts_are_found: "a sweep of new accounts is about the viewers who first wrote a short while ago",
    decisions::decided_is_in_the_log: "every decision that was answered with a 2xx is in the log, as it was requested",
    decisions::decided_is_in_the_audit: "... and once in the archive and in the moderators' list",
    decisions::no_decision_is_invented: "log, archive, lists and sockets have only requested decisions, none refused",
    review::reviews_are_heeded: "a message that the review hook denied or replaced is not in the log as it was sent",
    holds::held_is_in_the_log: "a message that waits for a moderator is in the log, and once in the audit",
    holds::held_is_not_shown: "... it is shown and archived only after its release, and never after a denial",
    holds::holds_are_decided_once: "... and all answers to decisions about it agree with the log's first",
    reports::reports_are_queued_until_closed: "a report is in the moderators' queue once, open until it is closed",
    notices::notices_are_notices: "a notice is one in the log, on sockets, in the replay and once in the audit",
    pins::the_last_pin_shows: "a welcome has the room's last pin, and so has every node",
    extras::attributes_arrive_unchanged: "attributes and answered messages arrive as they were sent",
    traces::traces_are_true: "a trace says acknowledged or archived only of what is",
    rules::banned_is_silent: "posts of a banned user are refused within a second",
    rules::unbanned_may_write: "... and not refused a second after the ban was lifted",
    rules::settings_hold: "a post that a room's setting forbids is refused within a second",
    rules::settings_end: "... and not refused a second after the setting was undone",
    roles::moderators_may_decide: "a moderator of the room may decide a second after the appointment",
    roles::others_may_not_decide: "... and a second after the dismissal no more",
    roles::presenters_may_decide: "presenters may decide in their rooms, also about moderators, and the scope everywhere",
    warnings::warnings_reach_their_user: "answers to a user have the warning until one was sent, and no others have it",
    notes::notes_are_as_written: "notes on a user are listed until they are deleted, and reach nobody else",
    time::drains_in_time: "everything accepted reaches its places soon after the last fault",
    memory::memory_stays_within_its_bound: "no process exceeds the memory bound of its kind",
];

/// With fewer accepted posts a history is inconclusive.
const ENOUGH_POSTS: usize = 100;

/// The minimum of posts that the original's surface accepted. It receives a third of all posts.
const ENOUGH_OF_THE_ORIGINALS: usize = 20;

/// Collects the findings of one invariant.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    looked_at: usize,
    violations: Vec<(String, Vec<usize>)>,
}

impl Findings {
    /// Counts a place where the invariant could have been violated.
    fn look(&mut self) {
        self.looked_at += 1;
    }

    fn broken(&mut self, sentence: String, lines: impl IntoIterator<Item = usize>) {
        let mut lines: Vec<usize> = lines.into_iter().collect();
        lines.sort_unstable();
        lines.dedup();
        self.violations.push((sentence, lines));
    }
}

/// Judges a history. The results are in the order of [`INVARIANTS`].
pub fn check(lines: &[Line]) -> Vec<(&'static str, Verdict)> {
    let view = View::of(lines);
    let thin = thin(&view);
    let judge = |invariant: &Invariant| {
        let mut findings = Findings::default();
        (invariant.check)(&view, &mut findings);
        let name = invariant.name;
        let violations = findings.violations.into_iter();
        let violations: Vec<Violation> =
            violations.map(|(sentence, lines)| Violation { invariant: name, sentence, lines }).collect();
        let verdict = match thin {
            _ if !violations.is_empty() => Verdict::Broken(violations),
            Some(why) => Verdict::Unknown(why),
            None if findings.looked_at == 0 => Verdict::Unknown("nothing in the history could have violated it"),
            None => Verdict::Held(findings.looked_at),
        };
        (name, verdict)
    };
    INVARIANTS.iter().map(judge).collect()
}

/// Why the history is inconclusive as a whole, if it is.
fn thin(view: &View) -> Option<&'static str> {
    let complete = [
        Reading::Log,
        Reading::Streams,
        Reading::Archive,
        Reading::Audit,
        Reading::Replay,
        Reading::Video,
        Reading::Fresh,
    ];
    if view.accepted_posts().count() < ENOUGH_POSTS {
        Some("fewer than 100 posts were accepted")
    } else if view.originals.len() < ENOUGH_OF_THE_ORIGINALS {
        Some("fewer than 20 posts were accepted through the original's surface")
    } else if !complete.iter().all(|reading| view.readings.contains(reading)) {
        Some("a reading at the end of the run is incomplete")
    } else {
        None
    }
}

#[cfg(test)]
mod sound;
#[cfg(test)]
mod tests;
