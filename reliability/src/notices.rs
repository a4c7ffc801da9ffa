//! Notices: a moderator posts them to every room. They are accepted things like messages, and judged as such.

use std::sync::atomic::Ordering;
use std::time::Duration;

use fastrand::Rng;
use judge::history::Surface;
use tokio_util::sync::CancellationToken;

use crate::ask::{Answer, client};
use crate::moderators::FIRST_MODERATOR;
use crate::viewers::{Attempts, Viewers};

/// The moderator who posts them.
const HERALD: i64 = FIRST_MODERATOR + 70;

/// The pause between two notices, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 300..1_500;

impl Viewers {
    /// Posts notices until the stop.
    pub(crate) async fn post_notices(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let (client, mut rng) = (client()?, Rng::with_seed(self.seed ^ 0x907));
        loop {
            let pause = Duration::from_millis(rng.u64(PAUSE_MS));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
            let post = self.posts.fetch_add(1, Ordering::Relaxed);
            let room = rng.i64(1..=self.rooms);
            let (key, text) = (Some(format!("{:x}-notice-{post}", self.seed)), format!("notice #{post}"));
            let attempts =
                Attempts { viewers: self, client: &client, post, room, user: HERALD, key, text, extras: None };
            if let Answer::Accepted { id, .. } = attempts.make_until_known(Surface::Notice, &mut rng).await {
                self.latest.remember(room, id);
            }
        }
    }
}
