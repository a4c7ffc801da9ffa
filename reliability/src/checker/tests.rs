//! The checker on trial: sound histories pass, and each way to spoil one is noticed, by name.

use std::collections::{HashMap, HashSet};

use chat::{EventId, Position};
use fastrand::Rng;

use super::sound::{ANEW, CHATTING, history, is_erased};
use super::{INVARIANTS, Verdict, Violation, check};
use crate::history::{Decided, Line, Phase, Reading, Surface, What};

mod answers;
mod bounds;
mod chatting;
mod decisions;
mod erasure;
mod losses;
mod moderation;
mod places;
mod positions;
mod presence;
mod presenters;
mod review;
mod rules;
mod video;

/// Each mutation is tried on so many histories.
const SEEDS: u64 = 8;

fn broken(lines: &[Line]) -> Vec<(&'static str, Vec<Violation>)> {
    let broken = |(name, verdict)| match verdict {
        Verdict::Broken(violations) => Some((name, violations)),
        Verdict::Held(_) | Verdict::Unknown(_) => None,
    };
    check(lines).into_iter().filter_map(broken).collect()
}

/// Spoils sound histories, and looks for the invariant among those that are broken.
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

/// One of the lines that are wanted, anywhere. None that is about a message whose writer was erased: that may be gone.
fn any(lines: &[Line], rng: &mut Rng, wanted: impl Fn(&What) -> bool) -> usize {
    let erased = of_erased_users(lines);
    let is_owed = |what: &What| about(what).is_none_or(|id| !erased.contains(&id));
    anyone(lines, rng, |what| wanted(what) && is_owed(what))
}

/// The messages in the log whose writers are erased at some time.
fn of_erased_users(lines: &[Line]) -> HashSet<EventId> {
    let messages = lines.iter().filter_map(|line| match &line.what {
        What::Logged { id, user: Some(user), text: Some(_), .. } => is_erased(*user).then_some(*id),
        _ => None,
    });
    messages.collect()
}

/// The message that the line is about.
fn about(what: &What) -> Option<EventId> {
    match what {
        What::Ok { id, .. }
        | What::Frame { id, .. }
        | What::Logged { id, .. }
        | What::Archived { id, .. }
        | What::Replayed { id, .. }
        | What::ReplayShows { id, .. }
        | What::ReplayedBesideVideo { id, .. } => Some(*id),
        What::Decides { decided: Decided::Delete { target }, .. } => Some(*target),
        _ => None,
    }
}

/// The same, whoever wrote it.
fn anyone(lines: &[Line], rng: &mut Rng, wanted: impl Fn(&What) -> bool) -> usize {
    let found: Vec<usize> = (0..lines.len()).filter(|line| wanted(&lines[*line].what)).collect();
    assert!(!found.is_empty(), "the history has no such line");
    found[rng.usize(..found.len())]
}

fn accepted(lines: &[Line], rng: &mut Rng) -> EventId {
    match lines[any(lines, rng, |what| matches!(what, What::Ok { .. }))].what {
        What::Ok { id, .. } => id,
        _ => unreachable!("it was looked for"),
    }
}

/// Whether it is a session of a presenter of `chat.v1` who is there while things happen.
fn is_v1(session: u32) -> bool {
    session < 1_000 && i64::from(session / 100) != CHATTING
}

/// Whether it is a session of the presenter of the original's dialect.
fn is_chatting(session: u32) -> bool {
    i64::from(session / 100) == CHATTING
}

/// Two neighbours of one kind in one room or session.
fn neighbours(lines: &[Line], rng: &mut Rng, group: impl Fn(&What) -> Option<i64>) -> (usize, usize) {
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
fn an_empty_or_thin_history_is_unknown_and_not_a_pass() {
    let all_unknown = |lines: &[Line]| check(lines).iter().all(|(_, verdict)| matches!(verdict, Verdict::Unknown(_)));
    assert!(all_unknown(&[]));
    let few: Vec<Line> = history(1)
        .into_iter()
        .filter(|line| match &line.what {
            What::Begins { .. } | What::Read { .. } => true,
            What::Invoked { post, .. } | What::Failed { post, .. } => *post < 50,
            _ => false,
        })
        .collect();
    assert!(all_unknown(&few));
    // A reading that was broken off is no evidence.
    let unread: Vec<Line> = history(1).into_iter().filter(|line| !matches!(line.what, What::Read { .. })).collect();
    assert!(all_unknown(&unread), "{:?}", check(&unread));
}

#[test]
fn what_was_not_tried_is_unknown() {
    let lines: Vec<Line> = history(1)
        .into_iter()
        .filter(|line| !matches!(&line.what, What::Decides { decided: Decided::Ban { .. }, .. }))
        .collect();
    let verdicts = check(&lines);
    let (_, verdict) = verdicts.iter().find(|(name, _)| *name == "banned_is_silent").unwrap();
    assert!(matches!(verdict, Verdict::Unknown(_)), "{verdict:?}");
}

#[test]
fn a_history_without_the_originals_surface_is_thin() {
    let mut lines = history(1);
    for line in &mut lines {
        if let What::Invoked { surface, .. } = &mut line.what {
            *surface = Surface::V1;
        }
    }
    let verdicts = check(&lines);
    assert!(verdicts.iter().all(|(_, verdict)| matches!(verdict, Verdict::Unknown(_))), "{verdicts:?}");
}

#[test]
fn a_system_that_does_not_come_to_rest_is_noticed() {
    caught("drains_in_time", |lines, _| {
        for line in lines {
            if line.what == (What::Phase { phase: Phase::Drained }) {
                line.what = What::Phase { phase: Phase::NotDrained };
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
