//! The text that `dev` prints once everything is ready: addresses, tokens, and commands to try.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use conf::{Secret, shown};
use web::auth::Identity;

use super::Addresses;
use testkit::Server;

/// A working day, and more.
const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn print(
    addresses: &Addresses,
    secret: &Secret,
    data: &Path,
    folder: &Path,
    parts: &[Server],
) -> anyhow::Result<()> {
    let mint = |user_idx, nickname: &str, scopes: &[&str]| {
        let identity = Identity {
            user_idx,
            nickname: nickname.to_owned(),
            email: format!("user{user_idx}@example.com"),
            scopes: scopes.iter().copied().map(str::to_owned).collect(),
        };
        web::auth::mint(secret, &identity, TOKEN_LIFETIME)
    };
    let (presenter, viewer) = (mint(1, "presenter1", &[]), mint(42, "viewer42", &[]));
    let moderator = mint(99, "moderator99", &["chat:moderate"]);
    let Addresses { nats, mongo, rooms, .. } = addresses;
    let (ingest, delivery, archiver) = (addresses.ingest.http, addresses.delivery.http, addresses.archiver.http);
    let (nats, mongo) = (shown(nats), shown(mongo));
    // The program as it was called, and the folder if it is not the default.
    let program = std::env::args().next().unwrap_or_else(|| "chatting-server".to_owned());
    let program = shell_words::quote(&program);
    let place = match data == Path::new(crate::cli::DATA) {
        true => String::new(),
        false => format!(" --data {}", shell_words::quote(&data.display().to_string())),
    };
    let pids: Vec<String> = parts.iter().filter_map(|part| Some(format!("{} {}", part.name(), part.id()?))).collect();
    let text = format!(
        "
Everything runs. Ctrl-C stops it; the data stay, and --fresh deletes them.

  ingest       http://127.0.0.1:{ingest}
  delivery     ws://127.0.0.1:{delivery}/chatting
  archiver     http://127.0.0.1:{archiver}
  room server  http://127.0.0.1:{rooms}   a stand-in: every room is live until it is switched off, as room 7 by
               curl -X PUT http://127.0.0.1:{rooms}/rooms/7/live -d false
  NATS         {nats}
  MongoDB      {mongo}   database chatting, collection chatting_log
  data, logs   {folder}
  processes    {pids}   (kill -9 any: it is started again, and nothing is lost)

The presenter of room 1 has the token
  {presenter}
user 42, a viewer, has
  {viewer}
and user 99, who moderates every room (scope chat:moderate), has
  {moderator}
More: {program} token --user 7{place}, with --nickname 별명 another name, and with --scope chat:moderate a moderator's

Watch room 1, in another terminal (it takes no presenter's place):
  {program} dev watch --room 1{place}

Say something there, as the original's gateway would:
  curl -i http://127.0.0.1:{ingest}/send/message -H 'content-type: application/json' -H 'token: {viewer}' -d '{{\"presenterIdx\":1,\"userType\":\"viewer\",\"textMessage\":\"안녕하세요\"}}'
or by the interface of today:
  curl -i http://127.0.0.1:{ingest}/v1/rooms/1/messages -H 'content-type: application/json' -H 'authorization: Bearer {viewer}' -d '{{\"text\":\"hello\"}}'

Ban user 42 from room 1 for a minute, as the moderator (docs/reference/moderation.md has the rest):
  curl -i -X PUT http://127.0.0.1:{ingest}/v1/rooms/1/bans/42 -H 'content-type: application/json' -H 'authorization: Bearer {moderator}' -d '{{\"seconds\":60,\"reason\":\"spam\"}}'

Search what was said there, as the moderator (docs/reference/archive-api.md has exports, replay, statistics and the rest):
  curl -G http://127.0.0.1:{archiver}/v1/rooms/1/messages -H 'authorization: Bearer {moderator}' --data-urlencode 'text=안녕'

Play a recorded evening into room 1, ten times as fast, and look for every message of it (here people may write
1,000 messages a second; elsewhere it is 20 in 30 s unless configured):
  {program} dev play samples/evening.ndjson --speed 10{place}
",
        folder = folder.display(),
        pids = pids.join(", "),
    );
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
