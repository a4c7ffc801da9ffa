//! Attacks by complete requests at the highest possible rate: posts, decisions, searches.

use anyhow::Context as _;
use chat::EventId;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use mongodb::bson::{DateTime, Document, doc};
use serde_json::{Value, json};

use crate::attacks::attacker::Attacker;
use crate::attacks::world::{Role, World, token};
use crate::connection;

/// The presenter whose list of bans is read slowly.
pub(super) const BANS_OF: i64 = 500;

/// The burst of the rate limit: more bans than the 256 KB of a page.
const BANS: i64 = 100;

/// The presenters who ban, each in their own room.
const PRESENTERS: usize = 100;
const FIRST_PRESENTER: i64 = 5_001;

/// The connections of a flood.
const CONNECTIONS: usize = 64;

/// The searched user, the number of their messages, and the concurrent searches: the limit of one user.
const SEARCHER: i64 = 800;
const MESSAGES: usize = 26_000;
const SEARCHES: usize = 8;

/// A reason of the maximum length: 500 characters of 15 bytes.
fn reason() -> String {
    format!("a{}", "\u{301}".repeat(7)).repeat(500)
}

fn request(method: &str, path: &str, token: Option<&str>, body: &Value) -> anyhow::Result<Request<Full<Bytes>>> {
    let mut request =
        Request::builder().method(method).uri(path).header("host", "bench").header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Ok(request.body(Full::new(Bytes::from(body)))?)
}

/// Makes a list of bans that is longer than a page.
pub(super) async fn fill_bans(world: &World) -> anyhow::Result<()> {
    let mut connection = connection::connect(world.port(Role::Ingest)).await?;
    for user in 1..=BANS {
        let path = format!("/v1/rooms/{BANS_OF}/bans/{user}");
        connection.ready().await?;
        let ban = request("PUT", &path, Some(&token(BANS_OF)), &json!({ "reason": reason() }))?;
        let status = connection.send_request(ban).await?.status();
        anyhow::ensure!(status.is_success(), "a ban was answered {status}");
    }
    Ok(())
}

/// Presenters who ban one user after the other, whether they are refused or not.
pub(super) fn decisions(attacker: &Attacker, world: &World) {
    let port = world.port(Role::Ingest);
    let body = json!({ "reason": reason() });
    attacker.repeat(PRESENTERS, move |attacker, number| {
        let body = body.clone();
        async move {
            let presenter = FIRST_PRESENTER + number as i64;
            let token = token(presenter);
            let mut connection = attacker.connect_http(port).await?;
            for user in 1.. {
                let path = format!("/v1/rooms/{presenter}/bans/{user}");
                attacker.has_sent(1);
                attacker.ask(&mut connection, request("PUT", &path, Some(&token), &body)?).await?;
            }
            Ok(())
        }
    });
}

/// Posts without a pause.
pub(super) fn posts(attacker: &Attacker, world: &World, token: Option<&str>) {
    let (port, token) = (world.port(Role::Ingest), token.map(str::to_owned));
    attacker.repeat(CONNECTIONS, move |attacker, number| {
        let token = token.clone();
        async move {
            let mut connection = attacker.connect_http(port).await?;
            for count in 0_u64.. {
                let body = json!({ "text": format!("the same again, {number} {count}") });
                attacker.has_sent(1);
                let post = request("POST", "/v1/rooms/1/messages", token.as_deref(), &body)?;
                attacker.ask(&mut connection, post).await?;
            }
            Ok(())
        }
    });
}

/// Makes messages that almost match a search, at each character.
pub(super) async fn fill_archive(world: &World) -> anyhow::Result<()> {
    let collection = world.database.collection::<Document>("chatting_log");
    let text = "가".repeat(500);
    let began = jiff::Timestamp::now().as_millisecond() - MESSAGES as i64;
    let documents = (0..MESSAGES).map(|number| {
        doc! {
            "_id": EventId::new().to_string(), "presenterIdx": SEARCHER, "userIdx": SEARCHER,
            "nickname": "searcher", "role": "presenter", "message": &text, "folded": &text,
            "sentAt": DateTime::from_millis(began + number as i64),
            "position": { "epoch": 1_i64, "sequence": number as i64, "index": 0_i64 }, "flags": [],
        }
    });
    let chunks = stream::iter(documents).chunks(1_000).map(|chunk| {
        let collection = collection.clone();
        async move {
            collection.insert_many(chunk).await?;
            anyhow::Ok(())
        }
    });
    chunks.buffer_unordered(3).try_collect().await
}

/// Searches that follow `next` to the last page, in a loop.
pub(super) fn searches(attacker: &Attacker, world: &World) {
    let port = world.port(Role::Archiver);
    let text = "%EA%B0%80".repeat(99) + "%EB%82%98";
    attacker.repeat(SEARCHES, move |attacker, _| {
        let first = format!("/v1/users/{SEARCHER}/messages?text={text}");
        async move {
            let token = token(SEARCHER);
            let mut connection = attacker.connect_http(port).await?;
            let mut path = first.clone();
            loop {
                attacker.has_sent(1);
                let search = request("GET", &path, Some(&token), &Value::Null)?;
                let (status, body) = attacker.ask(&mut connection, search).await?;
                path.clone_from(&first);
                if status == 200 {
                    let page: Value = serde_json::from_slice(&body).context("a page is not JSON")?;
                    if let Some(next) = page["next"].as_str() {
                        path.push_str(&format!("&after={next}"));
                    }
                }
            }
        }
    });
}
