//! Warnings that reach the wrong user, nobody, or a user again and again, and notes that are not as they were written.

use super::*;
use crate::history::{ListedNote, ListedWarning};

const WARNINGS: &str = "warnings_reach_their_user";
const NOTES: &str = "notes_are_as_written";

/// A random observation about a user that matches.
fn seen(lines: &[Line], rng: &mut Rng, wanted: impl Fn(&PersonObservation) -> bool) -> usize {
    anyone(lines, rng, |what| matches!(what, Observation::Person(seen) if wanted(seen)))
}

/// As [`caught`], by a sentence with these words.
#[track_caller]
fn caught_as(invariant: &str, words: &str, spoil: impl Fn(&mut Vec<Line>, &mut Rng)) {
    caught(invariant, &spoil);
    for seed in 0..SEEDS {
        let mut lines = history(seed);
        spoil(&mut lines, &mut Rng::with_seed(seed));
        let broken = broken(&lines);
        let of_it = broken.iter().filter(|(name, _)| *name == invariant).flat_map(|(_, violations)| violations);
        let sentences: Vec<&str> = of_it.map(|violation| violation.sentence.as_str()).collect();
        assert!(sentences.iter().any(|sentence| sentence.contains(words)), "seed {seed}: {sentences:?}");
    }
}

fn is_told(seen: &PersonObservation) -> bool {
    matches!(seen, PersonObservation::Told { .. })
}

/// The accepted post of the same user to the same room after the one at that line.
fn next_post(lines: &[Line], told: usize) -> Option<u64> {
    let Observation::Person(PersonObservation::Told { post: wanted, .. }) = lines[told].what else { return None };
    let author = |wanted: u64| {
        lines.iter().find_map(|line| match line.what {
            Observation::Invoked { post, room, user, .. } if post == wanted => Some((room, user)),
            _ => None,
        })
    };
    let of_user = author(wanted);
    lines[told..].iter().find_map(|line| match line.what {
        Observation::Ok { post, .. } if post != wanted && author(post) == of_user => Some(post),
        _ => None,
    })
}

#[test]
fn a_warning_in_the_answer_to_somebody_else_is_noticed() {
    caught_as(WARNINGS, "and not warned so", |lines, rng| {
        let is_others = |what: &Observation| matches!(what, Observation::Ok { post: ..1_000_000, attempt: 1, .. });
        let other = any(lines, rng, is_others);
        let Observation::Ok { post: other, .. } = lines[other].what else { unreachable!("it was looked for") };
        let place = seen(lines, rng, is_told);
        let Observation::Person(PersonObservation::Told { post, .. }) = &mut lines[place].what else { unreachable!() };
        *post = other;
    });
}

#[test]
fn a_warning_in_other_words_is_noticed() {
    caught_as(WARNINGS, "which nobody made", |lines, rng| {
        let place = seen(lines, rng, is_told);
        if let Observation::Person(PersonObservation::Told { reason, .. }) = &mut lines[place].what {
            reason.push('!');
        }
    });
}

#[test]
fn a_warning_that_no_answer_has_is_noticed() {
    caught_as(WARNINGS, "was not told", |lines, _| {
        let is_sent = |what: &Observation| match what {
            Observation::Logged { kind, .. } | Observation::Audited { kind, .. } => kind == "warning.sent",
            Observation::Listed { kind, .. } => kind == "warning.sent",
            _ => false,
        };
        let is_told = |what: &Observation| matches!(what, Observation::Person(seen) if is_told(seen));
        lines.retain(|line| !is_sent(&line.what) && !is_told(&line.what));
    });
    caught_as(WARNINGS, "and no answer had it", |lines, rng| {
        let place = seen(lines, rng, |seen| match seen {
            PersonObservation::Told { post, .. } => {
                let is_lost = |line: &Line| matches!(line.what, Observation::Unknown { .. });
                // Nothing of the user's is lost before.
                !lines.iter().any(|line| is_lost(line) && is_by_the_author_of(lines, *post, &line.what))
            }
            _ => false,
        });
        lines.remove(place);
    });
}

