//! Notes on users: every node lists them to the room's moderators as they were written, in the order of the log, from a
//! second after the confirmation until they are deleted or the user is erased. No client receives them live.

use std::collections::HashMap;

use chat::EventId;

use super::Findings;
use super::rules::{HOLDS_WITHIN_US, RECONNECTED_US, deafens};
use super::view::{Decision, Erased, Erasure, ErasuresInLog, NoteList, Ruling, View};
use crate::history::{Decided, ListedNote};

const ADDED: &str = "note.added";
const DELETED: &str = "note.deleted";

/// How long after the answer to an erasure a node may still list a note on the user.
const ERASED_WITHIN_US: u64 = 2_000_000;

/// The notes on each user in a room, and who asked to delete them.
struct Known<'a, 'b> {
    added: HashMap<(i64, i64), Vec<&'b Decision<'a>>>,
    deleted: HashMap<EventId, Vec<&'b Decision<'a>>>,
    /// None: the log is not whole.
    log: Option<InLog<'a, 'b>>,
}

/// The same in the log.
struct InLog<'a, 'b> {
    about: HashMap<(i64, i64), Vec<&'b Ruling<'a>>>,
    erasures: ErasuresInLog,
}

pub(super) fn notes_are_as_written(view: &View, findings: &mut Findings) {
    let mut deleted: HashMap<EventId, Vec<&Decision>> = HashMap::new();
    for decision in view.decisions.values() {
        if let Decided::DeleteNote { target, .. } = decision.decided {
            deleted.entry(*target).or_default().push(decision);
        }
    }
    let added = view.decided_about(|decision| matches!(decision.decided, Decided::Note { .. }));
    let in_log = || InLog { about: view.about_people(&[ADDED, DELETED]), erasures: view.erasures_in_log() };
    let log = view.has_the_whole_log().then(in_log);
    let known = Known { added, deleted, log };
    for list in view.people.notes.values() {
        let Some((listed, notes)) = list.listed else { continue };
        findings.look();
        notes.iter().for_each(|note| is_written(view, &known, list, listed, note, findings));
        is_current(view, &known, list, listed, notes, findings);
        if list.at_the_end {
            is_the_logs(&known, list, listed, notes, findings);
        }
    }
    for session in view.all_sessions() {
        for frame in session.frames.iter().filter(|frame| [ADDED, DELETED].contains(&frame.kind)) {
            let sentence = format!("room {}: somebody received {}, a {}", session.room, frame.id, frame.kind);
            findings.broken(sentence, [session.welcome, frame.line]);
        }
    }
}

/// The note is one on that user in that room, in these words.
fn is_written(
    view: &View,
    known: &Known,
    list: &NoteList,
    listed: usize,
    ListedNote { id, text }: &ListedNote,
    findings: &mut Findings,
) {
    let of_user = known.added.get(&(list.room, list.user)).map(Vec::as_slice).unwrap_or_default();
    let is_it = |decision: &&&Decision| {
        let is_made = !decision.request.is_refused() && decision.request.invoked < listed;
        is_made && decision.reason == text && decision.request.accepted().is_none_or(|(_, its, _)| its == *id)
    };
    if !of_user.iter().any(|decision| is_it(&decision)) {
        let other = view.reasons.get(text.as_str()).map(|decision| view.decisions[decision].request.invoked);
        let sentence = format!("{} lists the note {id} on user {}, which nobody wrote so", list.node, list.user);
        findings.broken(sentence, [list.asked, listed].into_iter().chain(other));
    }
}

/// Every note that was confirmed a second before is listed once, and none that was deleted or erased a second before.
fn is_current(
    view: &View,
    known: &Known,
    list: &NoteList,
    listed: usize,
    notes: &[ListedNote],
    findings: &mut Findings,
) {
    let (asked, answered) = (view.at(list.asked), view.at(listed));
    let is_excused = view.faulty(asked, answered, RECONNECTED_US, deafens);
    let of_user = known.added.get(&(list.room, list.user)).map(Vec::as_slice).unwrap_or_default();
    let erasures: Vec<&Erasure> = view.erasures.values().filter(|erasure| erasure.user == list.user).collect();
    for decision in of_user {
        let Some((confirmed, id, _)) = decision.request.accepted() else { continue };
        let deletions = known.deleted.get(&id).map(Vec::as_slice).unwrap_or_default();
        let ends = deletions.iter().filter_map(|deletion| Some(deletion.request.accepted()?.0));
        let later = erasures.iter().filter(|erasure| confirmed < erasure.asked);
        let gone = ends.map(|line| (view.at(line), line));
        let gone = gone.chain(later.filter_map(|it| Some((view.at(it.done?) + ERASED_WITHIN_US, it.done?)))).min();
        let is_ended = gone.filter(|(at, _)| at + HOLDS_WITHIN_US < asked);
        // It may end while the list is read, and a refused deletion ends nothing.
        let may_end = deletions.iter().any(|it| !it.request.is_refused() && it.request.invoked < listed);
        let may_end = may_end || erasures.iter().any(|erasure| erasure.asked < listed);
        let count = notes.iter().filter(|note| note.id == id).count();
        let lines = [confirmed, list.asked, listed];
        let (node, user) = (list.node, list.user);
        if count > 1 {
            findings.broken(format!("{node} lists the note {id} on user {user} twice"), lines);
        } else if let (1, Some((_, line)), false) = (count, is_ended, is_excused) {
            let sentence = format!("{node} lists the note {id} on user {user}, which is gone");
            findings.broken(sentence, lines.into_iter().chain([line]));
        } else if count == 0 && !may_end && !is_excused && view.at(confirmed) + HOLDS_WITHIN_US < asked {
            findings.broken(format!("{node} does not list the note {id} on user {user}"), lines);
        }
    }
}

/// At the end the list is what the log makes of the notes.
fn is_the_logs(known: &Known, list: &NoteList, listed: usize, notes: &[ListedNote], findings: &mut Findings) {
    let Some(InLog { about, erasures }) = &known.log else { return };
    let of_user = about.get(&(list.room, list.user)).map(Vec::as_slice).unwrap_or_default();
    let (mut owed, mut perhaps) = (Vec::new(), Vec::new());
    for added in of_user.iter().filter(|it| it.kind == ADDED) {
        let Some(position) = added.position else { continue };
        if of_user.iter().any(|it| it.kind == DELETED && it.target == Some(added.id) && it.position > added.position) {
            continue;
        }
        match erasures.after(list.room, list.user, position) {
            Erased::No => owed.push(added.id),
            Erased::Perhaps => perhaps.push(added.id),
            Erased::Yes => {}
        }
    }
    let shown: Vec<EventId> = notes.iter().map(|note| note.id).filter(|id| !perhaps.contains(id)).collect();
    if shown != owed {
        let differing = owed.iter().find(|id| !shown.contains(id)).or(shown.iter().find(|id| !owed.contains(id)));
        let which = differing.map_or("their order".to_owned(), EventId::to_string);
        let NoteList { room, user, node, .. } = list;
        let sentence = format!("room {room}: the notes of {node} on user {user} are not those of the log: {which}");
        let shown = of_user.iter().filter(|it| differing.is_some_and(|id| it.id == *id || it.target == Some(*id)));
        findings.broken(sentence, [list.asked, listed].into_iter().chain(shown.take(3).map(|it| it.line)));
    }
}
