//! Dry runs of sweeps that list what no sweep would delete, and sweeps of accounts that are not new.

use super::*;

/// A dry run that lists messages.
fn listing(lines: &[Line], rng: &mut Rng) -> usize {
    anyone(
        lines,
        rng,
        |what| matches!(what, Observation::Message(MessageObservation::Previewed { latest, .. }) if latest.len() > 1),
    )
}

/// Changes what it lists.
fn relist(lines: &mut [Line], place: usize, change: impl FnOnce(&mut Vec<EventId>)) {
    if let Observation::Message(MessageObservation::Previewed { messages, latest, .. }) = &mut lines[place].what {
        change(latest);
        *messages = latest.len();
    }
}

#[test]
fn a_dry_run_that_lists_a_message_that_does_not_match_is_noticed() {
    caught("dry_runs_are_true", |lines, rng| {
        let (place, other) = (listing(lines, rng), accepted(lines, rng));
        relist(lines, place, |latest| latest.push(other));
    });
}

#[test]
fn a_dry_run_that_lacks_a_message_is_noticed() {
    caught("dry_runs_are_true", |lines, rng| {
        let place = listing(lines, rng);
        relist(lines, place, |latest| latest.truncate(latest.len() - 1));
    });
}

#[test]
fn a_dry_run_that_lists_a_message_that_was_deleted_is_noticed() {
    caught("dry_runs_are_true", |lines, rng| {
        let is_deletion = |line: &Line, target: EventId| matches!(&line.what, Observation::Decides { decided, .. } if *decided == Decided::Delete { target });
        let mut wrong: Vec<(usize, EventId)> = Vec::new();
        for (place, line) in lines.iter().enumerate() {
            if !matches!(line.what, Observation::Message(MessageObservation::Previewed { .. })) {
                continue;
            }
            // A message of the raid was deleted shortly before.
            for earlier in lines[..place].iter().filter(|earlier| earlier.at + 100_000 > line.at) {
                if let Observation::Ok { post: 1_250.., id, .. } = earlier.what
                    && lines[..place].iter().any(|line| is_deletion(line, id))
                {
                    wrong.push((place, id));
                }
            }
        }
        let (place, deleted) = *rng.choice(&wrong).expect("some raids have a deleted message");
        relist(lines, place, |latest| latest.push(deleted));
    });
}

#[test]
fn a_dry_run_that_counts_otherwise_than_it_lists_is_noticed() {
    caught("dry_runs_are_true", |lines, rng| {
        let place = listing(lines, rng);
        if let Observation::Message(MessageObservation::Previewed { messages, .. }) = &mut lines[place].what {
            *messages += 1;
        }
    });
}

#[test]
fn a_dry_run_that_sweeps_is_noticed() {
    caught("no_decision_is_invented", |lines, rng| {
        let sweep = |what: &Observation| matches!(what, Observation::Logged { kind, .. } if kind == "room.swept");
        let place = anyone(lines, rng, sweep);
        if let Observation::Logged { reason, .. } = &mut lines[place].what {
            *reason = Some("dry-run-7".to_owned());
        }
    });
}

/// A sweep of new accounts in the log.
fn of_new_accounts(lines: &[Line], rng: &mut Rng) -> usize {
    let reasons: HashSet<&str> = lines
        .iter()
        .filter_map(|line| match &line.what {
            Observation::Decides { decided: Decided::Sweep { swept }, reason, .. } => {
                swept.first_seen.is_some().then_some(reason.as_str())
            }
            _ => None,
        })
        .collect();
    anyone(lines, rng, |what| match what {
        Observation::Logged { swept: Some(_), reason: Some(reason), .. } => reasons.contains(reason.as_str()),
        _ => false,
    })
}

#[test]
fn a_sweep_of_new_accounts_that_leaves_one_out_is_noticed() {
    caught("new_accounts_are_found", |lines, rng| {
        let place = of_new_accounts(lines, rng);
        if let Observation::Logged { swept: Some(swept), .. } = &mut lines[place].what {
            // Only those of the raid are new for certain.
            swept.users.as_mut().expect("the log names them").retain(|user| *user < 10_000);
        }
    });
}

#[test]
fn a_sweep_of_new_accounts_that_names_the_presenter_is_noticed() {
    caught("new_accounts_are_found", |lines, rng| {
        let place = of_new_accounts(lines, rng);
        if let Observation::Logged { room: Some(room), swept: Some(swept), .. } = &mut lines[place].what {
            swept.users.as_mut().expect("the log names them").push(*room);
        }
    });
}
