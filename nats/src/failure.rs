//! The failure of a log: the first error that nothing in this process can repair, and everyone who waits for it.

use std::sync::OnceLock;

use runtime::Tasks;
use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// The first failure, once there is one.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    error: OnceLock<Error>,
    reported: CancellationToken,
}

impl Failure {
    /// Reports a failure. The first report counts.
    pub(crate) fn report(&self, error: Error) {
        tracing::error!(%error, "the log has failed");
        // A second failure adds nothing: the process is ending because of the first.
        let _ = self.error.set(error);
        self.reported.cancel();
    }

    /// The failure, if there is one.
    pub(crate) fn get(&self) -> Option<&Error> {
        self.error.get()
    }

    /// Waits for a failure. A panic of one of the tasks is a failure: nothing does that task's work any more.
    pub(crate) async fn wait(&self, tasks: &Tasks) -> &Error {
        // Both branches only wait: nothing is lost with the other.
        tokio::select! {
            () = self.reported.cancelled() => {}
            panicked = tasks.failed() => self.report(panicked.into()),
        }
        self.error.get().expect("the failure is set before it is reported")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_a_background_task_fails_the_log() {
        let (failure, tasks) = (Failure::default(), Tasks::new());
        tasks.spawn("broken", async { panic!("as planned") });
        let error = failure.wait(&tasks).await;
        assert_eq!(error.to_string(), "the background task \"broken\" panicked");
    }

    #[tokio::test]
    async fn the_first_failure_counts() {
        let (failure, tasks) = (Failure::default(), Tasks::new());
        failure.report(Error::Closed);
        failure.report(Error::Missing { stream: "CHAT_0".to_owned() });
        assert!(matches!(failure.wait(&tasks).await, Error::Closed));
    }
}
