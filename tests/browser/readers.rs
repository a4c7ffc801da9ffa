//! Readers of a room in a browser: viewer.js with the server as its second source, and an `EventSource` with a ticket.

use serde_json::json;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_whose_channel_is_cut_goes_on_by_the_server_and_returns_without_loss_or_repetition() {
    let mut world = World::start().await;
    world.settings = world.settings.clone().set("ingest.room.readers", "members");
    let node = world.node().await;
    let balancer = Balancer::start(&[&node]).await;
    // The presenter's browser can be suspended.
    let laptop = Chromium::start().await;
    let presenter = laptop.open(&world.presenter_url(&balancer, "{}")).await;
    is_live(&presenter).await;
    let query = format!("viewer.html?events={}&token={}", node.url(), token(7, "viewer"));
    let viewer = world.chromium.open(&world.site.url(&query)).await;
    connect(&presenter, &viewer, "anna").await;
    let stop = CancellationToken::new();
    let posting = world.keep_posting(&stop);
    takes(&viewer, 50).await;
    let source = async |wanted: &str| {
        eventually(&format!("the source is {wanted}"), PATIENCE, async || {
            (viewer.evaluate("window.sources.at(-1)").await == wanted).then_some(())
        })
        .await;
    };
    source("channel").await;

    // The channel is silent. Nothing closes it.
    laptop.pause();
    source("events").await;
    takes(&viewer, 50).await;
    laptop.resume();
    source("channel").await;
    takes(&viewer, 50).await;

    // The presenter's page is gone, and loaded anew: its relay has only what came since.
    presenter.load("about:blank").await;
    source("events").await;
    takes(&viewer, 50).await;
    presenter.load(&world.presenter_url(&balancer, "{}")).await;
    is_live(&presenter).await;
    connect(&presenter, &viewer, "anna").await;
    source("channel").await;
    takes(&viewer, 50).await;

    // The server is gone as well as the channel, and comes back before it.
    presenter.load("about:blank").await;
    source("events").await;
    node.kill();
    node.start_again().await;
    takes(&viewer, 50).await;

    stop.cancel();
    let posted = posting.await.unwrap();
    has_everything(&viewer, "the viewer", posted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_source_reads_a_room_by_a_ticket_and_goes_on_by_itself() {
    let world = World::start().await;
    let node = world.node().await;
    let request = reqwest::Client::new()
        .post(format!("{}/v1/rooms/42/tickets", node.url()))
        .bearer_auth(token(42, "presenter"))
        .json(&json!({ "kind": "long_lived", "name": "overlay" }));
    let made: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    let ticket = made["ticket"].as_str().unwrap();
    let page = world.chromium.open(&world.site.url("viewer.html")).await;
    // It gives up where it is answered 503, as while the node starts. Then the page makes another one.
    let read = format!(
        "window.read = (from) => {{
            const source = new EventSource(`{}/v1/rooms/42/events?ticket={ticket}&from=${{from}}`);
            source.onmessage = ({{ data, lastEventId }}) => {{
                window.last = lastEventId;
                window.taken.push(JSON.parse(data).text);
            }};
            source.onerror = () => {{
                if (source.readyState === EventSource.CLOSED) setTimeout(() => window.read(window.last), 100);
            }};
            return new Promise((resolve) => source.addEventListener('welcome', () => resolve(true)));
        }};
        window.read('now')",
        node.url()
    );
    assert_eq!(page.evaluate(&read).await, true);
    world.post(&texts(1, 20)).await;
    takes_all(&page, 20).await;
    node.kill();
    world.post(&texts(21, 40)).await;
    node.start_again().await;
    takes_all(&page, 40).await;
    assert_eq!(taken(&page).await, texts(1, 40));
}
