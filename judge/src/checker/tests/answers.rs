//! Answers that are wrong or late, and requests that take effect too late.

use super::*;

#[test]
fn an_answer_with_another_events_position_is_noticed() {
    caught("answers_have_the_logs_positions", |lines, rng| {
        let one = any(lines, rng, |what| matches!(what, Observation::Ok { .. }));
        let other = any(lines, rng, |what| matches!(what, Observation::Confirmed { .. }));
        let Observation::Confirmed { position: wrong, .. } = lines[other].what else {
            unreachable!("it was looked for")
        };
        let Observation::Ok { position, .. } = &mut lines[one].what else { unreachable!("it was looked for") };
        *position = wrong;
    });
}

#[test]
fn a_decision_confirmed_at_an_empty_position_is_noticed() {
    caught("answers_have_the_logs_positions", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Confirmed { .. }));
        let Observation::Confirmed { position, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        position.index += 1;
    });
}

/// Delays an answer, or the time at which an event was stored.
fn delayed(lines: &mut [Line], place: usize, by: u64) {
    lines[place].at += by;
    lines.sort_by_key(|line| line.at);
}

#[test]
fn an_answer_after_its_deadline_is_noticed() {
    let answers: [fn(&Observation) -> bool; 4] = [
        |what| matches!(what, Observation::Failed { .. }),
        |what| matches!(what, Observation::Unknown { .. }),
        |what| matches!(what, Observation::Refused { .. }),
        |what| matches!(what, Observation::Undecided { .. }),
    ];
    for is_answer in answers {
        caught("answered_in_time", |lines, rng| {
            let place = any(lines, rng, is_answer);
            delayed(lines, place, 11_200_000);
        });
    }
}

#[test]
fn an_answer_delayed_by_a_fault_is_excused() {
    let mut lines = history(1);
    let place = any(&lines, &mut Rng::with_seed(1), |what| matches!(what, Observation::Failed { .. }));
    let (at, parts) = (lines[place].at, vec!["ingest-0".to_owned(), "ingest-1".to_owned()]);
    delayed(&mut lines, place, 11_200_000);
    let kind = "half-open client to ingest".to_owned();
    lines.insert(1, Line { at: at - 1_000_000, what: Observation::Breaks { fault: 8, kind, parts } });
    lines.push(Line { at: at + 9_000_000, what: Observation::Heals { fault: 8 } });
    lines.sort_by_key(|line| line.at);
    assert!(!broken(&lines).iter().any(|(name, _)| *name == "answered_in_time"));
}

/// The log line of a request of unknown outcome.
fn in_doubt(lines: &[Line], rng: &mut Rng) -> usize {
    let texts: Vec<&str> = lines
        .iter()
        .filter_map(|line| match line.what {
            Observation::Unknown { post, .. } => Some(post),
            _ => None,
        })
        .filter_map(|unknown| {
            lines.iter().find_map(|line| match &line.what {
                Observation::Invoked { post, text, .. } if *post == unknown => Some(text.as_str()),
                _ => None,
            })
        })
        .collect();
    any(
        lines,
        rng,
        |what| matches!(what, Observation::Logged { text: Some(text), .. } if texts.contains(&text.as_str())),
    )
}

#[test]
fn a_post_of_unknown_outcome_stored_a_minute_later_is_noticed() {
    caught("nothing_takes_effect_late", |lines, rng| {
        let place = in_doubt(lines, rng);
        let Observation::Logged { stored, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *stored += jiff::SignedDuration::from_secs(60);
    });
}

#[test]
fn a_batch_stored_again_after_minutes_is_noticed() {
    caught("nothing_takes_effect_late", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Logged { .. }));
        let mut copy = lines[place].clone();
        let Observation::Logged { position, stored, .. } = &mut copy.what else { unreachable!("it was looked for") };
        position.sequence += 1_000_000;
        *stored += jiff::SignedDuration::from_secs(145);
        lines.insert(place + 1, copy);
    });
}
