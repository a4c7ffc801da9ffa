//! Posts the lines of a recording at a tempo: the lines of one user one after the other, those of different users
//! concurrently.

use std::sync::Arc;
use std::time::{Duration, Instant};

use conf::Secret;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::cast::Cast;
use super::post::{Outcome, Posted, Poster};
use super::tempo::Tempo;

/// Longer than any play.
const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// What happens to a line.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// It is being posted.
    Begun,
    /// It has its final answer, this long after its first attempt began.
    Answered { outcome: &'a Outcome, after: Duration },
}

/// Returns the lines of each user with their outcomes. Dropping it abandons the posts in hand.
pub(crate) async fn post(
    cast: Cast,
    secret: &Secret,
    poster: Poster,
    tempo: &Arc<Tempo>,
    in_flight: usize,
    step: impl Fn(Step<'_>) + Send + Sync + 'static,
) -> anyhow::Result<Vec<Vec<Posted>>> {
    let (poster, permits, step) = (Arc::new(poster), Arc::new(Semaphore::new(in_flight)), Arc::new(step));
    let mut playing = JoinSet::new();
    for part in cast.parts {
        let token = token(secret, part.user, &part.nickname);
        let (poster, permits, step) = (Arc::clone(&poster), Arc::clone(&permits), Arc::clone(&step));
        let tempo = Arc::clone(tempo);
        // One after the other: the order of a user's own messages is part of the check.
        playing.spawn(async move {
            let mut posted = Vec::new();
            for (room, line) in part.lines {
                tempo.reach(Duration::from_millis(line.t_ms)).await;
                step(Step::Begun);
                let permit = permits.acquire().await.expect("the semaphore is never closed");
                let began = Instant::now();
                let outcome = poster.post(&token, room, part.is_presenter, &line.text).await;
                drop(permit);
                step(Step::Answered { outcome: &outcome, after: began.elapsed() });
                posted.push(Posted { room, user: part.user, line: line.number, text: line.text, outcome });
            }
            posted
        });
    }
    let mut posted = Vec::new();
    while let Some(part) = playing.join_next().await {
        posted.push(part?);
    }
    Ok(posted)
}

pub(super) fn token(secret: &Secret, user: i64, nickname: &str) -> String {
    let (nickname, email) = (nickname.to_owned(), format!("user{user}@example.com"));
    let identity =
        web::auth::Identity { user_idx: user, nickname, email, scopes: Vec::new(), attributes: None, emotes: None };
    web::auth::mint(secret, &identity, TOKEN_LIFETIME)
}
