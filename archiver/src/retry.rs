//! Retries what MongoDB does not do yet, with exponential backoff, for as long as it takes.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::mongo::failure::Failure;
use crate::status::Status;

/// Repeats an attempt until MongoDB succeeds. If the future is dropped, it may have succeeded any number of times.
pub(crate) async fn until_done<T, F>(status: &Status, attempt: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, Failure>>,
{
    // 100 ms: an election may be over by then. 5 s: the longest pause after MongoDB is back. Jitter keeps several
    // archivers from retrying at the same moment.
    let mut pauses = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
        .build();
    loop {
        match attempt().await {
            Ok(done) => {
                status.writes(Ok(()));
                return done;
            }
            Err(failure) => status.writes(Err(&failure)),
        }
        tokio::time::sleep(pauses.next().expect("the number of pauses is not limited")).await;
    }
}
