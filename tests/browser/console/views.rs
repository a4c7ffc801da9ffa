//! Every view with everything that it can show.

use super::*;

/// All figures of a broadcast are there.
const FIGURES: &str = ".page:has(.chart canvas) .progress.is-done";

/// What to open.
#[derive(Debug)]
pub(super) struct Step {
    view: String,
    /// To click there.
    control: Option<&'static str>,
    /// It is there once everything is.
    ready: &'static str,
}

impl<P: Evaluate> Console<P> {
    pub(super) async fn takes(&self, Step { view, control, ready }: &Step) {
        self.waits_for("document.getElementById('main') !== null").await;
        // What is there of the view before is not taken for this one.
        let leaves = format!("location.hash !== {} && (main.dataset.left = true)", json!(format!("#/{view}")));
        self.page.evaluate(&leaves).await;
        self.go(view).await;
        self.waits_for("main.dataset.left === undefined").await;
        if let Some(control) = control {
            self.click(control).await;
        }
        self.waits_for(&format!("document.querySelector({}) !== null /* {view} */", json!(ready))).await;
    }
}

/// Every view, and what opens in them. The last one signs out.
pub(super) fn steps([first, second]: [SessionId; 2]) -> Vec<Step> {
    let view = |view: &str, ready| Step { view: view.to_owned(), control: None, ready };
    let opened = |view: &str, control, ready| Step { view: view.to_owned(), control: Some(control), ready };
    vec![
        view("", ".links"),
        view("rooms/42/live", ".live .row-actions"),
        opened("rooms/42/live", ".held-count", ".queue li"),
        opened("rooms/42/live", ".message:has(.is-attribute) .name", ".ban"),
        opened("rooms/42/live", ".message:has(.is-attribute) .row-actions :last-child", ".trace li:nth-child(3)"),
        opened("rooms/42/live", ".card .close", ".settings .danger"),
        opened("rooms/42/live", ".message:has(.is-attribute) .row-actions :nth-last-child(2)", ".is-marked"),
        opened("rooms/42/live", ".card .close", ".settings .danger"),
        opened("rooms/42/live", ".sweeps summary", ".sweeps[open] li"),
        opened("rooms/42/live", ".settings .danger", "dialog[open]"),
        opened("rooms/42/reports", "summary", "details[open]"),
        view("rooms/42/search?deleted=include", ".search .is-deleted"),
        opened("rooms/42/search?deleted=include", ".row-actions :last-child", ".trace"),
        view("rooms/42/bans", "tbody tr"),
        view("rooms/42/moderators", "tbody tr"),
        view("rooms/42/audit", ".decisions li"),
        view("rooms/42/broadcasts", "tbody tr"),
        view(&format!("rooms/42/broadcasts/{first}"), FIGURES),
        view(&format!("rooms/42/broadcasts/{first}?with={second}"), FIGURES),
        view(&format!("rooms/42/broadcasts/{first}/replay?t=30000"), ".replay .message"),
        view("operator", ".facts"),
        opened("", ".identity button", "form.sign-in"),
    ]
}

/// A room with everything that a view can show.
pub(super) async fn furnish(world: &World) -> [SessionId; 2] {
    let said: Vec<String> = support::sample().into_iter().map(|line| line.text).collect();
    let both = [world.broadcast(0, 60, &said[..120]).await, world.broadcast(1, 90, &said[120..]).await];
    let hold = json!({ "settings": { "wordPolicy": "hold", "words": ["spoiler"] } });
    world.ask("PATCH", "settings", &moderator(), &hold).await;
    let asked = world.post(7, "When does the quiz start?").await.unwrap();
    let service = token_with(json!({ "user_idx": 8, "nickname": "subscriber", "scope": "chat:attributes" }));
    let badges = json!({ "color": "#00C853", "badges": [{ "id": "subscriber", "version": 12 }], "amount": 5 });
    let emotes = json!([{ "id": "clock", "start": 3, "end": 8 }]);
    let answer = json!({ "text": "At nine.", "replyTo": asked, "attributes": badges, "emotes": emotes });
    world.ask("POST", "messages", &service, &answer).await;
    world.post(6, "a spoiler").await.unwrap();
    for raider in [14, 15, 16] {
        world.post(raider, "come to my room").await.unwrap();
    }
    let raid = json!({ "rule": { "texts": ["come to my room"] }, "secondsBack": 600, "reason": "a raid" });
    world.ask("POST", "sweeps", &moderator(), &raid).await;
    let deleted = world.post(6, "something to delete").await.unwrap();
    let reported = world.post(6, "something to report").await.unwrap();
    world.ask("POST", "notices", &moderator(), &json!({ "text": "The quiz starts at nine." })).await;
    world.ask("PUT", "pin", &moderator(), &json!({ "messageId": asked })).await;
    world.ask("PUT", "moderators/12", &moderator(), &json!({ "reason": "helps on Fridays" })).await;
    world.archived().await;
    world.ask("DELETE", &format!("messages/{deleted}"), &moderator(), &json!({})).await;
    let report = json!({ "category": "spam", "reason": "the same as yesterday" });
    world.ask("POST", &format!("messages/{reported}/reports"), &token_with(json!({})), &report).await;
    world.ask("PUT", "bans/13", &moderator(), &json!({ "seconds": 3_600, "reason": "a flood" })).await;
    world.archived().await;
    both
}