/// Whether the answer is one to the author of the post.
fn is_by_the_author_of(lines: &[Line], wanted: u64, answer: &Observation) -> bool {
    let Observation::Unknown { post: other, .. } = answer else { return false };
    let author = |wanted: u64| {
        lines.iter().find_map(|line| match line.what {
            Observation::Invoked { post, room, user, .. } if post == wanted => Some((room, user)),
            _ => None,
        })
    };
    author(wanted) == author(*other)
}

#[test]
fn a_warning_that_is_sent_again_and_again_is_noticed() {
    caught_as(WARNINGS, "was recorded as sent", |lines, rng| {
        let told: Vec<usize> = (0..lines.len())
            .filter(|line| matches!(&lines[*line].what, Observation::Person(seen) if is_told(seen)))
            .filter(|line| next_post(lines, *line).is_some())
            .collect();
        let place = told[rng.usize(..told.len())];
        let next = next_post(lines, place).expect("it was looked for");
        let answered = lines.iter().position(|line| matches!(line.what, Observation::Ok { post, .. } if post == next));
        let answered = answered.expect("it was accepted");
        let (at, mut what) = (lines[answered].at, lines[place].what.clone());
        if let Observation::Person(PersonObservation::Told { post, .. }) = &mut what {
            *post = next;
        }
        lines.insert(answered + 1, Line { at, what });
    });
}

#[test]
fn a_warning_that_is_recorded_as_sent_twice_or_is_not_in_the_audit_is_noticed() {
    let is_sent = |kind: &str| kind == "warning.sent";
    caught_as(WARNINGS, "recorded as sent twice", |lines, rng| {
        let place = anyone(lines, rng, |what| matches!(what, Observation::Logged { kind, .. } if is_sent(kind)));
        let mut copy = lines[place].clone();
        let Observation::Logged { id, position, .. } = &mut copy.what else { unreachable!("it was looked for") };
        (*id, position.index) = (EventId::new(), 9);
        lines.insert(place + 1, copy);
    });
    caught_as(WARNINGS, "in the list of decisions once", |lines, rng| {
        let place = anyone(lines, rng, |what| matches!(what, Observation::Listed { kind, .. } if is_sent(kind)));
        lines.remove(place);
    });
}

#[test]
fn another_list_of_warnings_at_the_end_is_noticed() {
    let listed = |lines: &mut Vec<Line>, rng: &mut Rng, spoil: fn(&mut Vec<ListedWarning>)| {
        let place = seen(lines, rng, |seen| match seen {
            PersonObservation::Warnings { warnings, .. } => !warnings.is_empty(),
            _ => false,
        });
        let Observation::Person(PersonObservation::Warnings { warnings, .. }) = &mut lines[place].what else {
            unreachable!("it was looked for")
        };
        spoil(warnings);
    };
    for spoil in [
        |warnings: &mut Vec<ListedWarning>| drop(warnings.remove(0)),
        |warnings: &mut Vec<ListedWarning>| warnings[0].is_sent ^= true,
        |warnings: &mut Vec<ListedWarning>| warnings.push(warnings[0].clone()),
    ] {
        caught_as(WARNINGS, "are not those of the log", |lines, rng| listed(lines, rng, spoil));
    }
}

#[test]
fn a_warning_or_a_note_that_a_client_receives_is_noticed() {
    for (invariant, received) in [(WARNINGS, "user.warned"), (NOTES, "note.added")] {
        caught_as(invariant, "received", |lines, rng| {
            let place = any(lines, rng, |what| matches!(what, Observation::Frame { .. }));
            if let Observation::Frame { kind, .. } = &mut lines[place].what {
                *kind = received.to_owned();
            }
        });
    }
    caught_as(NOTES, "received", |lines, rng| {
        let is_event = |what: &Observation| matches!(what, Observation::Reader(ReaderObservation::Event { .. }));
        let place = anyone(lines, rng, is_event);
        if let Observation::Reader(ReaderObservation::Event { kind, .. }) = &mut lines[place].what {
            *kind = "note.deleted".to_owned();
        }
    });
}

