//! What a role needs from others: whether each works, since when, and why not.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// How often each is checked, and so how exactly a change is timed.
const INTERVAL: Duration = Duration::from_secs(1);

/// Ok, or what is wrong, in a few words.
type Check = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Everything that the role needs, in the order in which it was added.
#[derive(Debug, Default)]
pub(crate) struct Dependencies(Mutex<Vec<Dependency>>);

struct Dependency {
    check: Check,
    last: Seen,
}

/// One of them, as it was seen last.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) name: &'static str,
    /// Why it does not work. None: it works.
    pub(crate) reason: Option<String>,
    /// Since when it works, or does not.
    since: Timestamp,
}

impl Dependencies {
    pub(crate) fn add(&self, name: &'static str, check: Check) {
        let last = Seen { name, reason: check().err(), since: Timestamp::now() };
        self.0.lock().push(Dependency { check, last });
    }

    /// Checks each.
    pub(crate) fn look(&self) -> Vec<Seen> {
        self.0.lock().iter_mut().map(Dependency::look).collect()
    }

    /// Checks each every second, so that the time of a change is known.
    pub(crate) async fn watch(&self) -> Infallible {
        loop {
            self.look();
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

impl Dependency {
    fn look(&mut self) -> Seen {
        let reason = (self.check)().err();
        if reason.is_some() != self.last.reason.is_some() {
            self.last.since = Timestamp::now();
        }
        self.last.reason = reason;
        self.last.clone()
    }
}

impl Seen {
    /// What does not work, and why.
    pub(crate) fn name_and_reason(&self) -> Option<String> {
        self.reason.as_ref().map(|reason| format!("{}: {reason}", self.name))
    }
}

impl From<Seen> for Value {
    fn from(Seen { name, reason, since }: Seen) -> Value {
        let state = if reason.is_none() { "up" } else { "down" };
        let mut dependency = json!({ "name": name, "state": state, "since": format!("{since:.3}") });
        if let Some(reason) = reason {
            dependency["reason"] = reason.into();
        }
        dependency
    }
}

impl fmt::Debug for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dependency").field("last", &self.last).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn since_when_moves_with_the_state_and_not_with_the_reason() {
        let reason = Arc::new(AtomicU32::new(0));
        let dependencies = Dependencies::default();
        dependencies.add("log", {
            let reason = reason.clone();
            Box::new(move || match reason.load(Ordering::Relaxed) {
                0 => Ok(()),
                reason => Err(format!("reason {reason}")),
            })
        });
        let up = dependencies.look().remove(0);
        reason.store(1, Ordering::Relaxed);
        let down = dependencies.look().remove(0);
        assert!(down.since >= up.since);
        assert_eq!((up.reason, down.reason.as_deref()), (None, Some("reason 1")));
        reason.store(2, Ordering::Relaxed);
        let still = dependencies.look().remove(0);
        assert_eq!((still.since, still.reason.as_deref()), (down.since, Some("reason 2")));
    }
}
