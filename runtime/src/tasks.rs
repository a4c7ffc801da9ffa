//! Background tasks: each has a name and an owner who awaits it.
//!
//! There is one policy for a panic. The owner depends on the task, so the owner ends ([`Tasks::failed`]), the role ends
//! with it, and the service manager restarts the process. A task that its owner can do without does not belong here.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The background tasks of one owner. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    panic: Arc<OnceLock<Panicked>>,
    failed: CancellationToken,
}

/// A background task that panicked. The panic's message is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked {
    /// The task's name.
    pub task: &'static str,
}

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the background task {:?} panicked", self.task)
    }
}

impl std::error::Error for Panicked {}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Tasks {
        Tasks::default()
    }

    /// No tasks yet. They stop with `stop`, or at [`Tasks::finish`].
    pub fn until(stop: &CancellationToken) -> Tasks {
        Tasks { stop: stop.child_token(), ..Tasks::default() }
    }

    /// Runs a task to its own end, also after the stop: it finishes what it has begun.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let (panic, failed) = (self.panic.clone(), self.failed.clone());
        self.tracker.spawn(async move {
            let Err(payload) = AssertUnwindSafe(task).catch_unwind().await else { return };
            tracing::error!(task = name, "the background task {name:?} panicked: {}", message(&*payload));
            // The first panic is kept: it is why the owner ends.
            let _ = panic.set(Panicked { task: name });
            failed.cancel();
        });
    }

    /// Runs a task until its end or the stop. The stop drops it at its next `await`.
    pub fn spawn_until_stop(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.spawn(name, async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// The stop, for tasks that finish by themselves.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Waits for the first panic of a task.
    pub async fn failed(&self) -> Panicked {
        self.failed.cancelled().await;
        *self.panic.get().expect("the panic is recorded before it is told")
    }

    /// The first task that panicked, if any.
    pub fn panicked(&self) -> Option<Panicked> {
        self.panic.get().copied()
    }

    /// Stops the tasks, and waits until all of them have ended.
    pub async fn finish(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_panic_names_its_task_and_the_other_tasks_are_still_awaited() {
        let tasks = Tasks::new();
        tasks.spawn_until_stop("idle", pending());
        tasks.spawn("broken", async { panic!("as planned") });
        assert_eq!(tasks.failed().await, Panicked { task: "broken" });
        tasks.spawn("late", async { panic!("too late to count") });
        tasks.finish().await;
        assert_eq!(tasks.panicked().unwrap().to_string(), "the background task \"broken\" panicked");
    }

    #[tokio::test]
    async fn the_owner_hears_of_a_panic_in_either_kind_of_task() {
        let (bounded, stopped) = (Tasks::new(), Tasks::new());
        bounded.spawn("to its end", async { panic!("as planned") });
        stopped.spawn_until_stop("until the stop", async { panic!("as {}", "planned") });

        let panicked = [bounded.failed().await, stopped.failed().await];

        assert_eq!(panicked.map(|panicked| panicked.task), ["to its end", "until the stop"]);
    }

    #[tokio::test]
    async fn the_stop_drops_waiting_tasks_and_awaits_the_others() {
        let stop = CancellationToken::new();
        let tasks = Tasks::until(&stop);
        let (finished, rest) = tokio::sync::oneshot::channel();
        let own = tasks.stop().clone();
        tasks.spawn("finishes", async move {
            own.cancelled().await;
            finished.send(()).unwrap();
        });
        tasks.spawn_until_stop("waits", pending());
        stop.cancel();
        tasks.finish().await;
        rest.await.unwrap();
        assert_eq!(tasks.panicked(), None);
    }
}
