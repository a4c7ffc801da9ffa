//! Posts that a sweep refuses or holds and that are accepted nevertheless, and refusals and holds without a sweep.

use super::*;

/// A post that another node accepted before it heard of a sweep that refuses it: its answer.
fn slipped(lines: &[Line], rng: &mut Rng) -> usize {
    let refused = refused(lines, rng);
    let Observation::Failed { post, .. } = lines[refused].what else { unreachable!("it was looked for") };
    // The two are numbered in sequence.
    before(lines, post)
}

/// The answer to the post before, which another node has accepted.
fn before(lines: &[Line], post: u64) -> usize {
    let is_its = |line: &Line| matches!(line.what, Observation::Ok { post: other, .. } if other + 1 == post);
    lines.iter().position(is_its).expect("each raid that is refused or held has one")
}

/// The answers to the posts of raids that wait.
fn held(lines: &[Line]) -> Vec<u64> {
    let raids: HashSet<u64> = lines
        .iter()
        .filter_map(|line| match &line.what {
            Observation::Invoked { post, text, .. } => text.to_lowercase().starts_with("raid").then_some(*post),
            _ => None,
        })
        .collect();
    let held = lines.iter().filter_map(|line| match line.what {
        Observation::Message(MessageObservation::Waits { post, .. }) => Some(post),
        _ => None,
    });
    let held: Vec<u64> = held.filter(|post| raids.contains(post)).collect();
    assert!(!held.is_empty(), "the history has no post that a sweep holds");
    held
}

/// Asks for every sweep two seconds earlier.
fn sweep_earlier(lines: &mut [Line]) {
    for line in lines.iter_mut() {
        let is_sweep = matches!(&line.what, Observation::Decides { decided: Decided::Sweep { .. }, .. });
        if is_sweep || matches!(line.what, Observation::Confirmed { .. }) {
            line.at = line.at.saturating_sub(2_000_000);
        }
    }
    lines.sort_by_key(|line| line.at);
}

/// A refusal of a sweep.
fn refused(lines: &[Line], rng: &mut Rng) -> usize {
    let is_refusal =
        |line: &usize| matches!(&lines[*line].what, Observation::Failed { code, .. } if code == "msg_swept");
    let refusals: Vec<usize> = (0..lines.len()).filter(is_refusal).collect();
    assert!(!refusals.is_empty(), "the history has no refusal");
    refusals[rng.usize(..refusals.len())]
}

#[test]
fn a_post_that_is_accepted_long_after_a_sweep_that_refuses_it_is_noticed() {
    caught("sweeps_refuse", |lines, rng| {
        let place = slipped(lines, rng);
        sweep_earlier(&mut lines[..place]);
        lines.sort_by_key(|line| line.at);
    });
}

#[test]
fn a_post_that_is_refused_for_no_sweep_is_noticed() {
    for code in ["msg_swept", "지금은 이런 내용의 채팅을 보낼 수 없습니다."] {
        caught("sweeps_stop_refusing", |lines, rng| {
            let place = refused(lines, rng);
            if let Observation::Failed { code: said, .. } = &mut lines[place].what {
                *said = code.to_owned();
            }
            for line in lines {
                if let Observation::Decides { decided: Decided::Sweep { swept }, .. } = &mut line.what {
                    swept.refuses_for = None;
                }
            }
        });
    }
}

#[test]
fn a_post_that_is_accepted_long_after_a_sweep_that_holds_it_is_noticed() {
    caught("sweeps_hold", |lines, rng| {
        let post = *rng.choice(&held(lines)).expect("there are some");
        let place = before(lines, post);
        sweep_earlier(&mut lines[..place]);
        lines.sort_by_key(|line| line.at);
    });
}

#[test]
fn a_post_that_is_held_for_no_sweep_is_noticed() {
    caught("sweeps_stop_holding", |lines, _| {
        held(lines);
        for line in lines {
            if let Observation::Decides { decided: Decided::Sweep { swept }, .. } = &mut line.what {
                swept.holds_for = None;
            }
        }
    });
}
