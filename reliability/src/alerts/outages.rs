//! The outages: how each is caused and mended, and which alerts it raises.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::stage::{LONG, SHORT, Stage};
use crate::system::LOG_BYTES;

/// An outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outage {
    NodeKilled,
    RoleKilled,
    LogKilled,
    NodeCutOff,
    SlowAppends,
    LogFillsUp,
    LogFull,
    MongodKilled,
    BatchesExpired,
    MalformedLine,
    RoomServerAway,
    ReviewHookAway,
    IssuerAway,
    CertificateNotRenewed,
    LateDelivery,
    DeliveryCutOff,
    LongAbsence,
    DeliveryFull,
    DeliveryOverloaded,
    FewDescriptors,
}

/// 64 MiB: large enough that the reserve for decisions is the sixteenth that it is in production.
const SMALL_LOG: u64 = 64 << 20;

/// Between the share of the alert and that at which messages are refused, which is 15/16. Then above both.
const NEARLY_FULL: f64 = 0.92;
const FULL: f64 = 0.95;

/// Longer than the alert about missing batches looks back within one process.
const EXPIRED: Duration = Duration::from_secs(20 * 60);

/// Each of the two ways of an append takes this long, or up to twice: together 0.4 s to 0.8 s. After 1 s an append is sent
/// again.
const SLOW: Duration = Duration::from_millis(200);

/// Events wait for up to this long, and every fifth one for more than 5 s. A lease of 10 s lives.
const LATE: Duration = Duration::from_millis(6_500);
const LATE_FLOW: Duration = Duration::from_millis(300);

/// Longer than the window in that outage.
const ABSENCE: Duration = Duration::from_secs(12);

/// The limit of file descriptors that a node gets, and how many of them it is made to open.
const DESCRIPTORS: usize = 300;
const OPENED: usize = 270;

