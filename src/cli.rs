//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::RangedI64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::roles::Role;
pub use log::{LogArguments, LogCommand, SessionsArguments, TableFormat, TailArguments, TailFormat};
pub use quarantine::{QuarantineArguments, QuarantineCommand, WhichLines};

mod log;
mod quarantine;

/// The chat backbone of live broadcasts: every accepted message delivered and archived, once, in order.
#[derive(Debug, Parser)]
#[command(name = "chatting-server", version)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run ingest: accept messages over HTTP and append them to the log
    Ingest(RoleArguments),
    /// Run delivery: push each room's messages to its presenter's socket
    Delivery(RoleArguments),
    /// Run the archiver: write the log into MongoDB and serve its readers
    Archiver(RoleArguments),
    /// Run the whole system on this machine, for trying it out and for development
    #[command(args_conflicts_with_subcommands = true)]
    Dev {
        /// The arguments of `dev` itself.
        #[command(flatten)]
        arguments: DevArguments,
        /// A command for a running development system.
        #[command(subcommand)]
        command: Option<DevCommand>,
    },
    /// Print a token for development, as the auth server would issue it
    Token(TokenArguments),
    /// Show the effective configuration, describe all settings, or write a file to begin with
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check the configuration, NATS, the log, MongoDB, the room server, the issuer's keys and the clocks, and print a
    /// line for each finding. Changes nothing. Exit codes: 0 no problems, 1 problems, 64 invalid configuration
    Check(CheckArguments),
    /// Create missing streams and buckets of the log, update the existing ones, and print the changes. Roles never
    /// create any: they wait for this command. Exit codes: 0 done, 1 failed, 64 invalid configuration
    Setup(SetupArguments),
    /// Show how full the log is and how far the archivers have read, or print its events as they arrive. Changes
    /// nothing. Exit codes: 0 done, 1 failed, 64 invalid configuration
    Log(LogArguments),
    /// Print which delivery node serves which room's presenter. Exit codes: 0 done, 1 failed, 64 invalid configuration
    Sessions(SessionsArguments),
    /// List, retry and discard lines of the log that could not be archived. Exit codes: 0 done, 1 partly done, 64
    /// invalid configuration
    Quarantine(QuarantineArguments),
    /// Ask a role on this machine whether it is ready. Exit codes: 0 ready, 1 not ready or no answer
    Healthcheck(HealthcheckArguments),
    /// Print the OpenAPI document of a role's HTTP interface
    Openapi(OpenapiArguments),
    /// Print the completions of this command line for a shell
    Completions(CompletionsArguments),
    /// Write the man pages of this command and of its subcommands into a folder
    Man(ManArguments),
}

/// Commands for a running development system.
#[derive(Debug, Subcommand)]
pub enum DevCommand {
    /// Play a recorded chat into the system, and check that every accepted message arrives
    Play(PlayArguments),
    /// Print the events of a room since ten minutes ago, and new ones as they arrive. Does not replace the presenter's
    /// session
    Watch(WatchArguments),
}

/// The default folder of `dev`, in the working directory. Git ignores it.
pub const DATA: &str = ".chatting-server-dev";

/// The number of a user or a room.
fn idx() -> RangedI64ValueParser {
    clap::value_parser!(i64).range(1..=chat::LARGEST_IDX)
}

