//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use archiver::Cause;
use chat::Position;
use clap::builder::RangedI64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// The chat backbone of live broadcasts: every accepted message delivered and archived, once, in order.
#[derive(Debug, Parser)]
#[command(name = "chatting-server", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run ingest: takes messages over HTTP and appends them to the log
    Ingest(RoleArguments),
    /// Run delivery: pushes each room's messages to its presenter's socket
    Delivery(RoleArguments),
    /// Run the archiver: writes the log into MongoDB
    Archiver(RoleArguments),
    /// Run everything on this machine, for trying it out and working on it
    #[command(args_conflicts_with_subcommands = true)]
    Dev {
        /// Run it.
        #[command(flatten)]
        arguments: DevArguments,
        /// Or do something with one that runs.
        #[command(subcommand)]
        command: Option<DevCommand>,
    },
    /// Print a token for development, as the auth server would issue it
    Token(TokenArguments),
    /// Say what acknowledgements of these NATS servers are worth: whether an append is fsynced before it is acknowledged
    Check(CheckArguments),
    /// Create the streams and buckets of the log that are missing, bring the others up to date, and say what changed. Roles
    /// wait for it and change nothing. Exits with 0 if that is done, with 1 if not, with 64 if the configuration is wrong
    Setup(SetupArguments),
    /// Look after the lines of the log that had no place in the archive. Exits with 0 if all that was asked for was
    /// done, with 1 if not, with 64 if the configuration is wrong
    Quarantine(QuarantineArguments),
    /// Print the OpenAPI document of a role's HTTP interface
    Openapi(OpenapiArguments),
}

/// What to do with a development system that runs.
#[derive(Debug, Subcommand)]
pub enum DevCommand {
    /// Play a recorded chat into it, and look for every accepted message
    Play(PlayArguments),
    /// Print what happens in a room, from ten minutes ago on. It takes no presenter's place
    Watch(WatchArguments),
}

/// Where `dev` keeps its data unless it is told otherwise: beside the work, ignored by git.
pub const DATA: &str = ".chatting-server-dev";

/// The number of a user or of a room: what the roles take.
fn idx() -> RangedI64ValueParser {
    clap::value_parser!(i64).range(1..=chat::LARGEST_IDX)
}

/// What every role takes.
#[derive(Debug, Args)]
pub struct RoleArguments {
    /// A TOML file with the settings that differ from the defaults; CHATTING_<SECTION>__<KEY> in the environment
    /// overrides it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What `setup` takes.
#[derive(Debug, Args)]
pub struct SetupArguments {
    /// The configuration of the roles
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The log was restored from a backup: begin a new epoch at its end, so that no position of what is lost is given
    /// out again. Roles that run end with exit code 70 and begin anew
    #[arg(long)]
    pub new_epoch: bool,
    /// Only say what would change
    #[arg(long, conflicts_with = "new_epoch")]
    pub dry_run: bool,
}

/// What `dev` takes.
#[derive(Debug, Args)]
pub struct DevArguments {
    /// Where servers keep their data and logs
    #[arg(long, value_name = "FOLDER", default_value = DATA)]
    pub data: PathBuf,
    /// Delete what earlier runs left there
    #[arg(long)]
    pub fresh: bool,
    /// Use this NATS server instead of starting one: nats://host:port
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    /// Use this MongoDB, a replica set, instead of starting one: mongodb://host:port/?replicaSet=...
    #[arg(long, value_name = "URI")]
    pub mongo: Option<String>,
}

/// What `dev play` takes.
#[derive(Debug, Args)]
pub struct PlayArguments {
    /// NDJSON, a message a line: {"t_ms": 1200, "user": "name", "text": "..."}, and if need be "room" and
    /// "role": "presenter"
    pub file: PathBuf,
    /// How many times as fast as recorded, or max
    #[arg(long, default_value = "10")]
    pub speed: Speed,
    /// The room to play into; rooms that the recording names get the numbers after it
    #[arg(long, value_name = "PRESENTER_IDX", default_value_t = 1, value_parser = idx())]
    pub room: i64,
    /// The folder of the development system
    #[arg(long, value_name = "FOLDER", default_value = DATA)]
    pub data: PathBuf,
    /// The configuration of another running system, instead
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub config: Option<PathBuf>,
}

/// What `dev watch` takes.
#[derive(Debug, Args)]
pub struct WatchArguments {
    /// The room
    #[arg(long, value_name = "PRESENTER_IDX", default_value_t = 1, value_parser = idx())]
    pub room: i64,
    /// The folder of the development system
    #[arg(long, value_name = "FOLDER", default_value = DATA)]
    pub data: PathBuf,
}

/// What `token` takes.
#[derive(Debug, Args)]
pub struct TokenArguments {
    /// The user's number; a presenter's is that of the room
    #[arg(long, value_name = "USER_IDX", value_parser = idx())]
    pub user: i64,
    /// The name shown beside the messages; without it, user and the number
    #[arg(long)]
    pub nickname: Option<String>,
    /// What its bearer may do, such as chat:moderate; may be given more than once
    #[arg(long = "scope", value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// For how long it is valid
    #[arg(long, default_value_t = 1)]
    pub hours: u64,
    /// The folder of the development system whose secret signs it
    #[arg(long, value_name = "FOLDER", default_value = DATA)]
    pub data: PathBuf,
    /// The configuration that has the secret, instead; CHATTING_AUTH__SECRET overrides both
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub config: Option<PathBuf>,
}

/// What `check` takes.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The monitoring of each server of the cluster: http://host:8222
    #[arg(required = true, value_name = "URL")]
    pub monitoring: Vec<String>,
}

