//! The background watches over a log: whether it still is the same log, what its clocks show, and how full it is. Each
//! runs until the log is dropped or closed.

use std::sync::Weak;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::context::Context;
use crate::epoch::timeline::{TIMELINE_CHANGED, Timeline};
use crate::error::Error;
use crate::jetstream::find_stream;
use crate::partition;
use crate::read::clock::Clock;
use crate::trim;

/// How often each partition's timeline is checked.
const EPOCH_INTERVAL: Duration = Duration::from_secs(5);

/// How often the clocks are read. A reading stays fresh for one and a half intervals.
const CLOCK_INTERVAL: Duration = Duration::from_secs(1);

/// How often each partition's size is read. This process counts its own appends in between; the appends of others
/// within a second are far smaller than the reserve.
const CAPACITY_INTERVAL: Duration = Duration::from_secs(1);

/// Checks that every partition still has the timeline that this process uses for its positions.
pub(crate) async fn epochs(context: Weak<Context>) {
    let mut missing = vec![false; context.upgrade().map_or(0, |context| context.memories.len())];
    loop {
        sleep(EPOCH_INTERVAL).await;
        let Some(context) = context.upgrade() else { return };
        for (partition, missing) in (0_u32..).zip(&mut missing) {
            let stream = partition::stream(partition);
            let reason = match find_stream(&context.jetstream, &stream).await {
                Ok(Some(info)) if Timeline::of(&info) == *context.timelines.get(partition) => {
                    *missing = false;
                    continue;
                }
                Ok(Some(_)) => TIMELINE_CHANGED,
                // Checked twice: a cluster that is starting may not know every stream yet.
                Ok(None) if std::mem::replace(missing, true) => "it is gone",
                // During an outage, appends and readers report it.
                Ok(None) | Err(_) => continue,
            };
            context.fail(Error::Replaced { stream, reason: reason.to_owned() });
            return;
        }
    }
}

/// Reads the clocks in use, so that their users need not wait. It drops all readings after a reconnect: the new server
/// may have been restarted.
pub(crate) async fn clocks(context: Weak<Context>) {
    let Some(mut connections) = context.upgrade().map(|context| context.connections.clone()) else { return };
    loop {
        match timeout(CLOCK_INTERVAL, connections.changed()).await {
            Ok(Ok(())) => {
                let Some(context) = context.upgrade() else { return };
                context.clocks.iter().for_each(Clock::forget);
            }
            Ok(Err(_)) => return,
            Err(_) => {}
        }
        let Some(context) = context.upgrade() else { return };
        for (partition, clock) in (0_u32..).zip(&context.clocks).filter(|(_, clock)| clock.is_wanted()) {
            if !context.is_connected() {
                break;
            }
            // Without an answer the last reading ages, and its users notice.
            let reading = clock.read(&context.jetstream).await;
            if reading.is_ok_and(|reading| context.is_superseded(partition, &reading)) {
                return;
            }
        }
    }
}

/// Reads how full every partition is.
pub(crate) async fn capacity(context: Weak<Context>) {
    loop {
        let Some(strong) = context.upgrade() else { return };
        for partition in 0..strong.config.partitions {
            // During an outage, appends report it.
            if let Ok(fill) = trim::fill(&strong, partition).await {
                strong.capacity.update(partition, &fill);
            }
        }
        drop(strong);
        sleep(CAPACITY_INTERVAL).await;
    }
}
