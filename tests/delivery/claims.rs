//! Claims and withdrawals without an answer: in the end the right session holds the room, and every node knows it.

use reqwest::Client;
use serde_json::json;

use super::*;
use crate::support::{Gate, Held, Proxy, RoomServer, token};

/// How a claim or a withdrawal of any room begins on its way to the server.
const CLAIM: &str = "HPUB $KV.sessions.";

/// Ingest beside delivery.
struct Ingest {
    role: Role,
    rooms: RoomServer,
    client: Client,
}

impl Ingest {
    async fn start(world: &World) -> Ingest {
        let rooms = RoomServer::start().await;
        let settings = world.settings.clone().rooms(&rooms).set("ingest.rooms.live_ms", "50");
        let client = testkit::client().build().unwrap();
        Ingest { role: Role::start("ingest", &settings).await, rooms, client }
    }

    /// What a viewer of the room is told of its presenter: `connected` or `reconnecting`.
    async fn says(&self, room: i64) -> String {
        let url = format!("{}/v1/rooms/{room}/messages", self.role.url());
        let post = self.client.post(url).bearer_auth(token(7, "nick")).json(&json!({ "text": "is anybody there" }));
        let answer: serde_json::Value = post.send().await.unwrap().json().await.unwrap();
        answer["presenter"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    async fn comes_to_say(&self, room: i64, what: &str) {
        eventually(what, PATIENCE, async || (self.says(room).await == what).then_some(())).await;
    }
}

/// Delivery behind a network of its own.
async fn behind(world: &World, url: &str) -> Role {
    Role::start("delivery", &world.settings.clone().set("nats.urls", url)).await
}

/// The bucket's newest value of the room, as it is.
async fn revision(world: &World, room: i64) -> u64 {
    let client = async_nats::connect(world.nats.url()).await.unwrap();
    let bucket = async_nats::jetstream::new(client).get_key_value("sessions").await.unwrap();
    bucket.entry(room.to_string()).await.unwrap().unwrap().revision
}

async fn nobody(world: &World, room: i64) {
    eventually("nobody holds the room", PATIENCE, async || world.presence.session(idx(room)).is_none().then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_stored_too_late_replaces_no_session() {
    let world = World::with(&[("nats.lease", "10s")]).await;
    let gate = Gate::start(&world.nats.url()).await;
    let url = gate.url();
    let (one, other, ingest) = tokio::join!(world.node(), behind(&world, &url), Ingest::start(&world));
    let (mut page, _) = Page::connect(&one, 42).await;
    let session = world.session(42, None).await;
    ingest.comes_to_say(42, "connected").await;

    gate.hold(Held::Requests, CLAIM);
    let mut newcomer = Page::open(&other).await;
    newcomer.say_start(&token(42, "presenter"), None).await;
    gate.caught().await;
    assert_eq!(newcomer.rest().await.1, 4102);
    gate.release();
    eventually("the late claim is stored", PATIENCE, async || {
        (revision(&world, 42).await > session.revision).then_some(())
    })
    .await;

    assert_eq!(ingest.says(42).await, "connected");
    world.post(42, &["for whoever holds the room"]).await;
    page.texts_to("for whoever holds the room").await;
    page.is_served_and_quiet().await;
    assert_eq!(world.presence.session(idx(42)), Some(session.clone()));
    // Whoever begins to read now finds the late claim alone in the bucket.
    assert_eq!(world.log.presence().await.unwrap().session(idx(42)), Some(session));
    // The newcomer comes again, and now it is in time.
    let (mut newcomer, _) = Page::resume(&other, 42, page.position.as_deref()).await;
    assert_eq!(page.rest().await.1, 4002);
    newcomer.is_served_and_quiet().await;
    newcomer.close().await;
    nobody(&world, 42).await;
    ingest.comes_to_say(42, "reconnecting").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_holds_the_room_after_a_late_claim_can_leave_it() {
    let world = World::with(&[("nats.lease", "10s")]).await;
    let gate = Gate::start(&world.nats.url()).await;
    let (one, other) = (world.node().await, behind(&world, &gate.url()).await);
    let (page, _) = Page::connect(&one, 42).await;
    let session = world.session(42, None).await;
    gate.hold(Held::Requests, CLAIM);
    let mut newcomer = Page::open(&other).await;
    newcomer.say_start(&token(42, "presenter"), None).await;
    assert_eq!(newcomer.rest().await.1, 4102);
    gate.release();
    eventually("the late claim is stored", PATIENCE, async || {
        (revision(&world, 42).await > session.revision).then_some(())
    })
    .await;
    page.close().await;
    nobody(&world, 42).await;
    assert_eq!(world.log.presence().await.unwrap().claim(idx(42)), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_with_a_late_answer_is_looked_up_and_holds() {
    let world = World::with(&[("nats.lease", "10s")]).await;
    let gate = Gate::start(&world.nats.url()).await;
    let (one, other) = (world.node().await, behind(&world, &gate.url()).await);
    let (mut page, _) = Page::connect(&one, 42).await;
    let session = world.session(42, None).await;

    gate.hold(Held::Answers, CLAIM);
    let mut newcomer = Page::open(&other).await;
    newcomer.say_start(&token(42, "presenter"), None).await;
    assert_eq!(page.rest().await.1, 4002);
    eventually("the node asks what became of its claim", PATIENCE, async || {
        other.log().contains("a claim was not answered").then_some(())
    })
    .await;
    gate.release();
    assert_eq!(newcomer.frame().await["type"], "welcome");
    world.session(42, Some(&session)).await;
    newcomer.is_served_and_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_unknown_outcome_is_withdrawn_as_soon_as_possible() {
    let world = World::start().await;
    let gate = Gate::start(&world.nats.url()).await;
    let (other, ingest) = (behind(&world, &gate.url()).await, Ingest::start(&world).await);
    gate.hold(Held::Answers, CLAIM);
    let mut newcomer = Page::open(&other).await;
    newcomer.say_start(&token(42, "presenter"), None).await;
    let session = world.session(42, None).await;
    assert_eq!(newcomer.rest().await.1, 4102);
    gate.cut();
    other.ready().await;
    eventually("the claim is withdrawn", PATIENCE, async || {
        world.presence.claim(idx(42)).is_none_or(|claim| claim.id != session.id).then_some(())
    })
    .await;
    ingest.comes_to_say(42, "reconnecting").await;
    // The node is well, and serves who comes.
    let (page, _) = Page::connect(&other, 42).await;
    ingest.comes_to_say(42, "connected").await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_that_was_lost_is_made_again_until_the_log_knows() {
    let world = World::start().await;
    let network = Proxy::start(world.nats.url().trim_start_matches("nats://").to_owned()).await;
    let (node, ingest) = (behind(&world, &network.url()).await, Ingest::start(&world).await);
    let (page, _) = Page::connect(&node, 42).await;
    let session = world.session(42, None).await;
    ingest.comes_to_say(42, "connected").await;

    // Half-open while the page closes, for longer than anybody waits for an answer.
    network.hold_up();
    page.close().await;
    eventually("the withdrawal has failed", Duration::from_secs(60), async || {
        node.log().contains("could not withdraw a claim").then_some(())
    })
    .await;
    network.cut();
    network.release();
    // The node renews its lease again.
    node.ready().await;
    eventually("the claim is withdrawn", PATIENCE, async || {
        world.presence.claim(idx(42)).is_none_or(|claim| claim.id != session.id).then_some(())
    })
    .await;
    ingest.comes_to_say(42, "reconnecting").await;
    // Nothing is accepted any more on the word of a session that is not there.
    ingest.rooms.stop().await;
    let url = format!("{}/v1/rooms/42/messages", ingest.role.url());
    eventually("the room counts as live no more", PATIENCE, async || {
        let post = ingest.client.post(&url).bearer_auth(token(42, "presenter")).json(&json!({ "text": "hello" }));
        (post.send().await.unwrap().status() == 503).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_claim_is_gone_ends_and_its_presenter_comes_back() {
    let world = World::start().await;
    let node = world.node().await;
    let (mut page, _) = Page::connect(&node, 42).await;
    world.session(42, None).await;
    let client = async_nats::connect(world.nats.url()).await.unwrap();
    let bucket = async_nats::jetstream::new(client).get_key_value("sessions").await.unwrap();
    bucket.delete("42").await.unwrap();
    assert_eq!(page.rest().await.1, 4102);
    let (mut page, _) = Page::resume(&node, 42, page.position.as_deref()).await;
    world.session(42, None).await;
    page.is_served_and_quiet().await;
}
