//! NATS: each server of `nats.urls`, and the streams, buckets and readers of the log compared with the configuration.

use nats::{Change, Fill, LogState, ReaderState, ServerState, StreamState};

use super::Failed;
use super::finding::Finding;
use super::handshakes::{self, Names};
use super::storage::{gib, is_nearly_full, percent};
use super::versions::is_at_least;

/// The oldest version that this project was tested with.
pub(super) const LEAST_NATS: [u64; 3] = [2, 15, 1];

const SERVERS: &str = "nats";

const PART: &str = "log";

const TLS: Names = Names {
    authorities: "nats.tls.ca_file",
    own: "nats.tls.cert_file and nats.tls.key_file",
    way: "nats.tls.first and nats.urls",
    address: "nats.urls",
};

/// The action for an older version.
pub(super) fn too_old() -> String {
    let [major, minor, patch] = LEAST_NATS;
    format!("upgrade it: {major}.{minor}.{patch} or later is needed")
}

/// A finding for each server of `nats.urls`.
pub(super) fn servers(servers: &Result<Vec<ServerState>, Failed>) -> Vec<Finding> {
    match servers {
        Ok(servers) => servers.iter().map(server).collect(),
        Err(Failed { reason, .. }) => {
            vec![Finding::problem(SERVERS, reason.clone(), "correct nats.urls and nats.credentials")]
        }
    }
}

fn server(ServerState { url, answer }: &ServerState) -> Finding {
    match answer {
        Ok(facts) if !is_at_least(&facts.version, LEAST_NATS) => {
            Finding::problem(SERVERS, format!("{url}: nats-server {}", facts.version), too_old())
        }
        Ok(facts) if !facts.has_jetstream => Finding::problem(
            SERVERS,
            format!("{url}: nats-server {}, without JetStream for this login", facts.version),
            "enable JetStream on the server and for the account",
        ),
        Ok(facts) => Finding::ok(SERVERS, format!("{url}: nats-server {}", facts.version)),
        Err(error) => {
            let reason = web::with_sources(error);
            let action = handshakes::action(&reason, &TLS);
            Finding::problem(
                SERVERS,
                reason,
                action.unwrap_or_else(|| "start it, or correct nats.urls and the login".to_owned()),
            )
        }
    }
}

/// The findings about the log.
pub(super) fn state(state: &Result<LogState, Failed>) -> Vec<Finding> {
    match state {
        Ok(state) => state.streams.iter().flat_map(stream).collect(),
        Err(Failed { reason, .. }) => {
            vec![Finding::problem(PART, format!("not compared: {reason}"), "correct that, and check again")]
        }
    }
}

fn stream(state: &StreamState) -> Vec<Finding> {
    let StreamState { stream, change, fill, late_replicas, reader, .. } = state;
    let mut findings = Vec::new();
    match change {
        Some(change @ Change::Create { .. }) => {
            findings.push(Finding::problem(
                PART,
                change.to_string(),
                "run `chatting-server setup`: no role serves without",
            ));
        }
        Some(change @ Change::Update { .. }) => {
            findings.push(Finding::problem(PART, change.to_string(), "run `chatting-server setup`, which changes it"));
        }
        None => findings.push(Finding::ok(PART, format!("{stream}: as configured{}", filled(fill.as_ref())))),
    }
    if let Some(Fill { bytes, max_bytes: Some(max_bytes), .. }) = fill
        && reader.is_some()
        && is_nearly_full(*bytes, *max_bytes)
    {
        let what = format!("{stream}: {} % full", percent(*bytes, *max_bytes));
        findings.push(Finding::warning(PART, what, "see docs/operations/troubleshooting.md#the-log-is-full"));
    }
    for late in late_replicas {
        let what = format!("{stream}: the copy on {late} is not current");
        findings.push(Finding::problem(PART, what, "start that server, and wait until it has caught up"));
    }
    findings.extend(reader.as_ref().map(|reader| self::reader(stream, reader)));
    findings
}

fn filled(fill: Option<&Fill>) -> String {
    match fill {
        Some(Fill { bytes, max_bytes: Some(max_bytes), .. }) => format!(", {} of {}", gib(*bytes), gib(*max_bytes)),
        _ => String::new(),
    }
}

fn reader(stream: &str, reader: &ReaderState) -> Finding {
    match reader {
        ReaderState::Missing => Finding::ok(PART, format!("{stream}: no archiver has read it yet")),
        ReaderState::Present { waiting, unacknowledged, differences } if differences.is_empty() => {
            let batches = format!("{waiting} batches to read and {unacknowledged} in hand");
            Finding::ok(PART, format!("{stream}: the archivers have {batches}"))
        }
        ReaderState::Present { differences, .. } => {
            let listed: Vec<String> = differences
                .iter()
                .map(|difference| {
                    let (present, wanted) = (&difference.present, &difference.wanted);
                    format!("{} is {present}, the archiver asks for {wanted}", difference.member)
                })
                .collect();
            let what = format!("{stream}: of the archivers' consumer {}", listed.join(", "));
            Finding::warning(PART, what, "restart an archiver, which sets it at its start")
        }
        ReaderState::Unknown(error) => Finding::warning(
            PART,
            format!("{stream}: the archivers' consumer was not compared: {}", web::with_sources(error)),
            "let this login ask for $JS.API.CONSUMER.INFO.>",
        ),
    }
}
