//! Verdicts of the review hook.

use super::*;
use crate::history::ReviewVerdict;

/// The hook gives the verdict on an accepted message before its acceptance. Returns the message.
fn review(lines: &mut Vec<Line>, rng: &mut Rng, verdict: impl Fn() -> ReviewVerdict) -> EventId {
    let id = accepted(lines, rng);
    let ok = lines.iter().position(|line| matches!(&line.what, Observation::Ok { id: ok, .. } if *ok == id)).unwrap();
    let Observation::Ok { post: wanted, .. } = lines[ok].what else { unreachable!("it was looked for") };
    let invoked = lines.iter().find_map(|line| match &line.what {
        Observation::Invoked { post, text, .. } if *post == wanted => Some(text.clone()),
        _ => None,
    });
    let reviewed = Observation::Reviewed { text: invoked.unwrap(), verdict: verdict() };
    lines.insert(ok, Line { at: lines[ok].at, what: reviewed });
    id
}

fn whole(lines: &mut Vec<Line>) {
    lines.retain(|line| !matches!(line.what, Observation::Breaks { .. } | Observation::Heals { .. }));
}

#[test]
fn a_denied_message_that_was_accepted_is_noticed() {
    caught("reviews_are_heeded", |lines, rng| {
        whole(lines);
        review(lines, rng, || ReviewVerdict::Deny);
    });
}

#[test]
fn a_replaced_message_with_its_original_text_is_noticed() {
    caught("reviews_are_heeded", |lines, rng| {
        whole(lines);
        review(lines, rng, || ReviewVerdict::Replace { with: "other words".to_owned() });
    });
}

#[test]
fn a_replaced_text_counts_as_the_original_one() {
    for seed in 0..SEEDS {
        let mut lines = history(seed);
        let with = "other words".to_owned();
        let replaced = review(&mut lines, &mut Rng::with_seed(seed), || ReviewVerdict::Replace { with: with.clone() });
        for line in &mut lines {
            match &mut line.what {
                Observation::Logged { id, text: Some(text), .. }
                | Observation::Frame { id, text: Some(text), .. }
                | Observation::Archived { id, text, .. }
                | Observation::Replayed { id, text, .. }
                | Observation::ReplayedBesideVideo { id, text, .. }
                | Observation::ReplayShows { id, text, .. }
                    if *id == replaced =>
                {
                    text.clone_from(&with);
                }
                _ => {}
            }
        }
        let broken: Vec<_> = broken(&lines).into_iter().map(|(name, _)| name).collect();
        assert!(broken.is_empty(), "seed {seed}: {broken:?}");
    }
}
