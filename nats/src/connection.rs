//! The connection to NATS: its options, the detection of dead servers, and the backoff of reconnects.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::{ConnectOptions, Event as ConnectionEvent, ServerAddr};
use tokio::sync::watch;

use crate::address;
use crate::config::Config;
use crate::error::Error;
use crate::jetstream::REQUEST_TIMEOUT;
use crate::login;

/// The client notices a dead server after two of these. Its own default takes minutes.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// The longest pause between two attempts to reconnect.
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(2);

/// Connects for some requests. The connection ends when the answer is dropped.
pub(crate) async fn once(config: &Config, name: &str) -> Result<jetstream::Context, Error> {
    connect(config, name, watch::Sender::new(())).await
}

/// Connects, and notifies `connected` of this and every later connection.
pub(crate) async fn connect(
    config: &Config,
    name: &str,
    connected: watch::Sender<()>,
) -> Result<jetstream::Context, Error> {
    let (servers, options) = options(config, name, connected).await?;
    let connected = options.connect(servers).await;
    let failed = |error: async_nats::ConnectError| Error::Connect {
        servers: address::shown(&config.urls),
        source: error.into(),
    };
    let mut jetstream = jetstream::new(connected.map_err(failed)?);
    jetstream.set_timeout(REQUEST_TIMEOUT);
    Ok(jetstream)
}

/// The servers in the order of `nats.urls`, and the options for a connection to them.
pub(crate) async fn options(
    config: &Config,
    name: &str,
    connected: watch::Sender<()>,
) -> Result<(Vec<ServerAddr>, ConnectOptions), Error> {
    config.check()?;
    let (servers, _) = address::servers(&config.urls).map_err(|reason| conf::Problem::new("nats.urls", reason))?;
    let options = login::options(config).map_err(|reason| conf::Problem::new(config.login_key(), reason))?;
    let options = options
        .name(name)
        .custom_inbox_prefix(inbox(name))
        .ping_interval(PING_INTERVAL)
        .connection_timeout(REQUEST_TIMEOUT)
        .request_timeout(Some(REQUEST_TIMEOUT))
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(move |event| {
            match event {
                ConnectionEvent::Connected => {
                    tracing::info!("connected to NATS");
                    connected.send_replace(());
                }
                ConnectionEvent::Disconnected => tracing::warn!("lost the connection to NATS"),
                // Only this process drains and closes its connection, just before it ends.
                ConnectionEvent::Draining | ConnectionEvent::Closed => tracing::debug!(%event, "leaving NATS"),
                event => tracing::warn!(%event, "the connection to NATS is in trouble"),
            }
            std::future::ready(())
        });
    // Also of servers that the client only hears of: it hears host and port.
    let options = if servers.iter().any(ServerAddr::tls_required) { options.require_tls(true) } else { options };
    Ok((servers, config.tls.add_to(options)))
}

/// The beginning of the subjects on which this connection gets answers, by the last word of its name. NATS can then let
/// each role subscribe to its own answers alone.
fn inbox(name: &str) -> String {
    let word = name.rsplit(' ').next().unwrap_or(name);
    let word: String = word.chars().filter(|char| char.is_ascii_alphanumeric() || *char == '-').collect();
    if word.is_empty() { "_INBOX".to_owned() } else { format!("_INBOX.{word}") }
}

/// Doubles from 20 ms to 2 s. Half of it is jitter, so that many nodes do not reconnect at the same moment.
fn reconnect_delay(attempts: usize) -> Duration {
    let doubled = Duration::from_millis(20) * 2_u32.pow(attempts.min(10) as u32);
    doubled.min(MAX_RECONNECT_DELAY).mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_answers_on_subjects_of_its_own() {
        for (name, prefix) in [
            ("chatting-server ingest", "_INBOX.ingest"),
            ("chatting-server dev watch", "_INBOX.watch"),
            ("test", "_INBOX.test"),
            ("a.b *>", "_INBOX"),
            ("", "_INBOX"),
        ] {
            assert_eq!(inbox(name), prefix, "{name}");
        }
    }
}
