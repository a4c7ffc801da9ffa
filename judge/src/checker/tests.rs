//! Tests of the checker: sound histories pass, and each mutation is caught by the right invariant.

use std::collections::{HashMap, HashSet};

use chat::{EventId, Position};
use fastrand::Rng;

use super::sound::{ANEW, CHATTING, VIEWERS, WAITING, history, is_erased};
use super::view::{MESSAGE, NOTICE, is_decision};
use super::{INVARIANTS, Verdict, Violation, check};
use crate::history::{
    Decided, Line, LostEvent, MessageObservation, Observation, PersonObservation, Phase, ReaderObservation, Reading,
    SeenAt, StreamState, Surface,
};

mod answers;
mod bounds;
mod chatting;
mod decisions;
mod erasure;
mod holds;
mod losses;
mod moderation;
mod people;
mod places;
mod positions;
mod presence;
mod presenters;
mod previews;
mod queues;
mod readers;
mod refusing;
mod restored;
mod review;
mod roles;
mod rules;
mod sweeps;
mod tickets;
mod video;

/// The number of histories for each mutation.
const SEEDS: u64 = 8;

fn broken(lines: &[Line]) -> Vec<(&'static str, Vec<Violation>)> {
    let broken = |(name, verdict)| match verdict {
        Verdict::Broken(violations) => Some((name, violations)),
        Verdict::Held(_) | Verdict::Unknown(_) => None,
    };
    check(lines).into_iter().filter_map(broken).collect()
}

/// Mutates sound histories, and asserts that the invariant is among the violated ones.
#[track_caller]
fn caught(invariant: &str, spoil: impl Fn(&mut Vec<Line>, &mut Rng)) {
    assert!(INVARIANTS.iter().any(|known| known.name == invariant), "there is no {invariant}");
    for seed in 0..SEEDS {
        let mut lines = history(seed);
        spoil(&mut lines, &mut Rng::with_seed(seed));
        let broken: Vec<(&str, Vec<Violation>)> = broken(&lines);
        let names: Vec<&str> = broken.iter().map(|(name, _)| *name).collect();
        assert!(names.contains(&invariant), "seed {seed}: {invariant} was not noticed, but {names:?}");
        for (_, violations) in broken {
            for violation in violations {
                let few = violation.lines.len() <= 6 && !violation.lines.is_empty();
                assert!(few, "{} is shown by {} lines", violation.sentence, violation.lines.len());
            }
        }
    }
}

/// A random line that matches. Messages of erased users are left out, as they may be missing anyway. So are messages
/// that wait, and decisions whose event another request may have caused: other tests are about those.
fn any(lines: &[Line], rng: &mut Rng, wanted: impl Fn(&Observation) -> bool) -> usize {
    let mut others = of_erased_users(lines);
    others.extend(held(lines));
    let shared: HashSet<u64> = shared(lines);
    let is_owed = |what: &Observation| match what {
        Observation::Confirmed { decision, .. } | Observation::Refused { decision, .. } => !shared.contains(decision),
        Observation::Audited { kind, .. } | Observation::Listed { kind, .. } => is_decision(kind),
        Observation::Logged { kind, id, .. } => {
            (is_decision(kind) || [MESSAGE, NOTICE].contains(&kind.as_str())) && !others.contains(id)
        }
        _ => about(what).is_none_or(|id| !others.contains(&id)),
    };
    anyone(lines, rng, |what| wanted(what) && is_owed(what))
}

/// The messages that waited for a moderator.
fn held(lines: &[Line]) -> impl Iterator<Item = EventId> {
    lines.iter().filter_map(|line| match &line.what {
        Observation::Logged { kind, target, .. } if kind == "message.held" => *target,
        _ => None,
    })
}

/// The decisions whose event another request may have caused.
fn shared(lines: &[Line]) -> HashSet<u64> {
    let shared = lines.iter().filter_map(|line| match &line.what {
        Observation::Decides { decision, decided, .. } => (!decided.has_its_own_event()).then_some(*decision),
        _ => None,
    });
    shared.collect()
}

/// The messages in the log whose authors are erased at some time.
fn of_erased_users(lines: &[Line]) -> HashSet<EventId> {
    let messages = lines.iter().filter_map(|line| match &line.what {
        Observation::Logged { id, user: Some(user), text: Some(_), .. } => is_erased(*user).then_some(*id),
        _ => None,
    });
    messages.collect()
}

/// The message that the line is about.
fn about(what: &Observation) -> Option<EventId> {
    match what {
        Observation::Ok { id, .. }
        | Observation::Frame { id, .. }
        | Observation::Logged { id, .. }
        | Observation::Archived { id, .. }
        | Observation::Replayed { id, .. }
        | Observation::ReplayShows { id, .. }
        | Observation::ReplayedBesideVideo { id, .. } => Some(*id),
        Observation::Reader(ReaderObservation::Event { id, .. }) => Some(*id),
        Observation::Decides { decided: Decided::Delete { target }, .. } => Some(*target),
        _ => None,
    }
}

/// The messages that are parts of a sweep or of its end, as clients were told.
fn parts(lines: &[Line]) -> impl Iterator<Item = EventId> {
    lines.iter().filter_map(|line| match line.what {
        Observation::Message(MessageObservation::Part { target, .. }) => Some(target),
        _ => None,
    })
}

