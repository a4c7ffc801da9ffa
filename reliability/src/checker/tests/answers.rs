//! Answers that are wrong, late, or take effect long after.

use super::*;

#[test]
fn an_answer_that_names_the_place_of_another_is_noticed() {
    caught("answers_have_the_logs_positions", |lines, rng| {
        let one = any(lines, rng, |what| matches!(what, What::Ok { .. }));
        let other = any(lines, rng, |what| matches!(what, What::Confirmed { .. }));
        let What::Confirmed { position: wrong, .. } = lines[other].what else { unreachable!("it was looked for") };
        let What::Ok { position, .. } = &mut lines[one].what else { unreachable!("it was looked for") };
        *position = wrong;
    });
}

#[test]
fn a_decision_whose_place_is_not_in_the_log_is_noticed() {
    caught("answers_have_the_logs_positions", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Confirmed { .. }));
        let What::Confirmed { position, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        position.index += 1;
    });
}

/// Moves an answer, or what is read to have been stored.
fn delayed(lines: &mut [Line], place: usize, by: u64) {
    lines[place].at += by;
    lines.sort_by_key(|line| line.at);
}

#[test]
fn an_answer_that_comes_after_its_deadline_is_noticed() {
    let answers: [fn(&What) -> bool; 4] = [
        |what| matches!(what, What::Failed { .. }),
        |what| matches!(what, What::Unknown { .. }),
        |what| matches!(what, What::Refused { .. }),
        |what| matches!(what, What::Undecided { .. }),
    ];
    for is_answer in answers {
        caught("answered_in_time", |lines, rng| {
            let place = any(lines, rng, is_answer);
            delayed(lines, place, 11_200_000);
        });
    }
}

#[test]
fn an_answer_that_was_held_up_on_its_way_is_not_held_against_the_node() {
    let mut lines = history(1);
    let place = any(&lines, &mut Rng::with_seed(1), |what| matches!(what, What::Failed { .. }));
    let (at, parts) = (lines[place].at, vec!["ingest-0".to_owned(), "ingest-1".to_owned()]);
    delayed(&mut lines, place, 11_200_000);
    let kind = "half-open client to ingest".to_owned();
    lines.insert(1, Line { at: at - 1_000_000, what: What::Breaks { fault: 8, kind, parts } });
    lines.push(Line { at: at + 9_000_000, what: What::Heals { fault: 8 } });
    lines.sort_by_key(|line| line.at);
    assert!(!broken(&lines).iter().any(|(name, _)| *name == "answered_in_time"));
}

/// A copy in the log of something of which nobody knew what became of it.
fn in_doubt(lines: &[Line], rng: &mut Rng) -> usize {
    let texts: Vec<&str> = lines
        .iter()
        .filter_map(|line| match line.what {
            What::Unknown { post, .. } => Some(post),
            _ => None,
        })
        .filter_map(|unknown| {
            lines.iter().find_map(|line| match &line.what {
                What::Invoked { post, text, .. } if *post == unknown => Some(text.as_str()),
                _ => None,
            })
        })
        .collect();
    any(lines, rng, |what| matches!(what, What::Logged { text: Some(text), .. } if texts.contains(&text.as_str())))
}

#[test]
fn a_post_of_unknown_outcome_that_is_stored_a_minute_later_is_noticed() {
    caught("nothing_takes_effect_late", |lines, rng| {
        let place = in_doubt(lines, rng);
        let What::Logged { stored, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *stored += jiff::SignedDuration::from_secs(60);
    });
}

#[test]
fn a_batch_that_is_stored_once_more_after_minutes_is_noticed() {
    caught("nothing_takes_effect_late", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Logged { .. }));
        let mut copy = lines[place].clone();
        let What::Logged { position, stored, .. } = &mut copy.what else { unreachable!("it was looked for") };
        position.sequence += 1_000_000;
        *stored += jiff::SignedDuration::from_secs(145);
        lines.insert(place + 1, copy);
    });
}
