//! `chatting-server sessions`: which node serves which room's presenter. It claims nothing.

use std::process::ExitCode;

use chat::PresenterIdx;
use nats::{Claim, Log};
use serde_json::{Value, json};

use crate::cli::{SessionsArguments, TableFormat};
use crate::operator;

/// The connection's name in NATS' monitoring.
const NAME: &str = "chatting-server sessions";

const HEADER: [&str; 5] = ["ROOM", "NODE", "SESSION", "SINCE", "NODE ALIVE"];

/// Prints the sessions. The exit code is 0 if it is done, 1 if not, 64 if the configuration is invalid.
pub fn run(arguments: &SessionsArguments) -> ExitCode {
    operator::run(arguments.config.as_deref(), async |config| {
        let room = arguments.room.map(PresenterIdx::try_from).transpose()?;
        let log = Log::connect(&config.nats, NAME).await?;
        let presence = log.presence().await?;
        let mut claims = presence.all_claims();
        claims.retain(|(claim, _)| room.is_none_or(|room| claim.presenter == room));
        claims.sort_unstable_by_key(|(claim, _)| claim.presenter);
        log.close().await;
        match arguments.format {
            TableFormat::Text => operator::print_table(HEADER, claims.iter().map(row))?,
            TableFormat::Json => {
                let sessions: Vec<Value> = claims.iter().map(object).collect();
                operator::print(format_args!("{:#}\n", Value::Array(sessions)))?;
            }
        }
        Ok(true)
    })
}

fn row((claim, is_alive): &(Claim, bool)) -> [String; 5] {
    let alive = if *is_alive { "yes" } else { "no" };
    [
        claim.presenter.to_string(),
        claim.node.to_string(),
        claim.id.to_string(),
        format!("{:.0}", claim.since),
        alive.to_owned(),
    ]
}

fn object((claim, is_alive): &(Claim, bool)) -> Value {
    json!({
        "presenterIdx": claim.presenter,
        "node": claim.node,
        "session": claim.id,
        "since": claim.since,
        "nodeAlive": is_alive,
    })
}
