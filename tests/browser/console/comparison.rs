//! Two broadcasts side by side.

use super::*;

/// A message every two seconds in ten minutes, and two a second in five minutes a day later.
async fn two_broadcasts(world: &World) -> [SessionId; 2] {
    let slow: Vec<String> = (1..300).map(|number| format!("slowly {number}.")).collect();
    let fast: Vec<String> = (1..600).map(|number| format!("quickly {number}.")).collect();
    let both = [world.broadcast(0, 600, &slow).await, world.broadcast(1, 300, &fast).await];
    world.archived().await;
    both
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_puts_two_broadcasts_side_by_side() {
    let world = World::start().await;
    let [slow, fast] = two_broadcasts(&world).await;
    let console = world.open(&format!("rooms/42/broadcasts/{slow}"), &analyst()).await;
    console.shows(".comparing option", "599 messages").await;
    assert_eq!(console.texts(".comparing option").await.len(), 1, "a broadcast is not compared with itself");
    console.page.evaluate("document.querySelector('.comparing select').focus()").await;
    console.press("Tab").await;
    console.press("Enter").await;

    console.shows("h1", "Two broadcasts compared").await;
    assert_eq!(console.page.evaluate("location.hash").await, format!("#/rooms/42/broadcasts/{slow}?with={fast}"));
    for (name, figures) in [
        ("Length", ["0:10:00", "0:05:00"]),
        ("Messages", ["299", "599"]),
        ("Messages a minute", ["29.9", "119.8"]),
        ("Most messages in 2 s", ["1, at 0:00:02", "4, at 0:00:02"]),
        ("People who wrote", ["7", "7"]),
    ] {
        let row = format!(
            "(() => {{
                const row = [...document.querySelectorAll('.comparison tr')]
                    .find((row) => row.querySelector('th[scope=row]')?.textContent === {});
                return [...(row?.querySelectorAll('td') ?? [])].map((cell) => cell.textContent);
            }})()",
            json!(name)
        );
        console.waits_for(&format!("JSON.stringify({row}) === {}", json!(json!(figures).to_string()))).await;
    }
    // What the chart shows, in words.
    console.waits_for("document.querySelector('.chart canvas') !== null").await;
    let label = console.page.evaluate("document.querySelector('.chart').ariaLabel").await;
    assert!(label.as_str().unwrap().contains("at most 1, at 0:00:02"), "{label}");
    assert!(label.as_str().unwrap().contains("at most 4, at 0:00:02"), "{label}");
    let words = "[...document.querySelectorAll('.sides')].at(-1)";
    for (side, word, other) in [(0, "slowly", "quickly"), (1, "quickly", "slowly")] {
        let column = format!("{words}?.children[{side}].querySelector('.ranking')?.textContent");
        console.waits_for(&format!("{column}?.includes('{word}') && !{column}.includes('{other}')")).await;
    }

    // The address holds the comparison, in either language.
    console.reload().await;
    console.shows("h1", "Two broadcasts compared").await;
    console.click("button[lang=ko]").await;
    console.shows("h1", "두 방송 비교").await;
    console.shows(".comparison th", "분당 메시지").await;
    // A broadcast's name leads to it alone.
    console.click(".comparison thead th:last-child a").await;
    console.waits_for(&format!("location.hash === '#/rooms/42/broadcasts/{fast}'")).await;
    console.shows(".facts dd", "599").await;
    console.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_that_does_not_exist_is_compared_with_nothing() {
    let world = World::start().await;
    let only = world.broadcast(0, 60, &["hello".to_owned()]).await;
    world.archived().await;
    let console = world.open(&format!("rooms/42/broadcasts/{only}"), &analyst()).await;
    console.shows(".comparing", "no other broadcast").await;
    console.go(&format!("rooms/42/broadcasts/{only}?with={}", SessionId::new())).await;
    console.shows(".outcome", "There is no such broadcast").await;
    console.is_clean().await;
}
