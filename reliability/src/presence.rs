//! Looks whether ingest knows who is there: asks both nodes, while every room has its presenter, and again when all of
//! them have left. Whoever asks once more for what was said under a key hears it without writing anything.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::ask::{Answer, client};
use crate::viewers::Viewers;

/// 20 s: longer than any presenter is away, and than a lease and what a busy machine takes beside it. What is answered
/// then is judged whatever it is.
const PATIENCE: Duration = Duration::from_secs(20);

/// 4 s: what nodes tell each other takes no longer, also on a busy machine.
const KNOWN_WITHIN: Duration = Duration::from_secs(4);

/// Until every node has said of every room that the presenter is there.
pub(crate) async fn present(viewers: &Viewers) -> anyhow::Result<()> {
    look(viewers, true).await
}

/// Until every node has said of every room that the presenter is not there, at a time when each of them must know it. All
/// has been whole since `healed`; a claim that could not be withdrawn before goes within a lease.
pub(crate) async fn absent(viewers: &Viewers, healed: Instant, lease: Duration) -> anyhow::Result<()> {
    sleep(KNOWN_WITHIN.max((lease + KNOWN_WITHIN).saturating_sub(healed.elapsed()))).await;
    look(viewers, false).await?;
    // Presenters come once more when all is read. Who comes within seconds of an answer may explain it.
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
