//! Readers who miss or repeat events, who are late, or who see too much.

use super::*;

/// The reader of moderators' events is in room 1, viewers are in the others.
const MODERATORS_ROOM: u32 = 1;

fn event(what: &Observation) -> Option<(u32, EventId)> {
    match what {
        Observation::Reader(ReaderObservation::Event { session, id, .. }) => Some((*session, *id)),
        _ => None,
    }
}

fn is_viewers(session: u32) -> bool {
    session / 100 != MODERATORS_ROOM
}

/// The place of an event that a reader received and whose session received others before and after it.
fn between(lines: &[Line], rng: &mut Rng) -> usize {
    let session = |what: &Observation| event(what).map(|(session, _)| i64::from(session));
    neighbours(lines, rng, session).0
}

#[test]
fn an_event_that_never_reaches_a_reader_is_noticed() {
    caught("readers_miss_nothing", |lines, rng| {
        let place = any(lines, rng, |what| event(what).is_some());
        let Some((session, lost)) = event(&lines[place].what) else { unreachable!("it was looked for") };
        lines.retain(|line| event(&line.what).is_none_or(|(other, id)| (other / 100, id) != (session / 100, lost)));
    });
}

#[test]
fn an_event_that_a_reader_receives_twice_is_noticed() {
    caught("readers_miss_nothing", |lines, rng| {
        let place = between(lines, rng);
        lines.insert(place + 1, lines[place].clone());
    });
}

#[test]
fn events_that_a_reader_receives_in_another_order_are_noticed() {
    caught("readers_miss_nothing", |lines, rng| {
        let pair = neighbours(lines, rng, |what| event(what).map(|(session, _)| i64::from(session)));
        swap(lines, pair);
    });
}

#[test]
fn an_event_that_a_resumed_reader_had_received_before_is_noticed() {
    caught("readers_miss_nothing", |lines, rng| {
        let resumed = any(lines, rng, |what| {
            let Observation::Reader(ReaderObservation::Welcome { session, asked: Some(_), recovered, .. }) = what
            else {
                return false;
            };
            *recovered && lines.iter().any(|line| event(&line.what).is_some_and(|(other, _)| other + 1 == *session))
        });
        let Observation::Reader(ReaderObservation::Welcome { session: later, .. }) = lines[resumed].what else {
            unreachable!("it was looked for")
        };
        let earlier = lines[..resumed].iter().rfind(|line| event(&line.what).is_some_and(|(it, _)| it + 1 == later));
        let mut again = earlier.expect("it was looked for").clone();
        if let Observation::Reader(ReaderObservation::Event { session, .. }) = &mut again.what {
            *session = later;
        }
        again.at = lines[resumed].at;
        lines.insert(resumed + 1, again);
    });
}

#[test]
fn an_event_that_the_log_does_not_have_is_noticed_when_a_reader_receives_it() {
    caught("readers_miss_nothing", |lines, rng| {
        let place = any(lines, rng, |what| match what {
            Observation::Reader(ReaderObservation::Event { kind, .. }) => kind == "message.deleted",
            _ => false,
        });
        if let Observation::Reader(ReaderObservation::Event { id, .. }) = &mut lines[place].what {
            *id = EventId::new();
        }
    });
}

#[test]
fn a_reader_who_waits_for_an_event_without_a_fault_is_noticed() {
    caught("readers_keep_up", |lines, rng| {
        lines.retain(|line| !matches!(line.what, Observation::Breaks { .. } | Observation::Heals { .. }));
        // A session that lasts for more than four seconds after the event.
        let lasts = |session: u32, at: u64| {
            lines.iter().any(|line| {
                let ended = ReaderObservation::Ended { session };
                line.what == Observation::Reader(ended) && line.at > at + 4_200_000
            })
        };
        let place = any(lines, rng, |what| match what {
            Observation::Reader(ReaderObservation::Event { session, id, kind, .. }) => {
                let accepted = |line: &&Line| matches!(line.what, Observation::Ok { id: ok, .. } if ok == *id);
                let welcome = lines.iter().find(|line| {
                    matches!(&line.what, Observation::Reader(ReaderObservation::Welcome { session: own, .. })
                        if own == session)
                });
                let accepted = lines.iter().find(accepted).map(|line| line.at);
                let is_there = accepted.is_some_and(|at| welcome.is_some_and(|welcome| at > welcome.at));
                kind == "message.posted" && is_there && lasts(*session, accepted.unwrap_or(u64::MAX / 2))
            }
            _ => false,
        });
        let mut late = lines.remove(place);
        late.at += 4_100_000;
        let later = lines.partition_point(|line| line.at <= late.at);
        lines.insert(later, late);
    });
}

/// A message that a reader received with its text before its deletion, and the deletion: their places.
fn deleted_later(lines: &[Line], rng: &mut Rng) -> (usize, usize) {
    let shown = |session: u32, message: EventId| {
        lines.iter().position(|line| match &line.what {
            Observation::Reader(ReaderObservation::Event { session: own, id, text: Some(_), .. }) => {
                own / 100 == session / 100 && *id == message
            }
            _ => false,
        })
    };
    let deletion = any(lines, rng, |what| match what {
        Observation::Reader(ReaderObservation::Event { session, kind, target: Some(target), .. }) => {
            kind == "message.deleted" && !is_restored(lines, *target) && shown(*session, *target).is_some()
        }
        _ => false,
    });
    let Observation::Reader(ReaderObservation::Event { session, target: Some(target), .. }) = lines[deletion].what
    else {
        unreachable!("it was looked for")
    };
    (shown(session, target).expect("it was looked for"), deletion)
}

