//! The spread of a drain: a node that stops, or is cut off from the log, sends its sessions away one after the other,
//! so that they do not reconnect all at once.

use std::time::Duration;

use chat::PresenterIdx;
use tokio::time::{Instant, sleep_until};

use crate::session::close_codes::CloseReason;
use crate::session::seats::Seats;

/// Stops all sessions one after the other. First, within `spread`, those whose clients get no warning. Then, after a
/// quarter of `spread` for handshakes that began at its end, and within another quarter, warned ones that have stayed.
/// Cancel safe.
pub(crate) async fn drain(seats: &Seats, spread: Duration) {
    let (warned, unwarned): (Vec<_>, Vec<_>) = seats.warned().into_iter().partition(|(_, warned)| *warned);
    let start = Instant::now();
    for (group, start, span) in [(unwarned, start, spread), (warned, start + spread + spread / 4, spread / 4)] {
        let presenters = group.into_iter().map(|(presenter, _)| presenter).collect();
        stop_each(seats, presenters, CloseReason::Drain, start, span).await;
    }
}

/// Stops all sessions one after the other, within `spread`. Cancel safe.
pub(crate) async fn send_away(seats: &Seats, reason: CloseReason, spread: Duration) {
    let presenters = seats.warned().into_iter().map(|(presenter, _)| presenter).collect();
    stop_each(seats, presenters, reason, Instant::now(), spread).await;
}

/// Stops these sessions one after the other, evenly over the span from `start` on.
async fn stop_each(seats: &Seats, presenters: Vec<PresenterIdx>, reason: CloseReason, start: Instant, span: Duration) {
    let (count, mut at) = (u32::try_from(presenters.len()).unwrap_or(u32::MAX), start);
    for presenter in presenters {
        sleep_until(at).await;
        seats.stop_any(presenter, reason);
        at += span / count;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nats::Claim;

    use super::*;

    fn claim(presenter: i64) -> Claim {
        Claim {
            presenter: presenter.try_into().unwrap(),
            id: chat::SessionId::new(),
            node: "node".to_owned().into(),
            since: chat::now(),
            revision: 5,
        }
    }

    #[tokio::test]
    async fn a_drain_lets_nobody_in_and_sends_those_away_last_who_can_go_by_themselves() {
        let spread = Duration::from_millis(400);
        let seats = Arc::<Seats>::default();
        let mut taken = Vec::new();
        for presenter in 1..=6 {
            taken.push((presenter, seats.take(&claim(presenter), presenter % 2 == 0).await.unwrap()));
        }
        assert_eq!(seats.close(), 6);
        assert_eq!(seats.take(&claim(7), false).await.err(), Some(CloseReason::Drain));
        let start = Instant::now();
        let told = taken.iter().map(|(presenter, seat)| async move {
            assert_eq!(seat.stopped().await, CloseReason::Drain);
            (start.elapsed(), *presenter)
        });
        let (mut told, ()) = tokio::join!(futures_util::future::join_all(told), drain(&seats, spread));
        told.sort_unstable();
        let warned: Vec<bool> = told.iter().map(|(_, presenter)| presenter % 2 == 0).collect();
        assert_eq!(warned, [false, false, false, true, true, true]);
        let (first, third, fourth) = (told[0].0, told[2].0, told[3].0);
        assert!(third - first >= spread / 3, "one after the other: {told:?}");
        assert!(fourth >= spread + spread / 4, "handshakes that began meanwhile have their time: {told:?}");
    }
}