/// Whether somebody wanted to restore the message, or the end of a sweep restored it.
fn is_restored(lines: &[Line], message: EventId) -> bool {
    lines.iter().any(|line| match &line.what {
        Observation::Decides { decided, .. } => *decided == Decided::Restore { target: message },
        Observation::Message(MessageObservation::Part { kind, target, .. }) => {
            kind == "message.restored" && *target == message
        }
        _ => false,
    })
}

/// A random line that matches, by any author.
fn anyone(lines: &[Line], rng: &mut Rng, wanted: impl Fn(&Observation) -> bool) -> usize {
    let found: Vec<usize> = (0..lines.len()).filter(|line| wanted(&lines[*line].what)).collect();
    assert!(!found.is_empty(), "the history has no such line");
    found[rng.usize(..found.len())]
}

fn accepted(lines: &[Line], rng: &mut Rng) -> EventId {
    match lines[any(lines, rng, |what| matches!(what, Observation::Ok { .. }))].what {
        Observation::Ok { id, .. } => id,
        _ => unreachable!("it was looked for"),
    }
}

/// Whether it is a session of a `chat.v1` presenter during the run.
fn is_v1(session: u32) -> bool {
    session < 1_000 && i64::from(session / 100) != CHATTING
}

/// Whether it is a session of the original's dialect.
fn is_chatting(session: u32) -> bool {
    i64::from(session / 100) == CHATTING
}

/// Two consecutive lines of one kind in one room or session.
fn neighbours(lines: &[Line], rng: &mut Rng, group: impl Fn(&Observation) -> Option<i64>) -> (usize, usize) {
    let mut sizes = HashMap::new();
    for found in lines.iter().filter_map(|line| group(&line.what)) {
        *sizes.entry(found).or_insert(0) += 1;
    }
    let one = any(lines, rng, |what| group(what).is_some_and(|found| sizes[&found] > 1));
    let all: Vec<usize> =
        (0..lines.len()).filter(|line| group(&lines[*line].what) == group(&lines[one].what)).collect();
    let place = all.iter().position(|line| *line == one).expect("it is one of them");
    if place + 1 < all.len() { (all[place], all[place + 1]) } else { (all[place - 1], all[place]) }
}

fn swap(lines: &mut [Line], (one, other): (usize, usize)) {
    let kept = lines[one].what.clone();
    lines[one].what = lines[other].what.clone();
    lines[other].what = kept;
}

#[test]
fn sound_histories_pass() {
    for seed in 0..100 {
        for (name, verdict) in check(&history(seed)) {
            assert!(matches!(verdict, Verdict::Held(_)), "seed {seed}: {name}: {verdict:?}");
        }
    }
}

#[test]
fn an_empty_or_thin_history_is_inconclusive() {
    let all_unknown = |lines: &[Line]| check(lines).iter().all(|(_, verdict)| matches!(verdict, Verdict::Unknown(_)));
    assert!(all_unknown(&[]));
    let few: Vec<Line> = history(1)
        .into_iter()
        .filter(|line| match &line.what {
            Observation::Begins(_) | Observation::Read { .. } => true,
            Observation::Invoked { post, .. } | Observation::Failed { post, .. } => *post < 50,
            _ => false,
        })
        .collect();
    assert!(all_unknown(&few));
    // An incomplete reading proves nothing.
    let unread: Vec<Line> =
        history(1).into_iter().filter(|line| !matches!(line.what, Observation::Read { .. })).collect();
    assert!(all_unknown(&unread), "{:?}", check(&unread));
}

#[test]
fn untested_invariants_are_unknown() {
    let lines: Vec<Line> = history(1)
        .into_iter()
        .filter(|line| !matches!(&line.what, Observation::Decides { decided: Decided::Ban { .. }, .. }))
        .collect();
    let verdicts = check(&lines);
    let (_, verdict) = verdicts.iter().find(|(name, _)| *name == "banned_is_silent").unwrap();
    assert!(matches!(verdict, Verdict::Unknown(_)), "{verdict:?}");
}

#[test]
fn a_history_without_the_originals_surface_is_inconclusive() {
    let mut lines = history(1);
    for line in &mut lines {
        if let Observation::Invoked { surface: surface @ Surface::Original, .. } = &mut line.what {
            *surface = Surface::V1;
        }
    }
    let verdicts = check(&lines);
    assert!(verdicts.iter().all(|(_, verdict)| matches!(verdict, Verdict::Unknown(_))), "{verdicts:?}");
}

#[test]
fn a_system_that_does_not_drain_is_noticed() {
    caught("drains_in_time", |lines, _| {
        for line in lines {
            if line.what == (Observation::Phase { phase: Phase::Drained }) {
                line.what = Observation::Phase { phase: Phase::NotDrained };
            }
        }
    });
}

#[test]
fn a_history_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.ndjson");
    let recorder = crate::history::Recorder::create(&file).unwrap();
    let lines = history(3);
    lines.iter().for_each(|line| recorder.note(line.what.clone()));
    recorder.flush().unwrap();
    let read = crate::history::read(&file).unwrap();
    assert_eq!(
        read.iter().map(|line| &line.what).collect::<Vec<_>>(),
        lines.iter().map(|line| &line.what).collect::<Vec<_>>()
    );
}