#[test]
fn a_text_that_a_reader_receives_after_its_deletion_is_noticed() {
    caught("readers_see_nothing_deleted", |lines, rng| {
        let (message, deletion) = deleted_later(lines, rng);
        let mut again = lines[message].clone();
        // In the session that received the deletion.
        if let Some((later, _)) = event(&lines[deletion].what)
            && let Observation::Reader(ReaderObservation::Event { session, .. }) = &mut again.what
        {
            *session = later;
        }
        again.at = lines[deletion].at;
        lines.insert(deletion + 1, again);
    });
}

#[test]
fn a_deleted_text_that_a_resumed_reader_receives_is_noticed() {
    caught("readers_see_nothing_deleted", |lines, rng| {
        lines.retain(|line| !matches!(line.what, Observation::Breaks { .. } | Observation::Heals { .. }));
        let (message, deletion) = deleted_later(lines, rng);
        // The reader receives neither the message nor the deletion, and then the message from another node.
        let mut again = lines[message].clone();
        again.at = lines[deletion].at + 2_300_000;
        let Some((session, id)) = event(&again.what) else { unreachable!("it was looked for") };
        let Observation::Reader(ReaderObservation::Event { id: decision, .. }) = lines[deletion].what else {
            unreachable!("it was looked for")
        };
        lines.retain(|line| {
            let own = |other: u32| other / 100 == session / 100;
            event(&line.what).is_none_or(|(other, found)| !own(other) || found != id && found != decision)
        });
        let later = lines.partition_point(|line| line.at <= again.at);
        lines.insert(later, again);
    });
}

#[test]
fn a_restoration_that_brings_back_a_message_deleted_since_is_noticed() {
    caught("readers_see_nothing_deleted", |lines, rng| {
        let (message, deletion) = deleted_later(lines, rng);
        let Observation::Reader(ReaderObservation::Event { id: target, text, .. }) = lines[message].what.clone() else {
            unreachable!("it was looked for")
        };
        // A restoration before the message cannot bring it back.
        let mut restoration = lines[deletion].clone();
        if let Observation::Reader(ReaderObservation::Event { kind, id, target: about, text: shown, .. }) =
            &mut restoration.what
        {
            (*kind, *id, *about, *shown) = ("message.restored".to_owned(), EventId::new(), Some(target), text);
        }
        lines.insert(deletion + 1, restoration);
    });
}

/// Changes an event that a viewer received.
fn spoil(lines: &mut [Line], rng: &mut Rng, wanted: &str, change: impl Fn(&mut String, &mut Vec<String>)) {
    let place = any(lines, rng, |what| match what {
        Observation::Reader(ReaderObservation::Event { session, kind, .. }) => is_viewers(*session) && kind == wanted,
        _ => false,
    });
    let Observation::Reader(ReaderObservation::Event { kind, members, .. }) = &mut lines[place].what else {
        unreachable!("it was looked for")
    };
    change(kind, members);
}

#[test]
fn a_moderator_or_a_reason_that_a_viewer_receives_is_noticed() {
    for (kind, member) in [("message.deleted", "by"), ("user.banned", "reason"), ("message.restored", "message.by")] {
        caught("viewers_never_see_moderators", |lines, rng| {
            spoil(lines, rng, kind, |_, members| members.push(member.to_owned()));
        });
    }
}

#[test]
fn a_decision_that_viewers_do_not_see_is_noticed() {
    for hidden in ["moderator.added", "room.updated"] {
        caught("viewers_never_see_moderators", |lines, rng| {
            spoil(lines, rng, "message.deleted", |kind, _| *kind = hidden.to_owned());
        });
    }
}

#[test]
fn flags_that_a_viewer_without_a_scope_receives_are_noticed() {
    caught("viewers_never_see_moderators", |lines, rng| {
        let place = any(lines, rng, |what| match what {
            Observation::Reader(ReaderObservation::Event { session, kind, .. }) => {
                session / 100 > 2 && kind == "message.posted"
            }
            _ => false,
        });
        if let Observation::Reader(ReaderObservation::Event { members, .. }) = &mut lines[place].what {
            members.push("flags".to_owned());
        }
    });
}

#[test]
fn a_gap_that_a_reader_is_told_of_without_a_reason_is_noticed() {
    caught("gaps_have_a_reason", |lines, rng| {
        let erased = of_erased_users(lines);
        let accepted = |message: EventId| {
            lines.iter().find(|line| matches!(line.what, Observation::Ok { id, .. } if id == message)).map(|it| it.at)
        };
        // The first event of a resumed session is a message that was accepted during the session.
        let candidate = |(place, line): (usize, &Line)| {
            let Observation::Reader(ReaderObservation::Welcome { session: own, asked: Some(_), recovered, .. }) =
                line.what
            else {
                return None;
            };
            let first = lines.iter().find_map(|line| match &line.what {
                Observation::Reader(ReaderObservation::Event { session, id, position, kind, .. })
                    if *session == own =>
                {
                    Some((*id, *position, kind == "message.posted"))
                }
                _ => None,
            });
            let (id, position, is_message) = first?;
            let at = accepted(id).filter(|at| *at > line.at)?;
            (recovered && is_message && !erased.contains(&id)).then_some((place, position, at))
        };
        let candidates: Vec<(usize, Position, u64)> = lines.iter().enumerate().filter_map(candidate).collect();
        let (place, first, at) = candidates[rng.usize(..candidates.len())];
        // The session begins after that message, and calls it a gap.
        let mut welcome = lines.remove(place);
        welcome.at = at;
        if let Observation::Reader(ReaderObservation::Welcome { position, recovered, .. }) = &mut welcome.what {
            (*position, *recovered) = (first, false);
        }
        let later = lines.partition_point(|line| line.at <= at);
        lines.insert(later, welcome);
    });
}
