//! Checks what ingest reports about presence: both nodes are asked while every room has its presenter, and again when
//! all have left. A retry under an old key reads the presence without posting anything.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::ask::{Answer, client};
use crate::viewers::Viewers;

/// 20 s: longer than any absence, and than a lease on a busy machine. The next answer counts.
const PATIENCE: Duration = Duration::from_secs(20);

/// 4 s: nodes hear of changes within this time, even on a busy machine.
const KNOWN_WITHIN: Duration = Duration::from_secs(4);

/// Waits until every node reports every room's presenter as connected.
pub(crate) async fn present(viewers: &Viewers) -> anyhow::Result<()> {
    look(viewers, true).await
}

/// Waits until every node reports every room's presenter as absent, and must know it. Faults have been over since
/// `healed`; a claim that could not be withdrawn before ends within a lease.
pub(crate) async fn absent(viewers: &Viewers, healed: Instant, lease: Duration) -> anyhow::Result<()> {
    sleep(KNOWN_WITHIN.max((lease + KNOWN_WITHIN).saturating_sub(healed.elapsed()))).await;
    look(viewers, false).await?;
    // Presenters connect once more for the readings. A connection within seconds of an answer could excuse it.
    sleep(KNOWN_WITHIN).await;
    Ok(())
}

async fn look(viewers: &Viewers, is_there: bool) -> anyhow::Result<()> {
    let (client, began) = (client()?, Instant::now());
    let mut words = std::mem::take(&mut *viewers.last_words.lock());
    for words in &mut words {
        for node in 0..viewers.ingest.len() {
            loop {
                let answer = viewers.repeat(&client, words, node).await;
                let is_said = matches!(answer, Answer::Accepted { connected, .. } if connected == Some(is_there));
                if is_said || began.elapsed() > PATIENCE {
                    break;
                }
                sleep(Duration::from_millis(250)).await;
            }
        }
    }
    *viewers.last_words.lock() = words;
    Ok(())
}
