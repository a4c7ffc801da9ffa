//! What the review hook said.

use super::*;
use crate::history::ReviewVerdict;

/// The hook says it of an accepted message, before that is accepted; the message.
fn review(lines: &mut Vec<Line>, rng: &mut Rng, verdict: impl Fn() -> ReviewVerdict) -> EventId {
    let id = accepted(lines, rng);
    let ok = lines.iter().position(|line| matches!(&line.what, What::Ok { id: ok, .. } if *ok == id)).unwrap();
    let What::Ok { post: wanted, .. } = lines[ok].what else { unreachable!("it was looked for") };
    let invoked = lines.iter().find_map(|line| match &line.what {
        What::Invoked { post, text, .. } if *post == wanted => Some(text.clone()),
        _ => None,
    });
    let reviewed = What::Reviewed { text: invoked.unwrap(), verdict: verdict() };
    lines.insert(ok, Line { at: lines[ok].at, what: reviewed });
    id
}

fn whole(lines: &mut Vec<Line>) {
    lines.retain(|line| !matches!(line.what, What::Breaks { .. } | What::Heals { .. }));
}

#[test]
fn a_message_that_was_denied_and_accepted_is_noticed() {
    caught("reviews_are_heeded", |lines, rng| {
        whole(lines);
        review(lines, rng, || ReviewVerdict::Deny);
    });
}

#[test]
fn a_message_that_stands_as_it_was_sent_although_it_was_replaced_is_noticed() {
    caught("reviews_are_heeded", |lines, rng| {
        whole(lines);
        review(lines, rng, || ReviewVerdict::Replace { with: "other words".to_owned() });
    });
}

#[test]
fn a_text_that_takes_the_place_of_another_stands_for_it() {
    for seed in 0..SEEDS {
        let mut lines = history(seed);
        let with = "other words".to_owned();
        let replaced = review(&mut lines, &mut Rng::with_seed(seed), || ReviewVerdict::Replace { with: with.clone() });
        for line in &mut lines {
            match &mut line.what {
                What::Logged { id, text: Some(text), .. }
                | What::Frame { id, text: Some(text), .. }
                | What::Archived { id, text, .. }
                | What::Replayed { id, text, .. }
                | What::ReplayedBesideVideo { id, text, .. }
                | What::ReplayShows { id, text, .. }
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
