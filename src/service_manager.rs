//! What a role tells systemd (`sd_notify`): when it is ready, that it stops, its status in words, and that it is alive.
//! Without a service manager that listens, which is without `NOTIFY_SOCKET`, nothing is told.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use web::Admin;

/// The time between two looks. A unit with a watchdog must allow more (`WatchdogSec=`).
const LOOK: Duration = Duration::from_secs(1);

/// Tells the service manager about the role, from its start until it is asked to stop, or has ended by itself.
pub(crate) async fn inform(admin: Arc<Admin>, stop: CancellationToken, ended: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Told::default();
    loop {
        // A dropped tick has told nothing.
        tokio::select! {
            _ = ticks.tick() => tell(&told.about(admin.readiness())),
            () = stop.cancelled() => break,
            () = ended.cancelled() => break,
        }
    }
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// What the service manager knows.
#[derive(Debug, Default)]
struct Told {
    is_ready: bool,
    status: String,
}

impl Told {
    /// What it has to be told now. It is told once that the role is ready: later changes are in the status alone.
    fn about(&mut self, readiness: Result<Option<String>, String>) -> Vec<NotifyState<'_>> {
        let mut news = vec![NotifyState::Watchdog];
        if readiness.is_ok() && !self.is_ready {
            self.is_ready = true;
            news.push(NotifyState::Ready);
        }
        let status = match readiness {
            Ok(None) => "ready".to_owned(),
            Ok(Some(notice)) => format!("ready; {notice}"),
            Err(reason) => format!("not ready: {reason}"),
        };
        if status != self.status {
            self.status = status;
            news.push(NotifyState::Status(&self.status));
        }
        news
    }
}

fn tell(news: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(news) {
        tracing::debug!(%error, "cannot notify the service manager: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_that_the_role_is_ready_and_every_change_of_the_status() {
        let mut told = Told::default();
        let mut lines = |readiness: Result<Option<&str>, &str>| {
            let readiness = readiness.map(|notice| notice.map(str::to_owned)).map_err(str::to_owned);
            told.about(readiness).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let waiting = "STATUS=not ready: waiting for the log";
        assert_eq!(lines(Err("waiting for the log")), ["WATCHDOG=1", waiting]);
        assert_eq!(lines(Err("waiting for the log")), ["WATCHDOG=1"]);
        assert_eq!(lines(Ok(None)), ["WATCHDOG=1", "READY=1", "STATUS=ready"]);
        assert_eq!(lines(Err("waiting for the log")), ["WATCHDOG=1", waiting]);
        assert_eq!(lines(Ok(Some("nearly full"))), ["WATCHDOG=1", "STATUS=ready; nearly full"]);
    }
}
