//! Moderators of rooms who may not decide, and dismissed ones who still may.

use super::*;

/// An answer to a decision by the moderator of the room, more than a second after the role last changed. `refused`:
/// whether it was refused because the user is no moderator.
fn answer(lines: &[Line], rng: &mut Rng, refused: bool) -> usize {
    let by_them: Vec<(usize, u64)> = lines
        .iter()
        .enumerate()
        .filter_map(|(line, entry)| match entry.what {
            Observation::Decides { decision, attempt: 1, by: Some(_), .. } => Some((line, decision)),
            _ => None,
        })
        .collect();
    let is_change = |what: &Observation| {
        matches!(what, Observation::Decides { decided: Decided::Appoint { .. } | Decided::Dismiss { .. }, .. })
    };
    let is_settled = |wanted: u64| {
        let Some((sent, _)) = by_them.iter().find(|(_, decision)| *decision == wanted) else { return false };
        let last = lines[..*sent].iter().rfind(|line| is_change(&line.what));
        last.is_some_and(|last| lines[*sent].at > last.at + 1_200_000)
    };
    anyone(lines, rng, |what| match what {
        Observation::Confirmed { decision, attempt: 1, .. } => !refused && is_settled(*decision),
        Observation::Refused { decision, code, .. } => refused && code == "forbidden" && is_settled(*decision),
        _ => false,
    })
}

#[test]
fn a_moderator_who_may_not_decide_is_noticed() {
    caught("moderators_may_decide", |lines, rng| {
        let place = answer(lines, rng, false);
        let Observation::Confirmed { decision, attempt, .. } = lines[place].what else {
            unreachable!("it was looked for")
        };
        let code = "forbidden".to_owned();
        lines[place].what = Observation::Refused { decision, attempt, status: 403, code };
    });
}

#[test]
fn a_presenter_who_may_not_appoint_is_noticed() {
    caught("presenters_may_decide", |lines, rng| {
        let appointments: HashSet<u64> = lines
            .iter()
            .filter_map(|line| match &line.what {
                Observation::Decides { decision, decided: Decided::Appoint { .. }, .. } => Some(*decision),
                _ => None,
            })
            .collect();
        let is_answer = |what: &Observation| match what {
            Observation::Confirmed { decision, .. } => appointments.contains(decision),
            _ => false,
        };
        let place = anyone(lines, rng, is_answer);
        let Observation::Confirmed { decision, attempt, .. } = lines[place].what else {
            unreachable!("it was looked for")
        };
        let code = "forbidden".to_owned();
        lines[place].what = Observation::Refused { decision, attempt, status: 403, code };
    });
}

#[test]
fn a_dismissed_moderator_who_decides_is_noticed() {
    caught("others_may_not_decide", |lines, rng| {
        let place = answer(lines, rng, true);
        let Observation::Refused { decision, attempt, .. } = lines[place].what else {
            unreachable!("it was looked for")
        };
        let position = Position { epoch: 7, sequence: 2_000_000, index: 0 };
        lines[place].what = Observation::Confirmed { decision, attempt, id: EventId::new(), position };
    });
}
