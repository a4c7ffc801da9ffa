//! Erased users whose messages remain, and other users whose messages are gone.

use super::*;

/// A message that was accepted before its author's last erasure of that kind, and the line of the erasure's end.
fn erased(lines: &[Line], rng: &mut Rng, wanted: bool) -> (EventId, i64, usize) {
    let mut writers = HashMap::new();
    let mut found = Vec::new();
    for (line, entry) in lines.iter().enumerate() {
        match &entry.what {
            Observation::Invoked { post, user, .. } => drop(writers.entry(*post).or_insert((*user, None))),
            Observation::Ok { post, id, .. } => {
                let writer: &mut (i64, Option<EventId>) = writers.get_mut(post).unwrap();
                writer.1 = writer.1.or(Some(*id));
            }
            Observation::Erases { user, anonymises, .. } if *anonymises == wanted => {
                let theirs = writers.values().filter(|(writer, _)| writer == user);
                found.extend(theirs.filter_map(|(_, id)| Some(((*id)?, *user, line))));
            }
            _ => {}
        }
    }
    found.sort_unstable_by_key(|(_, _, line)| *line);
    found[rng.usize(..found.len())]
}

#[test]
fn a_removed_message_in_the_archive_or_the_replay_is_noticed() {
    caught("erased_is_gone", |lines, rng| {
        let (gone, user, _) = erased(lines, rng, false);
        let place = any(lines, rng, |what| matches!(what, Observation::Archived { .. }));
        let mut line = lines[place].clone();
        if let Observation::Archived { id, user: writer, .. } = &mut line.what {
            (*id, *writer) = (gone, user);
        }
        lines.insert(place, line);
    });
    caught("erased_is_gone", |lines, rng| {
        let (gone, ..) = erased(lines, rng, false);
        let place = any(lines, rng, |what| matches!(what, Observation::Replayed { .. }));
        if let Observation::Replayed { id, .. } = &mut lines[place].what {
            *id = gone;
        }
    });
}

#[test]
fn an_anonymised_message_under_its_authors_number_is_noticed() {
    caught("erased_is_gone", |lines, rng| {
        let (gone, number, _) = erased(lines, rng, true);
        for line in lines {
            if let Observation::Archived { id, user, .. } = &mut line.what
                && *id == gone
            {
                *user = number;
            }
        }
    });
}

#[test]
fn an_erased_message_that_is_shown_is_noticed() {
    caught("erased_is_gone", |lines, rng| {
        let anonymised = rng.bool();
        let (gone, ..) = erased(lines, rng, anonymised);
        let is_late = |what: &Observation| match what {
            Observation::Frame { session, kind, text: Some(_), .. } => *session > 1_000 && kind == "message.posted",
            _ => false,
        };
        let place = any(lines, rng, is_late);
        if let Observation::Frame { id, .. } = &mut lines[place].what {
            *id = gone;
        }
    });
}

/// An accepted message that one of these users sent after that line.
fn sent_after(lines: &[Line], rng: &mut Rng, from: usize, users: std::ops::Range<i64>) -> EventId {
    let sent = lines[from..].iter().filter_map(|line| match &line.what {
        Observation::Invoked { post, user, attempt: 1, .. } if users.contains(user) => Some(*post),
        _ => None,
    });
    let sent: Vec<u64> = sent.collect();
    match lines[anyone(lines, rng, |what| matches!(what, Observation::Ok { post, .. } if sent.contains(post)))].what {
        Observation::Ok { id, .. } => id,
        _ => unreachable!("it was looked for"),
    }
}

fn take_from_the_archive(lines: &mut Vec<Line>, taken: EventId) {
    lines.retain(|line| !matches!(&line.what, Observation::Archived { id, .. } if *id == taken));
}

#[test]
fn an_erasure_of_a_later_message_is_noticed() {
    caught("accepted_is_in_the_archive", |lines, rng| {
        let last = lines.iter().rposition(|line| matches!(line.what, Observation::Erased { .. })).unwrap();
        let taken = sent_after(lines, rng, last, 108..110);
        take_from_the_archive(lines, taken);
    });
}

#[test]
fn an_erasure_of_another_users_message_is_noticed() {
    caught("accepted_is_in_the_archive", |lines, rng| {
        let taken = sent_after(lines, rng, 0, 100..108);
        take_from_the_archive(lines, taken);
    });
}
