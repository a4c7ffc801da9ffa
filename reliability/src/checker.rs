//! Judges a history: every promise is an invariant, a function of its own that looks for whatever breaks it. It knows
//! only what the history says, so it can be wrong about the system but not fooled by it, and it is tried on histories
//! that were spoilt on purpose.

mod answers;
mod chatting;
mod decisions;
mod erasure;
mod losses;
mod memory;
mod moderation;
mod order;
mod places;
mod positions;
mod presence;
mod presenters;
mod retention;
mod review;
mod rules;
mod time;
mod video;
mod view;

use crate::history::{Line, Reading};

pub use view::View;

/// What breaks an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// What is wrong, for people.
    pub sentence: String,
    /// The smallest part of the history that shows it: the numbers of its lines, from 0, ascending.
    pub lines: Vec<usize>,
}

/// What became of an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It held, in so many places where it could have been broken.
    Held(usize),
    /// It was broken.
    Broken(Vec<Violation>),
    /// The history does not say: there was nothing that could have broken it.
    Unknown(&'static str),
}

/// A promise, and the function that looks for what breaks it.
pub struct Invariant {
    /// Its name.
    pub name: &'static str,
    /// What it says, for people.
    pub promise: &'static str,
    /// Looks through the history, counts where it could have been broken, and finds where it was.
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
    places::nothing_is_invented: "log, archive, replay and sockets have only what was posted",
    places::refused_never_appears: "a post that was definitely refused appears nowhere",
    places::one_id_one_place: "an id has one position, and a position one id, wherever they are said",
    answers::answers_have_the_logs_positions: "where an answer says that something stands, there the log has it",
    answers::answered_in_time: "every request is answered within the deadline of an append and some seconds",
    answers::nothing_takes_effect_late: "what is of unknown outcome is stored within its deadline, or never",
    retention::logged_is_archived: "everything in the log is in the archive, whoever was told of it",
    retention::nothing_leaves_the_log_unarchived: "nothing leaves the log before it is in the archive",
    places::archived_once: "archive and replays have each message once",
    order::sockets_have_the_logs_order: "a room comes to its presenter in the order of the log",
    order::archive_has_the_logs_order: "... stands in it in the archive",
    order::replay_has_the_logs_order: "... and is replayed in it",
    order::video_has_the_logs_order: "... beside the video too",
    order::earlier_comes_first: "a post or a decision that was accepted before another began stands before it",
    presenters::presenters_miss_nothing: "a presenter gets every event of the room, or is told of the gap",
    presenters::gaps_have_a_reason: "a gap is declared only where what is missing is older than a node's window",
    losses::losses_are_told: "what a disk has lost before a presenter was shown it the presenter is told of",
    presenters::presenters_keep_up: "who is connected gets what is accepted within 4 s, unless the way was broken",
    positions::frames_start_after_the_position: "what comes to a session stands after the position that it begins at",
    positions::positions_never_go_back: "... and no position that it is told of goes back",
    positions::presenters_repeat_little: "a page that is loaded anew gets little again of what was acknowledged",
    presenters::sockets_repeat_nothing: "within a session no event comes twice",
    presenters::newest_session_wins: "a session that was replaced gets nothing more",
    presence::connected_has_a_socket: "ingest takes a presenter to be connected only while a socket is served",
    presence::a_socket_is_connected: "... and always while one is",
    chatting::chatting_brings_messages_alone: "a presenter of the original's dialect gets messages and nothing else",
    chatting::chatting_skips_nothing: "... within a session every message that is not deleted",
    chatting::chatting_loses_only_with_a_connection: "... and misses only what was in a connection that broke",
    chatting::chatting_repeats_little: "... and gets again only what came since the cursor was last saved",
    video::video_offsets_never_descend: "beside the video no message is shown before the one that precedes it",
    video::video_replay_is_complete: "... every message of the broadcast is shown, and no other",
    video::video_is_followed_in_order: "... and who follows it while it runs is passed over nothing",
    moderation::deleted_is_not_shown: "what was deleted is not shown any more",
    erasure::erased_is_gone: "of who was erased nothing is shown, replayed or archived under their number",
    moderation::nothing_is_deleted_unasked: "nothing is deleted without a decision, and what is not is replayed",
    decisions::decided_is_in_the_log: "every decision that was answered with a 2xx is in the log, as it was asked for",
    decisions::decided_is_in_the_audit: "... and once in the archive and in the list for moderators",
    decisions::no_decision_is_invented: "log, archive, lists and sockets have only decisions that were not refused",
    review::reviews_are_heeded: "what the review hook denied or replaced does not stand as it was sent",
    rules::banned_is_silent: "a banned user's posts stop within a second",
    rules::unbanned_may_write: "... and are not refused for a ban that was undone a second ago",
    rules::settings_hold: "what a room's settings forbid is not accepted a second later",
    rules::settings_end: "... and is not refused for a setting that was undone a second ago",
    time::drains_in_time: "everything is in its place soon after the last fault",
    memory::memory_stays_within_its_bound: "no process has more memory than its kind is given",
];

/// Fewer accepted posts say nothing about a system that is made for thousands.
const ENOUGH_POSTS: usize = 100;

/// Of them so many through the original's surface, which is a third of all where it is used at all.
const ENOUGH_OF_THE_ORIGINALS: usize = 20;

/// Collects what one invariant finds.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    looked_at: usize,
    violations: Vec<(String, Vec<usize>)>,
}

impl Findings {
    /// Here it could have been broken.
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

/// Judges a history: what became of each invariant, in the order of [`INVARIANTS`].
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
            None if findings.looked_at == 0 => Verdict::Unknown("there was nothing that could have broken it"),
            None => Verdict::Held(findings.looked_at),
        };
        (name, verdict)
    };
    INVARIANTS.iter().map(judge).collect()
}

/// Why the history is too thin to say that anything held.
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
        Some("the log, the archive, its decisions, a replay or a fresh presenter was not read to the end")
    } else {
        None
    }
}

#[cfg(test)]
mod sound;
#[cfg(test)]
mod tests;