/// Arguments of every role.
#[derive(Debug, Args)]
pub struct RoleArguments {
    /// A TOML file with the settings that differ from the defaults; CHATTING_SECTION__KEY in the environment
    /// overrides it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Arguments of `setup`.
#[derive(Debug, Args)]
pub struct SetupArguments {
    /// The configuration file of the roles
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Begin a new epoch at the end of the log. Required after the log was restored from a backup, so that no position
    /// names two events. Running roles exit with 70 and must be restarted
    #[arg(long)]
    pub new_epoch: bool,
    /// Print the changes without making them
    #[arg(long, conflicts_with = "new_epoch")]
    pub dry_run: bool,
}

/// Arguments of `dev`.
#[derive(Debug, Args)]
pub struct DevArguments {
    /// The folder for the servers' data and logs
    #[arg(long, value_name = "FOLDER", default_value = DATA)]
    pub data: PathBuf,
    /// Delete the data of earlier runs first
    #[arg(long)]
    pub fresh: bool,
    /// Use this NATS server instead of starting one: nats://host:port
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    /// Use this MongoDB replica set instead of starting one: mongodb://host:port/?replicaSet=...
    #[arg(long, value_name = "URI")]
    pub mongo: Option<String>,
    /// Also print addresses, tokens and commands to try
    #[arg(long)]
    pub verbose: bool,
}

/// Arguments of `dev play`.
#[derive(Debug, Args)]
pub struct PlayArguments {
    /// The recording as NDJSON, one message per line: {"t_ms": 1200, "user": "name", "text": "..."}. Optional members:
    /// "room", and "role": "presenter"
    pub file: PathBuf,
    /// The speed as a multiple of the recorded one, or max
    #[arg(long, default_value = "10")]
    pub speed: Speed,
    /// The room for messages without a room. Named rooms get the numbers after it
    #[arg(long, value_name = "PRESENTER_IDX", default_value_t = 1, value_parser = idx())]
    pub room: i64,
    /// The folder of the development system
    #[arg(long, value_name = "FOLDER", default_value = DATA)]
    pub data: PathBuf,
    /// The configuration file of another running system, instead of the folder
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub config: Option<PathBuf>,
}

/// Arguments of `dev watch`.
#[derive(Debug, Args)]
pub struct WatchArguments {
    /// The room
    #[arg(long, value_name = "PRESENTER_IDX", default_value_t = 1, value_parser = idx())]
    pub room: i64,
    /// The folder of the development system
    #[arg(long, value_name = "FOLDER", default_value = DATA)]
    pub data: PathBuf,
}

/// Arguments of `token`.
#[derive(Debug, Args)]
pub struct TokenArguments {
    /// The user's number. For a presenter, the number of the room
    #[arg(long, value_name = "USER_IDX", value_parser = idx())]
    pub user: i64,
    /// The nickname shown with messages. Default: "user" and the number
    #[arg(long)]
    pub nickname: Option<String>,
    /// A scope, such as chat:moderate. May be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// The lifetime in hours
    #[arg(long, default_value_t = 1)]
    pub hours: u64,
    /// The folder of the development system whose secret signs the token
    #[arg(long, value_name = "FOLDER", default_value = DATA)]
    pub data: PathBuf,
    /// The configuration file with the secret, instead of the folder. CHATTING_AUTH__SECRET overrides both
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub config: Option<PathBuf>,
}

/// Commands about the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting with its value and its origin: the default, the file or a variable. Secrets are not shown.
    /// Exit codes: 0 done, 64 invalid configuration
    Show {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Print the reference of all settings as Markdown
    Docs,
    /// Print a commented file for production with the settings to decide, or write it to FILE, which must not exist
    Init {
        /// The file to write
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The configuration file of the roles
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A role whose settings and servers are checked. May be repeated. Default: all
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<Role>,
    /// The format of the findings
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: CheckFormat,
    /// The monitoring URL of each NATS server, http://host:8222: whether it fsyncs an append before it acknowledges,
    /// and its disk. With URLs alone, without --config and --role, only these servers are checked
    #[arg(value_name = "URL")]
    pub monitoring: Vec<String>,
}

/// The format of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// A line for each finding
    Text,
    /// One JSON object
    Json,
}

/// Arguments of `healthcheck`.
#[derive(Debug, Args)]
pub struct HealthcheckArguments {
    /// The role
    pub role: Role,
    /// The role's configuration file: `admin.listen` says where to ask
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell
    pub shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArguments {
    /// An existing folder
    pub folder: PathBuf,
}

/// Arguments of `openapi`.
#[derive(Debug, Args)]
pub struct OpenapiArguments {
    /// The role
    pub role: Documented,
}

/// A role with an OpenAPI document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Documented {
    /// Posting and moderation
    Ingest,
    /// Reading the archive
    Archiver,
}

impl Documented {
    /// The OpenAPI document that the role serves.
    pub fn document(self) -> String {
        match self {
            Documented::Ingest => ingest::openapi(),
            Documented::Archiver => archiver::openapi(),
        }
    }
}

/// The speed of a recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// A multiple of the recorded speed.
    Times(f64),
    /// As fast as the system accepts.
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
    fn quarantined_lines_are_selected_in_exactly_one_way() {
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
    fn numbers_of_users_and_rooms_have_the_bounds_of_the_roles() {
        let commands = [
            ["token", "--nickname", "n", "--user"].as_slice(),
            &["dev", "watch", "--room"],
            &["dev", "play", "f", "--room"],
            &["log", "tail", "--room"],
            &["log", "tail", "--user"],
            &["sessions", "--room"],
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
