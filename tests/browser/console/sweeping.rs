//! Sweeps: chosen in the stream, counted by a dry run, made and undone, as the stream and a viewer's page show them. With
//! `CONSOLE_PICTURES=FOLDER` the first test saves pictures there.

use super::super::site::Site;
use super::*;
use crate::support::token;

/// The same text to a sweep, and not the same to the eye.
const RAID: [&str; 3] = ["Come to MY room", "come to my room", "ｃｏｍｅ to my room"];

/// Messages of a raid by a hundred users, every fourth of them only similar to the others, with one of the room's own
/// after every twelfth of them, a millisecond apart.
fn raid(messages: usize) -> Vec<Event> {
    let mut said_so_far = Vec::new();
    for number in 0..messages {
        let raider = 1_000 + (number % 100) as i64;
        let text = RAID.get(number % 4).map_or_else(|| format!("Come to my room {number}"), |text| (*text).to_owned());
        said_so_far.push((raider, "raider", text));
        if number % 12 == 11 {
            said_so_far.push((7, "viewer", format!("what happens {number}?")));
        }
    }
    let begun = Timestamp::now() - Duration::from_millis(said_so_far.len() as u64);
    let events = said_so_far.into_iter().zip(0_u64..);
    events.map(|((user, name, text), at)| said(user, name, &text, begun + Duration::from_millis(at))).collect()
}

/// What a viewer's page shows, over a data channel of the presenter's.
async fn viewer_has(page: &Page, what: &str, expected: &[String]) {
    let shown = "[...document.querySelectorAll('#viewer li')].map((line) => line.textContent)";
    eventually(what, PATIENCE, async || (page.evaluate(shown).await == json!(expected)).then_some(())).await;
}

fn lines<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<String> {
    let line = |event: &Event| match &event.body {
        Body::MessagePosted(posted) => format!("{}: {}", posted.user.nickname, posted.text),
        other => panic!("{other:?}"),
    };
    events.map(line).collect()
}