/// What `quarantine` takes.
#[derive(Debug, Args)]
pub struct QuarantineArguments {
    /// The configuration of the archiver
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: QuarantineCommand,
}

/// What to do with lines in quarantine.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// Print a line for each: where it stands in the log, the cause, when it was put aside, its size, and why. The
    /// oldest first
    List {
        /// Only those of this cause
        #[arg(long, value_parser = cause)]
        cause: Option<Cause>,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 100)]
        first: u32,
        /// Also print the beginning of each line: it may hold the text of a message
        #[arg(long)]
        lines: bool,
    },
    /// Print one of them whole; it may hold the text of a message
    Show {
        /// Where it stands in the log
        position: Position,
    },
    /// Archive lines again, as the archiver would: those that find their place leave the quarantine, the others stay
    /// with the new reason. It may be repeated, and archivers may run meanwhile
    Retry(WhichLines),
    /// Remove lines for good
    Discard(WhichLines),
}

/// Which lines in quarantine are meant.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct WhichLines {
    /// Where they stand in the log
    #[arg(value_name = "POSITION")]
    pub positions: Vec<Position>,
    /// All lines in quarantine
    #[arg(long)]
    pub all: bool,
    /// The lines of this cause: malformed, unknown_type, unmappable or refused
    #[arg(long, value_parser = cause)]
    pub cause: Option<Cause>,
}

fn cause(text: &str) -> Result<Cause, String> {
    let found = Cause::ALL.into_iter().find(|cause| cause.as_str() == text);
    found.ok_or_else(|| format!("one of {}", Cause::ALL.map(Cause::as_str).join(", ")))
}

/// What `openapi` takes.
#[derive(Debug, Args)]
pub struct OpenapiArguments {
    /// Whose interface
    pub role: Documented,
}

/// A role with an OpenAPI document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Documented {
    /// Posting and moderating
    Ingest,
    /// Reading the archive
    Archiver,
}

impl Documented {
    /// The document, as it is served.
    pub fn document(self) -> String {
        match self {
            Documented::Ingest => ingest::openapi(),
            Documented::Archiver => archiver::openapi(),
        }
    }
}

/// How fast a recording is played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// So many times as fast as recorded.
    Times(f64),
    /// As fast as the system answers.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Speed, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        let times = text.parse().ok().filter(|times| (0.001..=1e6).contains(times));
        times.map(Speed::Times).ok_or_else(|| "a number from 0.001 to 1000000, or max".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_token_needs_no_nickname() {
        assert!(Cli::try_parse_from(["chatting-server", "token", "--user", "7"]).is_ok());
    }

    #[test]
    fn lines_in_quarantine_are_named_in_exactly_one_way() {
        let parse = |which: &[&str]| {
            let command = ["chatting-server", "quarantine", "retry"].iter().chain(which);
            Cli::try_parse_from(command).is_ok()
        };
        for which in [["--all"].as_slice(), &["--cause", "refused"], &["18-1-0", "18-1-1"]] {
            assert!(parse(which), "{which:?}");
        }
        for which in
            [[].as_slice(), &["--all", "18-1-0"], &["--all", "--cause", "refused"], &["--cause", "bad"], &["18"]]
        {
            assert!(!parse(which), "{which:?}");
        }
    }

    #[test]
    fn a_number_of_a_user_or_a_room_has_the_bounds_of_the_roles() {
        let commands = [
            ["token", "--nickname", "n", "--user"].as_slice(),
            &["dev", "watch", "--room"],
            &["dev", "play", "f", "--room"],
        ];
        for command in commands {
            let parse = |idx: &str| {
                let command = ["chatting-server"].iter().chain(command).copied().chain([idx]);
                Cli::try_parse_from(command).map(drop).map_err(|error| error.to_string())
            };
            assert_eq!(parse("9007199254740991"), Ok(()));
            for idx in ["9007199254740992", "9223372036854775807", "0", "7.5"] {
                let refused = parse(idx).unwrap_err();
                assert!(refused.contains("1..=9007199254740991") || idx == "7.5", "{refused}");
            }
        }
    }

    #[test]
    fn a_speed_is_a_positive_number_or_max() {
        for (text, expected) in [("max", Speed::Max), ("10", Speed::Times(10.0)), ("0.5", Speed::Times(0.5))] {
            assert_eq!(text.parse(), Ok(expected));
        }
        for text in ["", "0", "-1", "NaN", "inf", "fast"] {
            assert!(text.parse::<Speed>().is_err(), "{text:?}");
        }
    }
}
