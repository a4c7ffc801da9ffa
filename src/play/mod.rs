//! Plays a recorded chat through the gateway's surface into a running system, as its users and presenters would. Then
//! checks that every accepted message is on the presenter's socket and in the archive, once and in order. It uses only
//! the system's public interfaces, so it finds faults that the system does not notice.

mod check;
mod line;
mod post;
mod presenter;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat::PresenterIdx;
use conf::Secret;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use line::{Line, read};
pub use post::Outcome;
pub use report::Report;

use post::{Posted, Poster};
use presenter::Screen;

/// The system to play into.
#[derive(Debug, Clone)]
pub struct Target {
    /// The URL of ingest, `http://host:port`.
    pub ingest: String,
    /// The URL of delivery, `ws://host:port`.
    pub delivery: String,
    /// The secret that signs tokens.
    pub secret: Secret,
    /// The archive.
    pub archive: archiver::Archive,
}

/// The options of a play.
#[derive(Debug, Clone)]
pub struct Options {
    /// The speed as a multiple of the recorded one. None: as fast as `in_flight` allows.
    pub speed: Option<f64>,
    /// The room of lines without a room. Named rooms get the numbers after it.
    pub room: PresenterIdx,
    /// The maximum of concurrent posts.
    pub in_flight: usize,
    /// How long a post of unknown outcome is retried.
    pub patience: Duration,
}

/// Longer than any play.
const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Plays the lines, and checks the outcome. Calls `progress` after the final answer to each line.
pub async fn play(
    lines: Vec<Line>,
    target: &Target,
    options: &Options,
    progress: impl Fn(&Outcome) + Send + Sync + 'static,
) -> anyhow::Result<Report> {
    let started = Instant::now();
    let cast = Cast::of(lines, options.room)?;
    let screens: BTreeMap<PresenterIdx, Screen> = cast
        .rooms
        .iter()
        .map(|room| {
            let token = token(&target.secret, room.get(), &format!("presenter{room}"));
            (*room, Screen::open(format!("{}/chatting", target.delivery), token))
        })
        .collect();

    let poster = Arc::new(Poster::new(&target.ingest, options.patience)?);
    let permits = Arc::new(Semaphore::new(options.in_flight));
    let progress = Arc::new(progress);
    let users = cast.base..cast.base + cast.parts.len() as i64;
    let mut playing = JoinSet::new();
    for part in cast.parts {
        let token = token(&target.secret, part.user, &part.nickname);
        let (poster, permits, progress) = (Arc::clone(&poster), Arc::clone(&permits), Arc::clone(&progress));
        let speed = options.speed;
        // One after the other: the order of a user's own messages is part of the check.
        playing.spawn(async move {
            let mut posted = Vec::new();
            for (room, line) in part.lines {
                if let Some(speed) = speed {
                    let due = started + Duration::from_millis(line.t_ms).div_f64(speed);
                    tokio::time::sleep_until(due.into()).await;
                }
                let permit = permits.acquire().await.expect("the semaphore is never closed");
                let outcome = poster.post(&token, room, part.is_presenter, &line.text).await;
                drop(permit);
                progress(&outcome);
                posted.push(Posted { room, user: part.user, line: line.number, text: line.text, outcome });
            }
            posted
        });
    }
    let mut posted = Vec::new();
    while let Some(part) = playing.join_next().await {
        posted.push(part?);
    }
    let posting = started.elapsed();

    let report = check::check(&posted, &screens, &target.archive, &users, posting).await;
    for (_, screen) in screens {
        screen.close().await;
    }
    report
}

/// The users of a recording, each with the lines in order.
struct Cast {
    rooms: BTreeSet<PresenterIdx>,
    parts: Vec<Part>,
    /// The number of the first user. The others follow.
    base: i64,
}

struct Part {
    user: i64,
    nickname: String,
    is_presenter: bool,
    lines: Vec<(PresenterIdx, Line)>,
}

impl Cast {
    fn of(lines: Vec<Line>, first: PresenterIdx) -> anyhow::Result<Cast> {
        // Numbers that no earlier play into the same archive has used, within JavaScript's safe integers.
        let base = ((uuid::Uuid::new_v4().as_u128() % (1 << 30)) as i64 + 1) * 1_000_000;
        let mut names: BTreeMap<String, PresenterIdx> = BTreeMap::new();
        let mut places: BTreeMap<(String, Option<PresenterIdx>), usize> = BTreeMap::new();
        let mut cast = Cast { rooms: BTreeSet::new(), parts: Vec::new(), base };
        for line in lines {
            let room = match &line.room {
                None => first,
                Some(name) => match names.get(name) {
                    Some(room) => *room,
                    None => {
                        let room = PresenterIdx::try_from(first.get() + 1 + names.len() as i64)?;
                        names.insert(name.clone(), room);
                        room
                    }
                },
            };
            cast.rooms.insert(room);
            let is_presenter = line.role.as_deref() == Some("presenter");
            // A presenter is a different user in each room; a viewer is the same user everywhere.
            let place = *places.entry((line.user.clone(), is_presenter.then_some(room))).or_insert_with(|| {
                let user = if is_presenter { room.get() } else { base + cast.parts.len() as i64 };
                cast.parts.push(Part { user, nickname: line.user.clone(), is_presenter, lines: Vec::new() });
                cast.parts.len() - 1
            });
            cast.parts[place].lines.push((room, line));
        }
        Ok(cast)
    }
}

fn token(secret: &Secret, user: i64, nickname: &str) -> String {
    let (nickname, email) = (nickname.to_owned(), format!("user{user}@example.com"));
    let identity = web::auth::Identity { user_idx: user, nickname, email, scopes: Vec::new() };
    web::auth::mint(secret, &identity, TOKEN_LIFETIME)
}
