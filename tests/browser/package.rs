//! The page in the README of the package for the web, with the package's single file.

use tokio::process::Command;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_readme_shows_every_message_to_the_presenter_and_the_viewer() {
    let assemble = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/web/assemble.mjs");
    let assembled = Command::new("node").arg(assemble).status().await.expect("node is on the PATH");
    assert!(assembled.success(), "{assembled}");
    let world = World::start().await;
    let node = world.node().await;
    let delivery = node.url().replace("http://", "");

    let url = world.site.url(&format!("packaged/{delivery}#{}", token(42, "presenter")));
    let page = world.chromium.open(&url).await;
    world.post(&texts(1, 20)).await;

    let expected = texts(1, 20).iter().map(|text| format!("별명: {text}")).collect::<Vec<_>>();
    for list in ["presenter", "viewer"] {
        let shown = format!("[...document.querySelectorAll('#{list} li')].map((line) => line.textContent)");
        eventually("the page shows everything", PATIENCE, async || {
            (page.evaluate(&shown).await == serde_json::json!(expected)).then_some(())
        })
        .await;
    }
}
