//! Reports, pins, attributes, notices and traces that are not as promised.

use super::*;
use crate::history::MessageObservation;

/// A random observation of a message that matches.
fn seen(lines: &[Line], rng: &mut Rng, wanted: impl Fn(&MessageObservation) -> bool) -> usize {
    anyone(lines, rng, |what| matches!(what, Observation::Message(seen) if wanted(seen)))
}

fn is_queued(seen: &MessageObservation) -> bool {
    matches!(seen, MessageObservation::Queued { .. })
}

#[test]
fn a_reported_message_that_the_queue_lacks_or_repeats_is_noticed() {
    caught("reports_are_queued_until_closed", |lines, rng| drop(lines.remove(seen(lines, rng, is_queued))));
    caught("reports_are_queued_until_closed", |lines, rng| {
        let place = seen(lines, rng, is_queued);
        lines.insert(place, lines[place].clone());
    });
}

#[test]
fn reports_that_are_closed_by_nothing_or_remain_open_are_noticed() {
    caught("reports_are_queued_until_closed", |lines, rng| {
        let place = seen(lines, rng, is_queued);
        let Observation::Message(MessageObservation::Queued { closed, .. }) = &mut lines[place].what else {
            unreachable!("it was looked for")
        };
        *closed = if closed.is_some() { None } else { Some(EventId::new()) };
    });
}

#[test]
fn a_report_that_counts_twice_or_is_missing_is_noticed() {
    let is_report = |kind: &str| kind == "message.reported";
    caught("reports_are_queued_until_closed", |lines, rng| {
        let place = anyone(lines, rng, |what| matches!(what, Observation::Logged { kind, .. } if is_report(kind)));
        let mut copy = lines[place].clone();
        let Observation::Logged { id, position, .. } = &mut copy.what else { unreachable!("it was looked for") };
        (*id, position.index) = (EventId::new(), 9);
        lines.insert(place + 1, copy);
    });
    caught("reports_are_queued_until_closed", |lines, rng| {
        let place = anyone(lines, rng, |what| matches!(what, Observation::Audited { kind, .. } if is_report(kind)));
        lines.remove(place);
    });
    caught("reports_are_queued_until_closed", |lines, rng| {
        let place = anyone(lines, rng, |what| matches!(what, Observation::Logged { kind, .. } if is_report(kind)));
        lines.remove(place);
    });
}

#[test]
fn a_pin_of_long_ago_in_a_welcome_is_noticed() {
    caught("the_last_pin_shows", |lines, _| {
        // No session of these has a pin that was never made.
        for line in lines {
            if let Observation::Message(MessageObservation::Pinned { pinned, .. }) = &mut line.what {
                *pinned = pinned.map(|_| EventId::new());
            }
        }
    });
}

#[test]
fn another_pin_at_the_end_is_noticed() {
    caught("the_last_pin_shows", |lines, rng| {
        let place = seen(lines, rng, |seen| matches!(seen, MessageObservation::PinRead { .. }));
        let Observation::Message(MessageObservation::PinRead { pinned, .. }) = &mut lines[place].what else {
            unreachable!("it was looked for")
        };
        *pinned = Some(EventId::new());
    });
}

#[test]
fn a_pin_that_log_or_audit_lack_is_noticed() {
    let is_pin = |kind: &str| kind == "message.pinned";
    caught("the_last_pin_shows", |lines, rng| {
        let place = anyone(lines, rng, |what| matches!(what, Observation::Listed { kind, .. } if is_pin(kind)));
        lines.remove(place);
    });
    caught("the_last_pin_shows", |lines, rng| {
        let place = anyone(lines, rng, |what| matches!(what, Observation::Logged { kind, .. } if is_pin(kind)));
        lines.remove(place);
    });
}

/// A line with the attributes of a message whose author is never erased.
fn attached(lines: &[Line], rng: &mut Rng) -> usize {
    let erased = of_erased_users(lines);
    seen(lines, rng, |seen| matches!(seen, MessageObservation::Attached { id, .. } if !erased.contains(id)))
}

#[test]
fn attributes_that_are_lost_or_changed_are_noticed() {
    caught("attributes_arrive_unchanged", |lines, rng| {
        let place = attached(lines, rng);
        // A session may show them twice: with the message, and with its restoration.
        let Observation::Message(MessageObservation::Attached { seen, id, .. }) = lines[place].what.clone() else {
            unreachable!("it was looked for")
        };
        let is_it = |what: &Observation| {
            let Observation::Message(MessageObservation::Attached { seen: other, id: its, .. }) = what else {
                return false;
            };
            (*other, *its) == (seen, id)
        };
        lines.retain(|line| !is_it(&line.what));
    });
    caught("attributes_arrive_unchanged", |lines, rng| {
        let place = attached(lines, rng);
        let Observation::Message(MessageObservation::Attached { seen, id, .. }) = lines[place].what.clone() else {
            unreachable!("it was looked for")
        };
        for line in lines {
            if let Observation::Message(MessageObservation::Attached { seen: other, id: its, extras }) = &mut line.what
                && (*other, *its) == (seen, id)
            {
                extras.push('!');
            }
        }
    });
}

#[test]
fn a_notice_that_is_a_message_somewhere_is_noticed() {
    let is_notice = |kind: &str| kind == "notice.posted";
    caught("notices_are_notices", |lines, rng| {
        let place = anyone(lines, rng, |what| match what {
            Observation::Logged { kind, .. } | Observation::Frame { kind, text: Some(_), .. } => is_notice(kind),
            _ => false,
        });
        if let Observation::Logged { kind, .. } | Observation::Frame { kind, .. } = &mut lines[place].what {
            *kind = "message.posted".to_owned();
        }
    });
    caught("notices_are_notices", |lines, rng| {
        let place = seen(lines, rng, |seen| matches!(seen, MessageObservation::Notice { .. }));
        lines.remove(place);
    });
    caught("notices_are_notices", |lines, rng| {
        let place = anyone(lines, rng, |what| matches!(what, Observation::Listed { kind, .. } if is_notice(kind)));
        lines.remove(place);
    });
}

/// A trace and its message, which is of nobody who is erased.
fn trace<'a>(lines: &'a mut [Line], rng: &mut Rng) -> &'a mut MessageObservation {
    let erased = of_erased_users(lines);
    let is_owed =
        |seen: &MessageObservation| matches!(seen, MessageObservation::Traced { id, .. } if !erased.contains(id));
    let place = seen(lines, rng, is_owed);
    let Observation::Message(trace) = &mut lines[place].what else { unreachable!("it was looked for") };
    trace
}

#[test]
fn a_trace_that_says_too_much_is_noticed() {
    caught("traces_are_true", |lines, rng| {
        let MessageObservation::Traced { found, .. } = trace(lines, rng) else { unreachable!() };
        *found = Some(false);
    });
    caught("traces_are_true", |lines, _| {
        let is_ack = |what: &Observation| matches!(what, Observation::Message(MessageObservation::Acknowledges { .. }));
        lines.retain(|line| !is_ack(&line.what));
    });
    caught("traces_are_true", |lines, rng| {
        let MessageObservation::Traced { position, .. } = trace(lines, rng) else { unreachable!() };
        position.index += 1;
    });
    caught("traces_are_true", |lines, rng| {
        let MessageObservation::Traced { deleted, .. } = trace(lines, rng) else { unreachable!() };
        *deleted = Some(EventId::new());
    });
}
