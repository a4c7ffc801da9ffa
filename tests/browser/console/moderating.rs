//! Moderation decisions, and where they show.

use super::*;
use crate::support::token;

#[tokio::test(flavor = "multi_thread")]
async fn a_moderator_deletes_bans_and_finds_everything_again() {
    let world = World::start().await;
    let console = world.open("rooms/42/live", &moderator()).await;
    console.shows(".status", "Connected").await;
    world.post(7, "a good message").await.unwrap();
    world.post(8, "a bad message").await.unwrap();
    console.shows(".message .text", "a bad message").await;
    console.waits_for("document.querySelectorAll('.row-actions').length === 2").await;

    // Deleted by a click: its text goes, and its row says who did it.
    console.click_beside(".message", "a bad message", "Delete").await;
    console.hides(".message", "a bad message").await;
    console.shows(".message .note", "Deleted by mod").await;

    // Restored by another click, and deleted again.
    console.click_beside(".message", "Deleted by mod", "Restore").await;
    console.shows(".message .text", "a bad message").await;
    console.click_beside(".message", "a bad message", "Delete").await;
    console.hides(".message", "a bad message").await;
    console.shows(".message .note", "Deleted by mod").await;

    // Banned from the card, with a reason.
    world.archived().await;
    console.click_beside(".message", "Deleted by mod", "Ban…").await;
    console.shows(".card h2", "user8").await;
    console.shows(".card .history .is-deleted", "a bad message").await;
    console.fill(".ban input[name=reason]", "spam & <b>worse</b>").await;
    console.click(".ban button").await;
    console.shows(".ban-state", "Banned until").await;
    console.shows(".event", "spam & <b>worse</b>").await;
    assert_eq!(world.post(8, "again").await, Err("msg_banned".to_owned()));

    // Slow mode, for the whole room.
    console.click(".card .close").await;
    console.fill(".settings input[type=number]", "30").await;
    console.click(".settings .primary").await;
    console.shows(".settings .outcome", "Saved").await;
    console.shows(".event", "slow mode: 30 s").await;
    world.post(7, "one more").await.unwrap();
    assert_eq!(world.post(7, "too soon").await, Err("msg_slow_mode".to_owned()));

    world.archived().await;
    console.go("rooms/42/search?text=message&order=asc").await;
    console.shows(".message .text", "a good message").await;
    assert_eq!(console.texts(".message .text").await, ["a good message"]);
    console.go("rooms/42/search?text=message&deleted=only").await;
    console.shows(".is-deleted .text", "a bad message").await;
    console.go("rooms/42/audit").await;
    console.waits_for("document.querySelectorAll('.decisions li').length === 5").await;
    console.shows(".decisions", "mod deleted a message a bad message").await;
    console.shows(".decisions", "mod restored a message a bad message").await;
    console.shows(".decisions", "spam & <b>worse</b>").await;

    console.go("rooms/42/bans").await;
    console.shows("tbody th", "8").await;
    console.click("tbody button").await;
    console.shows("tbody .outcome", "Unbanned").await;
    // Slow mode counts from their last message, and they have written none since.
    world.post(8, "thank you").await.unwrap();
    console.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presenter_appoints_a_moderator_who_then_moderates_and_is_removed_again() {
    let world = World::start().await;
    let console = world.open("rooms/42/moderators", &token(42, "presenter")).await;
    console.shows(".foot", "Nothing").await;
    console.fill("form input[name=user]", "8").await;
    console.fill("form input[name=reason]", "helps on <b>Fridays</b>").await;
    console.click(".page form button").await;
    console.shows(".page form .outcome", "Appointed").await;
    console.shows("tbody th", "8").await;
    console.shows("tbody td", "helps on <b>Fridays</b>").await;

    world.post(7, "a bad message").await.unwrap();
    let moderating = world.open("rooms/42/live", &token(8, "user8")).await;
    moderating.shows(".message .text", "a bad message").await;
    moderating.click_beside(".message", "a bad message", "Delete").await;
    moderating.hides(".message", "a bad message").await;
    moderating.is_clean().await;

    console.click("tbody button").await;
    console.shows("tbody .outcome", "Removed").await;
    world.archived().await;
    console.go("rooms/42/audit").await;
    console.shows(".decisions", "presenter appointed the moderator User 8 – helps on <b>Fridays</b>").await;
    console.shows(".decisions", "user8 deleted a message a bad message").await;
    console.shows(".decisions", "presenter removed the moderator User 8").await;
    console.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_does_what_the_mouse_does() {
    let world = World::start().await;
    let console = world.open("rooms/42/live", &moderator()).await;
    console.shows(".status", "Connected").await;
    for text in ["first", "second", "third"] {
        world.post(7, text).await.unwrap();
    }
    console.waits_for("document.querySelectorAll('.row-actions').length === 3").await;
    console.page.evaluate("document.querySelector('.list').focus()").await;
    console.press("ArrowUp").await;
    console.press("ArrowUp").await;
    console.waits_for("document.activeElement.textContent.includes('second')").await;
    console.press("Delete").await;
    console.hides(".message .text", "second").await;
    console.shows(".message .note", "Deleted by mod").await;
    // The focus stays on the row.
    console.press("ArrowDown").await;
    console.waits_for("document.activeElement.textContent.includes('third')").await;
    // Past the name and the deletion, to the pin.
    for _ in 0..3 {
        console.press("ArrowRight").await;
    }
    console.waits_for("document.activeElement.textContent === 'Pin'").await;
    console.press("Enter").await;
    console.shows(".pin:not([hidden])", "third").await;
    console.waits_for("document.activeElement.matches('.row') && !document.activeElement.matches('.is-pending')").await;
    console.press("Enter").await;
    console.shows(".card h2", "user7").await;
    console.waits_for("document.activeElement.tagName === 'H2'").await;
    console.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cleared_room_is_empty_and_shows_the_reason() {
    let world = World::start().await;
    let console = world.open("rooms/42/live", &moderator()).await;
    console.shows(".status", "Connected").await;
    for text in ["one", "two"] {
        world.post(7, text).await.unwrap();
    }
    console.shows(".message .text", "two").await;
    console.click(".settings .danger").await;
    console.fill("dialog input", "raid").await;
    console.click("dialog .danger").await;
    console.shows(".event", "mod cleared the room – raid").await;
    assert_eq!(console.texts(".message .text").await, Vec::<String>::new());
    console.shows(".settings .outcome", "Cleared").await;
    world.post(7, "three").await.unwrap();
    console.shows(".message .text", "three").await;
    console.is_clean().await;
}