/// Presses Tab until an element of that kind has the focus.
async fn tab_to(console: &Console, selector: &str) {
    for _ in 0..40 {
        console.press("Tab").await;
        if console.page.evaluate(&format!("document.activeElement.matches({})", json!(selector))).await == true {
            return;
        }
    }
    panic!("no Tab leads to {selector}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raid_is_swept_and_undone_before_the_eyes_of_moderators_and_viewers() {
    let (world, site) = tokio::join!(World::start(), Site::start());
    let delivery = world.delivery.url().replace("http://", "");
    let example = format!("example/{delivery}#{}", token(ROOM, "presenter"));
    let viewer = world.chromium.open(&site.url(&example)).await;
    let console = world.open("rooms/42/live", &moderator()).await;
    console.shows(".status", "Connected").await;
    let events = raid(500);
    world.append_together(&events).await;
    let everything = lines(events.iter());
    let of_the_room: Vec<String> = everything.iter().filter(|line| line.starts_with("viewer")).cloned().collect();
    viewer_has(&viewer, "the raid reaches the viewer", &everything).await;

    // Chosen by one message of it, and tried: nothing is deleted yet.
    console.click_beside(".list .message", "come to my room", "Sweep…").await;
    console.waits_for("document.querySelector('.sweep textarea')?.value === 'come to my room'").await;
    console.shows(".sweep-found", "Messages: 375, by users: 75").await;
    console.shows(".sweep-found", "Marked in the stream: 375").await;
    console.click_beside(".sweep-found", "", "Add similar texts: 125").await;
    console.shows(".sweep-found", "Messages: 500, by users: 100").await;
    console.shows(".sweep-found", "Marked in the stream: 500").await;
    console.shows(".sweep-form .danger", "Delete 500").await;
    let marked = "[...document.querySelectorAll('.list .message')].every((row) =>
        row.matches('.is-marked') === row.textContent.includes('raider'))";
    console.waits_for(marked).await;
    assert_eq!(console.texts(".list .is-deleted").await, Vec::<String>::new());
    for (size, name) in [((390, 844), "sweep-phone"), ((1_280, 800), "sweep")] {
        console.page.look(size, "light").await;
        console.waits_for(marked).await;
        console.picture(name).await;
    }
    // Those who join the raid meanwhile are counted too.
    world.append_together(&raid(1)).await;
    console.shows(".sweep-form .danger", "Delete 501").await;

    console.fill(".sweep-form [name=reason]", "<b>raid</b>").await;
    console.click(".sweep-form .danger").await;
    console.shows(".event", "mod swept a raid out of the room (messages: 501) – <b>raid</b>").await;
    console.waits_for("document.querySelector('.sweep') === null").await;
    console.hides(".list .message .text", "to my room").await;
    console.shows(".list .message .text", "what happens").await;
    viewer_has(&viewer, "the raid is gone for the viewer", &of_the_room).await;

    // The bar has it, also for a page that comes later, and undoes it.
    console.shows(".sweeps[open] li", "“come to my room” or similar (80%) · last 10 min").await;
    console.reload().await;
    console.shows(".sweeps summary", "Sweeps that can be undone: 1").await;
    console.hides(".list .message .text", "to my room").await;
    console.click_beside(".sweeps li", "<b>raid</b>", "Undo").await;
    console.shows(".event", "mod undid a sweep").await;
    console.waits_for("document.querySelector('.sweeps').hidden").await;
    console.shows(".list .message .text", "to my room").await;
    let again = [everything, vec![format!("raider: {}", RAID[0])]].concat();
    viewer_has(&viewer, "the raid is back for the viewer", &again).await;

    world.archived().await;
    console.go("rooms/42/audit").await;
    console.shows(".decisions", "mod swept a raid out of the room – <b>raid</b>").await;
    console.shows(".decisions", "mod undid a sweep").await;
    console.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_chooses_sweeps_and_undoes() {
    let world = World::start().await;
    let console = world.open("rooms/42/live", &moderator()).await;
    console.shows(".status", "Connected").await;
    for (user, text) in [(7, "come here"), (8, "come there"), (6, "hello")] {
        world.post(user, text).await.unwrap();
    }
    console.waits_for("document.querySelectorAll('.row-actions').length === 3").await;
    console.page.evaluate("document.querySelector('.list').focus()").await;
    for _ in 0..3 {
        console.press("ArrowUp").await;
    }
    console.waits_for("document.activeElement.textContent.includes('come here')").await;
    // Past the name and three other decisions.
    for _ in 0..5 {
        console.press("ArrowRight").await;
    }
    console.waits_for("document.activeElement.textContent === 'Sweep…'").await;
    console.press("Enter").await;
    console.shows(".sweep-found", "Messages: 1, by users: 1").await;
    console.waits_for("document.activeElement.tagName === 'H2'").await;

    // Another text from the list: Enter adds the text of a row.
    console.page.evaluate("document.querySelector('.list').focus()").await;
    console.press("ArrowUp").await;
    console.press("ArrowUp").await;
    console.press("Enter").await;
    console.waits_for("document.querySelector('.sweep textarea').value === 'come here\\ncome there'").await;
    console.shows(".sweep-found", "Messages: 2, by users: 2").await;
    console.waits_for("document.querySelector('.sweep-form .danger').disabled === false").await;
    tab_to(&console, ".sweep-form .danger").await;
    console.press("Enter").await;
    console.shows(".event", "mod swept a raid out of the room (messages: 2)").await;
    assert_eq!(console.texts(".list .message .text").await, ["hello"]);

    console.page.evaluate("document.querySelector('.sweeps summary').focus()").await;
    console.press("Tab").await;
    console.waits_for("document.activeElement.textContent === 'Undo'").await;
    console.press("Enter").await;
    console.shows(".list .message .text", "come there").await;
    assert_eq!(console.texts(".list .message .text").await, ["come here", "come there", "hello"]);
    console.waits_for("document.activeElement.matches('.list')").await;
    console.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_by_users_and_a_label_spares_everybody_else() {
    let world = World::start().await;
    let flagging = json!({ "settings": { "wordPolicy": "flag", "words": ["spoiler"] } });
    world.ask("PATCH", "settings", &moderator(), &flagging).await;
    let console = world.open("rooms/42/live", &moderator()).await;
    console.shows(".status", "Connected").await;
    for (user, text) in [(7, "a spoiler"), (7, "sorry"), (8, "another spoiler")] {
        world.post(user, text).await.unwrap();
    }
    console.shows(".message", "another spoiler").await;
    console.waits_for("document.querySelectorAll('.row-actions').length === 3").await;
    console.click_beside(".bar", "", "Sweep…").await;
    console.shows(".sweep-found", "Choose texts or users").await;
    console.click_beside(".list .message", "sorry", "+ User").await;
    console.shows(".sweep-found", "Messages: 2, by users: 1").await;
    console.click_beside(".list .message", "sorry", "− User").await;
    console.shows(".sweep-found", "Choose texts or users").await;
    console.click_beside(".list .message", "sorry", "+ User").await;
    console.fill(".sweep-form [name=label]", "room").await;
    console.shows(".sweep-form .danger", "Delete 1").await;
    console.shows(".list .is-marked", "a spoiler").await;
    assert_eq!(console.texts(".list .is-marked .text").await, ["a spoiler"]);
    console.click(".sweep-form .danger").await;
    console.hides(".list .text", "a spoiler").await;
    assert_eq!(console.texts(".list .text").await, ["sorry", "another spoiler"]);
    console.shows(".sweeps li", "users: 1 · label word of the room · last 10 min").await;
    console.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_refuses_a_sweep_is_said_in_words() {
    let of_an_hour = |settings: Settings| {
        let rate = "ingest.limits.decision_rate";
        settings.set(&format!("{rate}.messages"), "53").set(&format!("{rate}.seconds"), "3600")
    };
    let world = World::start_with(of_an_hour).await;
    world.ask("PUT", "moderators/8", &token(ROOM, "presenter"), &json!({})).await;
    world.post(7, "raid").await.unwrap();
    let console = world.open("rooms/42/live", &token(8, "user8")).await;
    console.shows(".message", "raid").await;
    console.click_beside(".bar", "", "Sweep…").await;
    for (field, value, sentence) in [
        ("texts", (0..17).map(|number| number.to_string()).collect::<Vec<_>>().join("\n"), "at most 16 texts"),
        ("users", "7, viewer".to_owned(), "Users are numbers"),
        ("minutes", "61".to_owned(), "Enter 1 to 60 minutes"),
    ] {
        console.fill(&format!(".sweep-form [name={field}]"), &value).await;
        console.shows(".sweep-found[data-state=failed]", sentence).await;
        console.fill(&format!(".sweep-form [name={field}]"), if field == "minutes" { "10" } else { "" }).await;
    }
    console.fill(".sweep-form textarea", &"x".repeat(501)).await;
    console.shows(".sweep-found[data-state=failed]", "The server refuses this rule").await;
    assert_eq!(console.page.evaluate("document.querySelector('.sweep-form .danger').disabled").await, true);

    // As many sweeps as can be undone.
    console.fill(".sweep-form textarea", "raid").await;
    console.shows(".sweep-form .danger", "Delete 1").await;
    for _ in 0..50 {
        let sweep = json!({ "rule": { "texts": ["nothing"] }, "secondsBack": 60 });
        world.ask("POST", "sweeps", &token(8, "user8"), &sweep).await;
    }
    console.shows(".sweeps summary", "Sweeps that can be undone: 50").await;
    console.click(".sweep-form .danger").await;
    console.shows(".sweep-form .outcome", "as many sweeps as can be undone").await;

    // As many decisions as an hour may have, of which dry runs are some.
    console.fill(".sweep-form [name=minutes]", "9").await;
    console.shows(".sweep-form .danger", "Delete 1").await;
    console.fill(".sweep-form [name=minutes]", "8").await;
    console.shows(".sweep-form .danger", "Delete 1").await;
    console.fill(".sweep-form [name=minutes]", "7").await;
    console.shows(".sweep-found[data-state=failed]", "Too many decisions in a short time. Try again in").await;

    world.ask("DELETE", "moderators/8", &token(ROOM, "presenter"), &json!({})).await;
    eventually("user 8 is no moderator any more", PATIENCE, async || {
        let settings = format!("{}/v1/rooms/{ROOM}/settings", world.ingest.url());
        let request = testkit::client().build().unwrap().get(settings).bearer_auth(token(8, "user8"));
        (request.send().await.unwrap().status() == 403).then_some(())
    })
    .await;
    console.fill(".sweep-form [name=minutes]", "6").await;
    console.shows(".sweep-found[data-state=failed]", "Your token does not permit this").await;
    console.is_clean().await;
}
