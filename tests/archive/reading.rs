//! The reading side as its users call it: an archiver process, tokens, and HTTP.

use std::time::Duration;

use chat::{Body, Event, MessagePosted};
use jiff::Timestamp;
use nats::AppendError;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{World, presenter, user};
use crate::ingest::tokens::token_with;
use crate::support::{Role, eventually};

/// A reader, with the permissions of a token.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    archiver: &'a Role,
    token: Option<String>,
    client: reqwest::Client,
}

/// Answers may be long, but a silence of this length is a hang.
pub(super) fn client() -> reqwest::Client {
    testkit::client().read_timeout(Duration::from_secs(120)).build().unwrap()
}

impl<'a> Reader<'a> {
    /// With a token that has these claims in addition to the usual ones.
    pub(super) fn with(archiver: &'a Role, claims: Value) -> Reader<'a> {
        Reader { archiver, token: Some(token_with(claims)), client: client() }
    }

    pub(super) fn nobody(archiver: &'a Role) -> Reader<'a> {
        Reader { archiver, token: None, client: client() }
    }

    pub(super) fn analyst(archiver: &'a Role) -> Reader<'a> {
        Reader::with(archiver, json!({ "user_idx": 900, "scope": "chat:read" }))
    }

    pub(super) fn moderator(archiver: &'a Role) -> Reader<'a> {
        Reader::with(archiver, json!({ "user_idx": 901, "scope": "chat:moderate" }))
    }

    pub(super) fn token(&self) -> &str {
        self.token.as_deref().expect("only nobody has none")
    }

    /// The answer to a GET of the path, which begins with `/v1`. Percent-encodes the query.
    pub(super) async fn ask(&self, path: &str, query: &[(&str, &str)]) -> reqwest::Response {
        self.request(path, query).send().await.unwrap()
    }

    /// The request for [`Reader::ask`].
    pub(super) fn request(&self, path: &str, query: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let mut url = reqwest::Url::parse(&self.archiver.url()).unwrap().join(path).unwrap();
        url.query_pairs_mut().extend_pairs(query);
        let request = self.client.get(url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// The body of a 200.
    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let answer = self.ask(path, query).await;
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{path} {query:?}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Status, code and detail of a refusal.
    pub(super) async fn refused(&self, path: &str, query: &[(&str, &str)]) -> (StatusCode, String, String) {
        let answer = self.ask(path, query).await;
        let status = answer.status();
        assert_ne!(status, 200, "{path} {query:?}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: Value = answer.json().await.unwrap();
        let text = |member: &str| problem[member].as_str().unwrap().to_owned();
        (status, text("code"), text("detail"))
    }

    /// The items of all pages of a list, with pages of `first` items.
    pub(super) async fn all(&self, path: &str, query: &[(&str, &str)], list: &str, first: usize) -> Vec<Value> {
        let first = first.to_string();
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.push(("first", &first));
            query.extend(after.as_deref().map(|after| ("after", after)));
            let page = self.get(path, &query).await;
            items.extend(page[list].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = Some(next.to_owned()),
                None => return items,
            }
        }
    }
}

/// A time, in milliseconds of the evening of the tests.
pub(super) fn evening(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_763_805_600_000 + ms).unwrap()
}

/// The time as answers have it.
pub(super) fn time(ms: i64) -> String {
    format!("{:.3}", evening(ms))
}

/// A message of the user at that time.
pub(super) fn said(room: i64, by: i64, ms: i64, text: &str) -> Event {
    let posted = MessagePosted::new(user(by), text);
    Event::now(presenter(room), Body::MessagePosted(posted)).recorded_at(evening(ms))
}

/// The member of each item, as a string.
pub(super) fn texts<'a>(items: &'a [Value], member: &str) -> Vec<&'a str> {
    items.iter().map(|item| item[member].as_str().unwrap()).collect()
}

/// Appends the events in sequence, and waits until all of them and their effects are archived.
pub(super) async fn archive(world: &World, events: &[Event]) {
    for event in events {
        world.log.append(event).await.unwrap();
    }
    archived(world).await;
}

/// The same for many events, a thousand at a time. The order within a thousand is not determined.
pub(super) async fn archive_many(world: &World, events: Vec<Event>) {
    let mut appends = tokio::task::JoinSet::new();
    for event in events {
        let log = world.log.clone();
        appends.spawn(async move {
            // On a busy machine an append may wait too long, and is then not stored.
            let mut position = log.append(&event).await;
            while position == Err(AppendError::Busy) {
                position = log.append(&event).await;
            }
            position.unwrap()
        });
        if appends.len() == 1_000 {
            appends.join_next().await.unwrap().unwrap();
        }
    }
    appends.join_all().await;
    archived(world).await;
}

/// Waits until the archiver has acknowledged everything in the log, which it does once it is durable.
pub(super) async fn archived(world: &World) {
    // Anew: the log may have begun another epoch, which has a reader of its own.
    let log = crate::support::log(&world.settings).await;
    eventually("everything is archived", Duration::from_secs(120), async || {
        // An error: an archiver that has just become ready makes its reader in a moment.
        let backlog = log.backlog(archiver::READER).await.ok()?;
        backlog.iter().all(|stream| stream.waiting == 0 && stream.held == 0).then_some(())
    })
    .await;
}

/// Reads a stream to its end. Returns whether it breaks off, so that the client sees that it is not whole.
pub(super) async fn breaks_off(answer: &mut reqwest::Response) -> bool {
    let broken = async {
        loop {
            match answer.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), broken).await.expect("it ends before the recording does")
}
