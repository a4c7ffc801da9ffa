//! `chatting-server healthcheck`: asks a role on this machine whether it is ready, for health checks of containers
//! whose image has no other program.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::HealthcheckArguments;
use crate::config::Config;

const DEADLINE: Duration = Duration::from_secs(3);

/// A role's answer to `GET /readyz` on its `admin.listen`.
#[derive(Debug)]
pub struct Health {
    is_ready: bool,
    answer: String,
}

/// Asks the role at the address that its configuration gives. Err: it does not answer.
pub async fn healthcheck(arguments: &HealthcheckArguments) -> anyhow::Result<Health> {
    let config = Config::load(arguments.config.as_deref())?;
    let role = arguments.role;
    let listen = role.admin(&config).with_context(|| format!("{}.admin.listen is empty: set it", role.name()))?;
    let [_, (_, tls)] = role.tls(&config);
    let scheme = if tls.is_on() { "https" } else { "http" };
    // The certificate is for the name by which others reach this machine. Nothing secret is sent or learned.
    let client =
        reqwest::Client::builder().timeout(DEADLINE).no_proxy().tls_danger_accept_invalid_certs(true).build()?;
    let answer = client.get(format!("{scheme}://{}/readyz", reachable(listen))).send().await;
    let answer = answer.with_context(|| format!("{} does not answer on {listen}", role.name()))?;
    Ok(Health { is_ready: answer.status().is_success(), answer: answer.text().await? })
}

/// Where this machine reaches the listener: no connection leads to "all addresses".
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

impl Health {
    /// Whether the role should get traffic.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_by_loopback() {
        for (listen, expected) in [
            ("0.0.0.0:9080", "127.0.0.1:9080"),
            ("[::]:9080", "[::1]:9080"),
            ("10.1.2.3:9080", "10.1.2.3:9080"),
            ("[fd00::1]:9080", "[fd00::1]:9080"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), expected);
        }
    }
}
