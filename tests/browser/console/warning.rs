//! Warnings and notes on a user's card.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_moderator_warns_a_user_and_leaves_a_note_on_the_card() {
    let world = World::start().await;
    let console = world.open("rooms/42/live", &moderator()).await;
    console.shows(".status", "Connected").await;
    world.post(8, "look at my channel").await.unwrap();
    console.shows(".message .text", "look at my channel").await;
    console.click_beside(".message", "look at my channel", "Ban…").await;
    console.shows(".card h2", "user8").await;
    console.shows(".user-part .ban-state", "Not warned").await;

    console.fill(".warn input", "no <b>links</b> please").await;
    console.click(".warn button").await;
    console.shows(".user-part .ban-state", "not told yet: no <b>links</b> please").await;
    console.shows(".event", "mod warned User 8 – no <b>links</b> please").await;
    console.fill(".note-form input", "spams <i>elsewhere</i>").await;
    console.click(".note-form button").await;
    console.shows(".notes", "spams <i>elsewhere</i>").await;

    // Told with the next message, and the card says so when it is opened again.
    world.post(8, "one more").await.unwrap();
    console.shows(".event", "An answer carried the warning to User 8").await;
    console.click(".card .close").await;
    console.click_beside(".message", "one more", "Ban…").await;
    console.shows(".user-part .ban-state", "Warned, told").await;
    console.shows(".notes", "spams <i>elsewhere</i>").await;

    console.click(".notes button").await;
    console.hides(".notes li", "spams <i>elsewhere</i>").await;
    console.click(".user-part .line button").await;
    console.shows(".user-part .ban-state", "Not warned").await;
    console.is_clean().await;
}
