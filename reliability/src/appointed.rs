//! Moderators of rooms: the platform, or the room's presenter, appoints and dismisses them. They have no scope, and decide all the time, so that
//! many of their decisions must be refused. They do not post, and nobody bans them.

use std::time::Duration;

use fastrand::Rng;
use judge::history::Decided;
use tokio_util::sync::CancellationToken;

use crate::moderators::{Caller, FIRST_MODERATOR, Moderators};
use crate::platform::Asks;

/// The first of these users. One for each room.
const FIRST_APPOINTED: i64 = FIRST_MODERATOR + 30;

/// The number of rooms with such a moderator.
const ROOMS: i64 = 2;

/// The duration of the role in milliseconds.
const APPOINTED_MS: std::ops::Range<u64> = 3_000..9_000;

/// The pause between two decisions of a moderator, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 200..800;

impl Moderators {
    /// Appoints and dismisses until the stop.
    pub(crate) async fn appoint(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let mut rng = Rng::with_seed(self.seed ^ 0xa99);
        self.undoing(stop, 500..3_000, Asks::PlatformOrPresenter, &mut rng, |rng| {
            let room = rng.i64(1..=self.rooms.min(ROOMS));
            let user = FIRST_APPOINTED + room;
            (Some(room), user.to_string(), APPOINTED_MS, Decided::Appoint { user }, Decided::Dismiss { user })
        })
        .await
    }

    /// Decides as the moderator of the room until the stop, appointed or not.
    pub(crate) async fn decide_as_appointed(&self, room: i64, stop: &CancellationToken) -> anyhow::Result<()> {
        if room > self.rooms {
            return Ok(());
        }
        let caller = Caller::appointed(FIRST_APPOINTED + room)?;
        let mut rng = Rng::with_seed(self.seed ^ room.unsigned_abs().wrapping_mul(0x2545_f491_4f6c_dd1d));
        loop {
            let pause = Duration::from_millis(rng.u64(PAUSE_MS));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
            let restores = rng.u32(..3) == 0;
            let found = if restores { self.restorable(&mut rng) } else { self.latest.any(&mut rng) };
            let Some((_, target)) = found.filter(|(own, _)| *own == room) else { continue };
            let decided = if restores { Decided::Restore { target } } else { Decided::Delete { target } };
            self.ask(&caller, Some(room), decided, &mut rng).await;
        }
    }
}
