//! The console in Firefox.

use super::views::{furnish, steps};
use super::*;
use crate::browser::firefox::Firefox;

#[tokio::test(flavor = "multi_thread")]
async fn firefox_opens_every_view_and_a_moderator_decides_there() {
    let (world, firefox) = tokio::join!(World::start(), Firefox::start());
    let both = furnish(&world).await;
    firefox.before_each_page(&format!("() => {{ {BEFORE} }}")).await;
    firefox.load(&world.url(&format!("#/rooms/42/live?token={}", moderator()))).await;
    let console = Console { page: firefox };
    console.shows(".status", "Connected").await;
    world.post(7, "a bad message").await.unwrap();
    console.click_beside(".message", "a bad message", "Delete").await;
    console.hides(".message .text", "a bad message").await;
    console.click_beside(".message", "At nine.", "Pin").await;
    console.shows(".pin:not([hidden])", "At nine.").await;
    for step in steps(both) {
        console.takes(&step).await;
    }
    console.is_clean().await;
}