impl Outage {
    pub(super) const ALL: [Outage; 20] = [
        Outage::NodeKilled,
        Outage::RoleKilled,
        Outage::LogKilled,
        Outage::NodeCutOff,
        Outage::SlowAppends,
        Outage::LogFillsUp,
        Outage::LogFull,
        Outage::MongodKilled,
        Outage::BatchesExpired,
        Outage::MalformedLine,
        Outage::RoomServerAway,
        Outage::ReviewHookAway,
        Outage::IssuerAway,
        Outage::CertificateNotRenewed,
        Outage::LateDelivery,
        Outage::DeliveryCutOff,
        Outage::LongAbsence,
        Outage::DeliveryFull,
        Outage::DeliveryOverloaded,
        Outage::FewDescriptors,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Outage::NodeKilled => "a node of ingest is killed",
            Outage::RoleKilled => "every node of ingest is killed",
            Outage::LogKilled => "nats-server is killed",
            Outage::NodeCutOff => "a node of ingest is cut off from NATS",
            Outage::SlowAppends => "appends take 0.4 s to 0.8 s",
            Outage::LogFillsUp => "the log is 92 % full within nats.min_age",
            Outage::LogFull => "the log is 95 % full within nats.min_age",
            Outage::MongodKilled => "mongod is killed",
            Outage::BatchesExpired => "every archiver is away until batches expire",
            Outage::MalformedLine => "a malformed line is in the log",
            Outage::RoomServerAway => "the room server is away",
            Outage::ReviewHookAway => "the review hook is away",
            Outage::IssuerAway => "the issuer of keys is away",
            Outage::CertificateNotRenewed => "the archivers' certificate ends in 10 days",
            Outage::LateDelivery => "a node of delivery reads the log up to 6.5 s late",
            Outage::DeliveryCutOff => "a node of delivery is cut off from NATS",
            Outage::LongAbsence => "presenters are away for longer than the window",
            Outage::DeliveryFull => "a node of delivery has all its sessions",
            Outage::DeliveryOverloaded => "a node of delivery is asked for more sessions than it has",
            Outage::FewDescriptors => "a node of ingest has 90 % of its file descriptors open",
        }
    }

    /// The alerts that it raises: all of these, and no other.
    pub(super) fn raises(self) -> &'static [&'static str] {
        match self {
            Outage::NodeKilled => &["ChattingNodeDown"],
            Outage::RoleKilled => &["ChattingRoleDown", "ChattingNodeDown"],
            Outage::LogKilled => {
                &["ChattingLogDisconnected", "ChattingRoleDown", "ChattingPostsFail", "ChattingPresentersTurnedAway"]
            }
            Outage::NodeCutOff => &["ChattingLogDisconnected"],
            Outage::SlowAppends => &["ChattingAppendsSlow", "ChattingPostsFail"],
            Outage::LogFillsUp => &["ChattingLogFillsUp"],
            Outage::LogFull => &["ChattingLogRefusesMessages", "ChattingPostsFail", "ChattingLogFillsUp"],
            Outage::MongodKilled => &["ChattingMongoDBDown", "ChattingArchiveBehind"],
            Outage::BatchesExpired => &["ChattingBatchesMissing", "ChattingRoleDown", "ChattingNodeDown"],
            Outage::MalformedLine => &["ChattingQuarantine"],
            Outage::RoomServerAway => &["ChattingRoomServerDown", "ChattingPostsFail"],
            Outage::ReviewHookAway => &["ChattingReviewHookDown"],
            Outage::IssuerAway => &["ChattingIssuerKeysStale"],
            Outage::CertificateNotRenewed => &["ChattingCertificateExpires"],
            Outage::LateDelivery => &["ChattingDeliveryLags"],
            Outage::DeliveryCutOff => &["ChattingLogDisconnected", "ChattingPresentersTurnedAway"],
            Outage::LongAbsence => &["ChattingPresentersMissMessages"],
            Outage::DeliveryFull => &["ChattingDeliveryFull"],
            Outage::DeliveryOverloaded => &["ChattingPresentersTurnedAway", "ChattingDeliveryFull"],
            Outage::FewDescriptors => &["ChattingFileDescriptorsRunOut"],
        }
    }

    /// Settings of the roles without which it would take longer, or more users.
    pub(super) fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            // Posts to that node wait for half of it. Short time makes that as many minutes of the gateway's posts.
            Outage::NodeCutOff => &[("CHATTING_NATS__APPEND_DEADLINE", "500ms")],
            Outage::IssuerAway => &[("CHATTING_AUTH__JWKS__REFRESH", "1s")],
            Outage::LongAbsence => &[("CHATTING_DELIVERY__WINDOW", "6s")],
            Outage::DeliveryFull | Outage::DeliveryOverloaded => &[("CHATTING_DELIVERY__MAX_SESSIONS", "10")],
            _ => &[],
        }
    }

    /// The size of the log.
    pub(super) fn log_bytes(self) -> u64 {
        match self {
            Outage::LogFillsUp | Outage::LogFull => SMALL_LOG,
            _ => LOG_BYTES,
        }
    }

    pub(super) async fn cause(self, stage: &Stage) -> anyhow::Result<()> {
        match self {
            Outage::NodeKilled => stage.kill(&["ingest-1"]).await?,
            Outage::RoleKilled => stage.kill(&["ingest-0", "ingest-1"]).await?,
            Outage::LogKilled => stage.kill(&["nats-0"]).await?,
            Outage::NodeCutOff => stage.refuse("ingest to nats", Some("ingest-0")),
            Outage::SlowAppends => {
                stage.links("ingest to nats", None).iter().for_each(|link| link.proxy.slow_down(SLOW));
            }
            Outage::LogFillsUp => stage.fill(NEARLY_FULL).await?,
            Outage::LogFull => stage.fill(FULL).await?,
            Outage::MongodKilled => stage.kill(&["mongod-0"]).await?,
            Outage::BatchesExpired => {
                stage.kill(&["archiver-0", "archiver-1"]).await?;
                tokio::time::sleep(stage.short(EXPIRED)).await;
                // As nats.max_age does, whose shortest is an hour.
                stage.stream().await?.purge().await?;
                stage.start_again(&["archiver-0", "archiver-1"]).await?;
            }
            Outage::MalformedLine => stage.append(b"no event\n".to_vec()).await?,
            Outage::RoomServerAway => stage.refuse("ingest to rooms", None),
            Outage::ReviewHookAway => stage.refuse("ingest to review", None),
            Outage::IssuerAway => stage.issuer.as_ref().context("there is an issuer")?.refuse(),
            Outage::CertificateNotRenewed => stage.renew_certificate(SHORT).await?,
            // It lasts.
            Outage::LateDelivery | Outage::FewDescriptors => {}
            Outage::DeliveryCutOff => stage.refuse("delivery to nats", Some("delivery-0")),
            Outage::LongAbsence => {
                stage.people.are_present(false);
                tokio::time::sleep(ABSENCE).await;
                stage.people.are_present(true);
            }
            Outage::DeliveryFull => stage.people.crowd(2),
            Outage::DeliveryOverloaded => stage.people.crowd(12),
        }
        Ok(())
    }

    /// What has to go on while it lasts.
    pub(super) async fn lasts(self, stage: &Stage) -> anyhow::Result<Infallible> {
        match self {
            Outage::LateDelivery => {
                let links = stage.links("delivery to nats", Some("delivery-0"));
                loop {
                    links.iter().for_each(|link| link.proxy.hold_up());
                    tokio::time::sleep(LATE).await;
                    links.iter().for_each(|link| link.proxy.release());
                    tokio::time::sleep(LATE_FLOW).await;
                }
            }
            Outage::FewDescriptors => {
                let id = stage.part("ingest-0")?.server.lock().await.id().context("the node runs")?;
                let limit = [format!("--pid={id}"), format!("--nofile={DESCRIPTORS}:")];
                let limited = Command::new("prlimit").args(limit).status().await.context("cannot run prlimit")?;
                ensure!(limited.success(), "prlimit cannot set the limit of {id}");
                let open = format!("process_open_fds{{instance=\"{}\"}}", stage.instance("ingest-0")?);
                let open = stage.prometheus.value(&open).await?.context("the node tells its descriptors")?;
                let node = stage.links("client to ingest", Some("ingest-0"));
                let node = node.first().context("clients reach the node")?.proxy.address();
                let mut connections = Vec::new();
                for _ in open as usize..OPENED {
                    connections.push(TcpStream::connect(node).await?);
                }
                std::future::pending().await
            }
            _ => std::future::pending().await,
        }
    }

    pub(super) async fn mend(self, stage: &Stage) -> anyhow::Result<()> {
        match self {
            Outage::NodeKilled => stage.start_again(&["ingest-1"]).await?,
            Outage::RoleKilled => stage.start_again(&["ingest-0", "ingest-1"]).await?,
            Outage::LogKilled => stage.start_again(&["nats-0"]).await?,
            Outage::NodeCutOff | Outage::SlowAppends => stage.release("ingest to nats", None),
            Outage::LogFillsUp | Outage::LogFull => {
                let larger = LOG_BYTES.to_string();
                stage.system.command(&["setup"], &[("CHATTING_NATS__MAX_BYTES", &larger)]).await?;
            }
            Outage::MongodKilled => stage.start_again(&["mongod-0"]).await?,
            Outage::MalformedLine => stage.system.command(&["quarantine", "discard", "--all"], &[]).await?,
            Outage::RoomServerAway => stage.release("ingest to rooms", None),
            Outage::ReviewHookAway => stage.release("ingest to review", None),
            Outage::IssuerAway => stage.issuer.as_ref().context("there is an issuer")?.release(),
            Outage::CertificateNotRenewed => stage.renew_certificate(LONG).await?,
            Outage::LateDelivery | Outage::DeliveryCutOff => stage.release("delivery to nats", None),
            Outage::DeliveryFull | Outage::DeliveryOverloaded => stage.people.are_present(false),
            // What was lost stays lost, and is told once. The dropped connections have closed.
            Outage::BatchesExpired | Outage::LongAbsence | Outage::FewDescriptors => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::rules;
    use super::*;

    #[test]
    fn every_shipped_alert_has_an_outage_that_raises_it() {
        let raised: BTreeSet<&str> = Outage::ALL.into_iter().flat_map(Outage::raises).copied().collect();
        let shipped: BTreeSet<&str> = rules::shipped().into_iter().map(|(name, _)| name).collect();
        assert_eq!(raised, shipped);
    }

    #[test]
    fn every_outage_is_in_the_documentation_with_its_alerts() {
        let page = include_str!("../../../docs/operations/alerts.md");
        for outage in Outage::ALL {
            let row = page.lines().find(|line| line.starts_with(&format!("| {} |", outage.name())));
            let row = row.unwrap_or_else(|| panic!("docs/operations/alerts.md has no row for: {}", outage.name()));
            let named: BTreeSet<&str> = row.split('`').filter(|part| part.starts_with("Chatting")).collect();
            assert_eq!(named, outage.raises().iter().copied().collect(), "{row}");
        }
    }
}