/// The notes of a random list with some, at the end or during the run.
fn notes<'a>(lines: &'a mut [Line], rng: &mut Rng, at_the_end: bool) -> &'a mut Vec<ListedNote> {
    let asked: HashSet<u64> = lines
        .iter()
        .filter_map(|line| match line.what {
            Observation::Person(PersonObservation::AsksForNotes { list, at_the_end: is_last, .. }) => {
                (is_last == at_the_end).then_some(list)
            }
            _ => None,
        })
        .collect();
    let place = seen(
        lines,
        rng,
        |seen| matches!(seen, PersonObservation::Notes { list, notes } if asked.contains(list) && !notes.is_empty()),
    );
    let Observation::Person(PersonObservation::Notes { notes, .. }) = &mut lines[place].what else {
        unreachable!("it was looked for")
    };
    notes
}

#[test]
fn a_note_that_is_missing_from_a_list_is_noticed() {
    caught_as(NOTES, "does not list the note", |lines, _| {
        for line in lines {
            if let Observation::Person(PersonObservation::Notes { notes, .. }) = &mut line.what {
                notes.clear();
            }
        }
    });
    caught_as(NOTES, "are not those of the log", |lines, rng| drop(notes(lines, rng, true).remove(0)));
}

#[test]
fn a_note_that_nobody_wrote_so_is_noticed() {
    caught_as(NOTES, "which nobody wrote so", |lines, rng| {
        let at_the_end = rng.bool();
        notes(lines, rng, at_the_end)[0].text.push('!');
    });
    caught_as(NOTES, "which nobody wrote so", |lines, rng| {
        let at_the_end = rng.bool();
        notes(lines, rng, at_the_end)[0].id = EventId::new();
    });
    caught_as(NOTES, "twice", |lines, rng| {
        let at_the_end = rng.bool();
        let notes = notes(lines, rng, at_the_end);
        notes.push(notes[0].clone());
    });
}

#[test]
fn a_deleted_note_that_is_listed_is_noticed() {
    caught_as(NOTES, "which is gone", |lines, _| {
        // Nothing is deleted for those who list.
        let mut all: HashMap<(i64, i64), Vec<ListedNote>> = HashMap::new();
        let mut asked = HashMap::new();
        for line in lines {
            match &mut line.what {
                Observation::Person(PersonObservation::AsksForNotes { list, room, user, .. }) => {
                    asked.insert(*list, (*room, *user));
                }
                Observation::Person(PersonObservation::Notes { list, notes }) => {
                    let known = all.entry(asked[list]).or_default();
                    let new: Vec<ListedNote> = notes.iter().filter(|note| !known.contains(note)).cloned().collect();
                    known.extend(new);
                    notes.clone_from(known);
                }
                _ => {}
            }
        }
    });
}

#[test]
fn notes_in_another_order_are_noticed() {
    caught_as(NOTES, "are not those of the log", |lines, _| {
        for line in lines {
            if let Observation::Person(PersonObservation::Notes { notes, .. }) = &mut line.what {
                notes.reverse();
            }
        }
    });
}

#[test]
fn the_words_of_a_note_on_an_erased_user_in_the_audit_are_noticed() {
    let is_note = |kind: &str| ["note.added", "note.deleted", "user.warned"].contains(&kind);
    caught("erased_is_gone", |lines, rng| {
        let is_forgotten = |what: &Observation| match what {
            Observation::Audited { kind, reason: None, .. } => is_note(kind),
            Observation::Listed { kind, reason: None, .. } => is_note(kind),
            _ => false,
        };
        let place = anyone(lines, rng, is_forgotten);
        if let Observation::Audited { reason, .. } | Observation::Listed { reason, .. } = &mut lines[place].what {
            *reason = Some("what was said".to_owned());
        }
    });
}
