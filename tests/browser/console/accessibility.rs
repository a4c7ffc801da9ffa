//! axe-core finds nothing against WCAG 2.2, level AA: in any view, light and dark, on a desktop and on a phone. With
//! `CONSOLE_PICTURES=FOLDER` the test saves a picture of each there.

use tokio::process::Command;

use super::views::{furnish, steps};
use super::*;
use crate::support::Folder;

/// MPL-2.0. It is fetched for this test, and part of nothing that we ship.
const AXE: &str = "axe-core@4.14.1";

/// Runs the rules of levels A and AA. Returns a line for each element that breaks one.
const CHECK: &str = "axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'],
    resultTypes: ['violations'],
}).then(({ violations }) => violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`)))";

const DESKTOP: (u32, u32) = (1_280, 800);
const PHONE: (u32, u32) = (390, 844);

/// Each theme and each size, in both languages.
const LOOKS: [(&str, (u32, u32), &str); 4] =
    [("light", DESKTOP, "en"), ("dark", DESKTOP, "ko"), ("light", PHONE, "ko"), ("dark", PHONE, "en")];

async fn axe() -> String {
    let folder = Folder::new("axe");
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", AXE]);
    let installed = npm.arg("--prefix").arg(folder.path()).output().await.expect("npm is on the PATH");
    assert!(installed.status.success(), "{installed:?}");
    std::fs::read_to_string(folder.path().join("node_modules/axe-core/axe.min.js")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_meets_wcag_aa_in_both_themes_and_sizes() {
    let (world, axe) = tokio::join!(World::start(), axe());
    let both = furnish(&world).await;
    let mut found = Vec::new();
    for (theme, size, language) in LOOKS {
        let console = world.open("rooms/42/live", &moderator()).await;
        console.page.look(size, theme).await;
        console.page.evaluate(&format!("{axe}; true")).await;
        if language == "ko" {
            console.click("button[lang=ko]").await;
        }
        for (number, step) in steps(both).iter().enumerate() {
            console.takes(step).await;
            let breaches: Vec<String> = serde_json::from_value(console.page.evaluate(CHECK).await).unwrap();
            found.extend(breaches.iter().map(|breach| format!("{theme} {size:?} {step:?}: {breach}")));
            console.picture(&format!("{number:02}-{}-{theme}-{language}", size.0)).await;
        }
        console.is_clean().await;
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_finds_what_breaks_a_rule() {
    let (chromium, axe) = tokio::join!(Chromium::start(), axe());
    let page =
        chromium.open("data:text/html,<html lang=en><title>a</title><p style='color:%23ccc'>pale</p><img>").await;
    page.evaluate(&format!("{axe}; true")).await;
    let breaches: Vec<String> = serde_json::from_value(page.evaluate(CHECK).await).unwrap();
    let rules: Vec<&str> = breaches.iter().filter_map(|breach| breach.split(':').next()).collect();
    assert_eq!(rules, ["color-contrast", "image-alt"], "{breaches:?}");
}
