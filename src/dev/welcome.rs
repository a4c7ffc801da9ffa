//! The text that `dev` prints once everything is ready: where the demo is and what to do there. `--verbose` adds
//! addresses, tokens and commands.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use conf::shown;
use testkit::Server;

use super::Addresses;
use super::try_it::{Example, People};

/// What there is to tell.
pub(super) struct Welcome<'a> {
    pub(super) addresses: &'a Addresses,
    pub(super) folder: &'a Path,
    pub(super) parts: &'a [Server],
    pub(super) people: &'a People,
    pub(super) examples: &'a [Example],
}

pub(super) fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

impl Welcome<'_> {
    pub(super) fn text(&self, verbose: bool) -> anyhow::Result<String> {
        let mut text = self.short();
        if verbose {
            text.push_str(&self.details()?);
        }
        Ok(text)
    }

    fn short(&self) -> String {
        format!(
            "
Everything runs. Open the demo in a browser:

  http://127.0.0.1:{demo}

There, press Start to play a recorded evening into the room of a presenter and three viewers, or write to them.
Kill any role or server, and see that no message is lost, repeated or out of order.
The page leads to the console, where a moderator watches and acts.

Ctrl-C stops everything. The data stay in {folder}
(--fresh deletes them). Tokens and curl lines are in the page under \"Try it yourself\"; --verbose prints them here.
",
            demo = self.addresses.demo,
            folder = self.folder.display(),
        )
    }

    fn details(&self) -> anyhow::Result<String> {
        let Addresses { nats, mongo, rooms, .. } = self.addresses;
        let (ingest, delivery) = (self.addresses.ingest.http, self.addresses.delivery.http);
        let (archiver, folder) = (self.addresses.archiver.http, self.folder.display());
        let (nats, mongo) = (shown(nats), shown(mongo));
        let pids = self.parts.iter().filter_map(|part| Some(format!("{} {}", part.name(), part.id()?)));
        let pids = pids.collect::<Vec<_>>().join(", ");
        let mut text = format!(
            "
  ingest       http://127.0.0.1:{ingest}
  delivery     ws://127.0.0.1:{delivery}/v1/presenter, for the original's pages ws://127.0.0.1:{delivery}/chatting
  archiver     http://127.0.0.1:{archiver}
  room server  http://127.0.0.1:{rooms}   a stand-in: every room is live until it is switched off
  NATS         {nats}
  MongoDB      {mongo}   database chatting, collection chatting_log
  data, logs   {folder}
  processes    {pids}   (kill -9 any: it is started again, and nothing is lost)

Tokens, valid for a day:
"
        );
        let People { presenter, viewers, moderator } = self.people;
        writeln!(text, "the presenter of room 1\n  {}", presenter.token)?;
        for viewer in viewers {
            writeln!(text, "user {}, a viewer\n  {}", viewer.user, viewer.token)?;
        }
        writeln!(
            text,
            "user {}, a moderator of every room (scope chat:moderate)\n  {}",
            moderator.user, moderator.token
        )?;
        for Example { en, command, .. } in self.examples {
            writeln!(text, "\n{en}\n  {command}")?;
        }
        Ok(text)
    }
}
