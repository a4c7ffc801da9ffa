//! The platform's own hand, beside the moderators: it bans users from every room, and changes what rooms allow. Nobody
//! whom a moderator decides about is decided about here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio_util::sync::CancellationToken;

use crate::ask::{Answer, client};
use crate::history::Decided;
use crate::moderators::{BAN_MS, FIRST_MODERATOR, Moderators, OFFENDERS};
use crate::system::token;
use crate::viewers::FIRST;

/// The number of who decides.
const PLATFORM: i64 = FIRST_MODERATOR + 50;

/// So many viewers, behind those who are banned in rooms, are banned from every room now and then.
pub(crate) const BANNED: i64 = 3;

/// How long a setting holds, in milliseconds.
const SET_MS: std::ops::Range<u64> = 2_000..8_000;

/// What rooms are set to, as JSON: nobody but the presenter writes; nothing of more than eight characters, which lets
/// next to nothing through.
const SETTINGS: [(&str, &str); 2] = [("presenterOnly", "true"), ("maxLength", "8")];

/// What is to be undone, and when.
type Undo = BTreeMap<(Option<i64>, String), (Instant, Decided)>;

impl Moderators {
    /// Bans from every room until told to stop.
    pub(crate) async fn ban_everywhere(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let mut rng = Rng::with_seed(self.seed ^ 0xba4);
        self.undoing(stop, 1_000..4_000, &mut rng, |rng| {
            let user = FIRST + OFFENDERS + rng.i64(0..BANNED);
            (None, user.to_string(), BAN_MS, Decided::Ban { user }, Decided::Unban { user })
        })
        .await
    }

    /// Changes settings until told to stop. Never those of the first room, which is as busy as all the others together.
    pub(crate) async fn configure(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let mut rng = Rng::with_seed(self.seed ^ 0x5e7);
        if self.rooms < 2 {
            return Ok(());
        }
        self.undoing(stop, 1_000..5_000, &mut rng, |rng| {
            let (room, (setting, value)) = (rng.i64(2..=self.rooms), SETTINGS[rng.usize(..SETTINGS.len())]);
            let to = |value: &str| Decided::Configure { setting: setting.to_owned(), value: value.to_owned() };
            (Some(room), setting.to_owned(), SET_MS, to(value), to("null"))
        })
        .await
    }

    /// Decides, and undoes it later; nothing is decided twice before it is undone. What is chosen is where, about what,
    /// how long it holds, the decision and its end.
    async fn undoing(
        &self,
        stop: &CancellationToken,
        pause: std::ops::Range<u64>,
        rng: &mut Rng,
        choose: impl Fn(&mut Rng) -> (Option<i64>, String, std::ops::Range<u64>, Decided, Decided),
    ) -> anyhow::Result<()> {
        let (client, token) = (client()?, token(PLATFORM, true));
        let mut undo = Undo::new();
        loop {
            let pause = Duration::from_millis(rng.u64(pause.clone()));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
            let ripe = undo.iter().find(|(_, (until, _))| *until < Instant::now());
            if let Some((key, (_, end))) = ripe.map(|(key, value)| (key.clone(), value.clone())) {
                // Of unknown outcome: it is undone again, until it is.
                let answer = self.ask(&client, &token, key.0, end, rng).await;
                if !matches!(answer, Answer::Unknown(_) | Answer::Refused { status: 0 | 503, .. }) {
                    undo.remove(&key);
                }
                continue;
            }
            let (room, about, holds, decided, end) = choose(rng);
            if undo.contains_key(&(room, about.clone())) {
                continue;
            }
            let answer = self.ask(&client, &token, room, decided, rng).await;
            if !matches!(answer, Answer::Refused { .. }) {
                let until = Instant::now() + Duration::from_millis(rng.u64(holds));
                undo.insert((room, about), (until, end));
            }
        }
    }
}
