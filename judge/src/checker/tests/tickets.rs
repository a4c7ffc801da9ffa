//! Tickets that open too much, or too little.

use super::*;

fn reader(what: &Observation) -> Option<&ReaderObservation> {
    match what {
        Observation::Reader(what) => Some(what),
        _ => None,
    }
}

#[test]
fn a_one_use_ticket_that_opens_two_streams_is_noticed() {
    caught("tickets_open_until_spent", |lines, rng| {
        let one_use: Vec<u64> = lines
            .iter()
            .filter_map(|line| match reader(&line.what) {
                Some(ReaderObservation::Ticket { ticket, one_use: true, .. }) => Some(*ticket),
                _ => None,
            })
            .collect();
        let place = any(lines, rng, |what| match reader(what) {
            Some(ReaderObservation::Welcome { ticket: Some(ticket), .. }) => one_use.contains(ticket),
            _ => false,
        });
        let mut second = lines[place].clone();
        if let Observation::Reader(ReaderObservation::Welcome { session, .. }) = &mut second.what {
            *session += 50;
        }
        lines.insert(place + 1, second);
    });
}

#[test]
fn a_revoked_ticket_that_still_opens_a_stream_is_noticed() {
    caught("tickets_open_until_spent", |lines, rng| {
        lines.retain(|line| !matches!(line.what, Observation::Breaks { .. } | Observation::Heals { .. }));
        let place = any(lines, rng, |what| matches!(reader(what), Some(ReaderObservation::Revoked { .. })));
        let Observation::Reader(ReaderObservation::Revoked { ticket: revoked }) = lines[place].what else {
            unreachable!("it was looked for")
        };
        let later = lines.partition_point(|line| line.at <= lines[place].at + 2_100_000);
        let opened = lines.iter().find(|line| {
            matches!(reader(&line.what), Some(ReaderObservation::Welcome { ticket, .. }) if *ticket == Some(revoked))
        });
        let mut again = opened.expect("it opened a stream before").clone();
        if let Observation::Reader(ReaderObservation::Welcome { session, .. }) = &mut again.what {
            *session += 50;
        }
        again.at = lines[place].at + 2_100_000;
        lines.insert(later, again);
    });
}

#[test]
fn a_stream_that_outlasts_its_ticket_is_noticed() {
    caught("tickets_open_until_spent", |lines, rng| {
        lines.retain(|line| !matches!(line.what, Observation::Breaks { .. } | Observation::Heals { .. }));
        let place = any(lines, rng, |what| matches!(reader(what), Some(ReaderObservation::Revoked { .. })));
        let Observation::Reader(ReaderObservation::Revoked { ticket: revoked }) = lines[place].what else {
            unreachable!("it was looked for")
        };
        let opened = lines.iter().find_map(|line| match reader(&line.what) {
            Some(ReaderObservation::Welcome { ticket, session, position, .. }) if *ticket == Some(revoked) => {
                Some((*session, *position))
            }
            _ => None,
        });
        let (session, position) = opened.expect("it opened a stream before");
        let at = lines[place].at + 2_100_000;
        let what = Observation::Reader(ReaderObservation::Keepalive { session, position });
        let later = lines.partition_point(|line| line.at <= at);
        lines.insert(later, Line { at, what });
    });
}

#[test]
fn a_valid_ticket_that_is_refused_is_noticed() {
    caught("tickets_open_until_spent", |lines, rng| {
        lines.retain(|line| !matches!(line.what, Observation::Breaks { .. } | Observation::Heals { .. }));
        let place = any(lines, rng, |what| match reader(what) {
            Some(ReaderObservation::Welcome { ticket, .. }) => ticket.is_some(),
            _ => false,
        });
        let Observation::Reader(ReaderObservation::Welcome { ticket: Some(ticket), node, .. }) =
            lines[place].what.clone()
        else {
            unreachable!("it was looked for")
        };
        lines[place].what = Observation::Reader(ReaderObservation::Refused { ticket, node });
    });
}
