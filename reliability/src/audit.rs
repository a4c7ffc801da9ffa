//! Reads the moderation decisions at the end of a run: every decision in the archive, and each room's list for
//! moderators. Consecutive pages come from different archivers.

use chat::{EventId, PresenterIdx};
use judge::history::{Observation, Reading, Recorder};
use serde::Deserialize;

use crate::readings::READ;
use crate::system::{System, token};

/// Decisions per page. Few: every page boundary is a chance to lose or repeat one.
const PAGE: usize = 20;

/// The user who reads them.
const MODERATOR: i64 = 990;

#[derive(Debug, Deserialize)]
struct Page {
    decisions: Vec<Decision>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Decision {
    id: EventId,
    r#type: String,
    presenter_idx: Option<i64>,
    user: Option<i64>,
    target: Option<EventId>,
    reason: Option<String>,
}

/// Records every decision, from both sources.
pub(crate) async fn read(system: &System, recorder: &Recorder, rooms: i64) -> anyhow::Result<()> {
    for decision in system.archive().await?.decisions().await? {
        recorder.note(Observation::Audited {
            room: decision.presenter.map(PresenterIdx::get),
            id: decision.id,
            position: decision.position,
            kind: decision.kind,
            user: decision.user,
            target: decision.target,
            reason: decision.reason,
        });
    }
    for room in 1..=rooms {
        let listed = list(system, &format!("/v1/rooms/{room}/moderation")).await?;
        listed.into_iter().for_each(|decision| decision.note(recorder));
    }
    let everywhere = list(system, "/v1/moderation").await?;
    let of_every_room = everywhere.into_iter().filter(|decision| decision.presenter_idx.is_none());
    of_every_room.for_each(|decision| decision.note(recorder));
    recorder.note(Observation::Read { reading: Reading::Audit });
    Ok(())
}

impl Decision {
    fn note(self, recorder: &Recorder) {
        let Decision { id, r#type: kind, presenter_idx: room, user, target, reason } = self;
        recorder.note(Observation::Listed { room, id, kind, user, target, reason });
    }
}

/// Reads a list to its end.
async fn list(system: &System, path: &str) -> anyhow::Result<Vec<Decision>> {
    let client = testkit::client().timeout(READ).build()?;
    let (mut decisions, mut after) = (Vec::new(), String::new());
    for archiver in system.archivers.iter().cycle() {
        let url = format!("{archiver}{path}?first={PAGE}{after}");
        let answer = client.get(url).bearer_auth(token(MODERATOR, true)).send().await?.error_for_status()?;
        let page: Page = answer.json().await?;
        decisions.extend(page.decisions);
        match page.next {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    Ok(decisions)
}
