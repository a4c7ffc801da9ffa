//! The platform beside the moderators: it bans users from every room and changes room settings. It makes no decisions
//! about the users of moderators.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;
use judge::history::Decided;
use tokio_util::sync::CancellationToken;

use crate::ask::Answer;
use crate::moderators::{BAN_MS, Caller, FIRST_MODERATOR, Moderators, OFFENDERS};
use crate::viewers::FIRST;

/// The platform's user number.
const PLATFORM: i64 = FIRST_MODERATOR + 50;

/// The number of viewers who are banned from every room now and then. They come after those banned from rooms.
pub(crate) const BANNED: i64 = 3;

/// The duration of a setting in milliseconds.
const SET_MS: std::ops::Range<u64> = 2_000..8_000;

/// The settings as JSON: only the presenter may post, or texts of at most eight characters, or emoji, which refuses nearly
/// everything, or no links.
const SETTINGS: [(&str, &str); 4] =
    [("presenterOnly", "true"), ("maxLength", "8"), ("emojiOnly", "true"), ("links", r#""trusted""#)];

/// The decisions to undo, each with its time.
type Undo = BTreeMap<(Option<i64>, String), (Instant, Decided)>;

/// Who asks for decisions that are undone later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    /// The platform, by its scope.
    Platform,
    /// The platform or the room's presenter, who has no scope.
    PlatformOrPresenter,
}

impl Moderators {
    /// Bans from every room until the stop.
    pub(crate) async fn ban_everywhere(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let mut rng = Rng::with_seed(self.seed ^ 0xba4);
        self.undoing(stop, 1_000..4_000, Asks::Platform, &mut rng, |rng| {
            let user = FIRST + OFFENDERS + rng.i64(0..BANNED);
            (None, user.to_string(), BAN_MS, Decided::Ban { user, purge_seconds: None }, Decided::Unban { user })
        })
        .await
    }

    /// Changes settings until the stop. The first room is left out: it is as busy as all the others together.
    pub(crate) async fn configure(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let mut rng = Rng::with_seed(self.seed ^ 0x5e7);
        if self.rooms < 2 {
            return Ok(());
        }
        self.undoing(stop, 1_000..5_000, Asks::Platform, &mut rng, |rng| {
            let (room, (setting, value)) = (rng.i64(2..=self.rooms), SETTINGS[rng.usize(..SETTINGS.len())]);
            let to = |value: &str| Decided::Configure { setting: setting.to_owned(), value: value.to_owned() };
            (Some(room), setting.to_owned(), SET_MS, to(value), to("null"))
        })
        .await
    }

    /// Makes decisions and undoes them later. No decision repeats before it is undone. `choose` returns the room, the
    /// subject, the duration, the decision and its end.
    pub(crate) async fn undoing(
        &self,
        stop: &CancellationToken,
        pause: std::ops::Range<u64>,
        asks: Asks,
        rng: &mut Rng,
        choose: impl Fn(&mut Rng) -> (Option<i64>, String, std::ops::Range<u64>, Decided, Decided),
    ) -> anyhow::Result<()> {
        let platform = Caller::with_scope(PLATFORM)?;
        let presenters = (1..=self.rooms).map(Caller::of_user).collect::<anyhow::Result<Vec<Caller>>>()?;
        let caller = |room: Option<i64>, rng: &mut Rng| {
            let place = room.and_then(|room| usize::try_from(room - 1).ok());
            let presenter = place.and_then(|place| presenters.get(place));
            presenter.filter(|_| asks == Asks::PlatformOrPresenter && rng.bool()).unwrap_or(&platform)
        };
        let mut undo = Undo::new();
        loop {
            let pause = Duration::from_millis(rng.u64(pause.clone()));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
            let ripe = undo.iter().find(|(_, (until, _))| *until < Instant::now());
            if let Some((key, (_, end))) = ripe.map(|(key, value)| (key.clone(), value.clone())) {
                // The outcome is unknown: it is undone until that succeeds.
                let answer = self.ask(caller(key.0, rng), key.0, end, rng).await;
                if !matches!(answer, Answer::Unknown(_) | Answer::Refused { status: 0 | 503, .. }) {
                    undo.remove(&key);
                }
                continue;
            }
            let (room, about, holds, decided, end) = choose(rng);
            if undo.contains_key(&(room, about.clone())) {
                continue;
            }
            let answer = self.ask(caller(room, rng), room, decided, rng).await;
            if !matches!(answer, Answer::Refused { .. }) {
                let until = Instant::now() + Duration::from_millis(rng.u64(holds));
                undo.insert((room, about), (until, end));
            }
        }
    }
}
