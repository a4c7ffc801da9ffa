//! `examples/chat.html`, from the tree.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_shows_every_message_to_the_presenter_and_the_viewer_although_the_node_dies() {
    let world = World::start().await;
    let node = world.node().await;
    let delivery = node.url().replace("http://", "");
    let token = token(42, "presenter");

    let page = world.chromium.open(&world.site.url(&format!("example/{delivery}#{token}"))).await;
    world.post(&texts(1, 20)).await;
    node.kill();
    world.post(&texts(21, 40)).await;
    node.start_again().await;

    let expected = texts(1, 40).iter().map(|text| format!("별명: {text}")).collect::<Vec<_>>();
    for list in ["presenter", "viewer"] {
        let shown = format!("[...document.querySelectorAll('#{list} li')].map((line) => line.textContent)");
        eventually("the example shows everything", PATIENCE, async || {
            (page.evaluate(&shown).await == serde_json::json!(expected)).then_some(())
        })
        .await;
    }
}
