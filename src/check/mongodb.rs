//! MongoDB: whether it answers, its version, its replica set and its disk.

use archiver::MongoDb;

use super::Failed;
use super::finding::Finding;
use super::handshakes::{self, Names};
use super::storage::{gib, is_nearly_full};
use super::versions::{is_at_least, numbers};

const PART: &str = "mongodb";

const TLS: Names = Names {
    authorities: "tlsCAFile in archiver.uri",
    own: "tlsCertificateKeyFile in archiver.uri",
    way: "tls in archiver.uri",
    address: "archiver.uri",
};

/// The oldest series that works.
const LEAST: [u64; 3] = [6, 0, 0];

/// The first version of each series with the fix of CVE-2025-14847. Without it, anyone who reaches the port can read
/// the server's memory.
const PATCHED: [[u64; 3]; 4] = [[6, 0, 27], [7, 0, 28], [8, 0, 17], [8, 2, 3]];

/// The findings about the archive's database.
pub(super) fn findings(answer: &Result<MongoDb, Failed>) -> Vec<Finding> {
    let mongodb = match answer {
        Ok(mongodb) => mongodb,
        Err(Failed { reason, .. }) => {
            let action = handshakes::action(reason, &TLS);
            let action = action.unwrap_or_else(|| "start it, or correct archiver.uri".to_owned());
            return vec![Finding::problem(PART, reason.clone(), action)];
        }
    };
    let server = format!("{}: mongod {}", mongodb.clock.server, mongodb.version);
    let mut findings = vec![match &mongodb.replica_set {
        Some(replica_set) => Finding::ok(PART, format!("{server}, primary of {replica_set}")),
        None => Finding::problem(
            PART,
            format!("{server}, not a member of a replica set"),
            "start it with --replSet and initiate the set: majority writes need one",
        ),
    }];
    if !is_at_least(&mongodb.version, LEAST) {
        findings.push(Finding::problem(PART, format!("{server} is too old"), "upgrade it: 6.0 or later is needed"));
    } else if let Some([major, minor, patch]) = fix_missing_in(&mongodb.version) {
        findings.push(Finding::warning(
            PART,
            format!("{server} lacks the fix of CVE-2025-14847: anyone who reaches the port can read its memory"),
            format!("upgrade it to {major}.{minor}.{patch} or later"),
        ));
    }
    findings.push(match &mongodb.disk {
        Ok(disk) if is_nearly_full(disk.used, disk.total) => {
            let what = format!("the disk is nearly full: {} of {}", gib(disk.used), gib(disk.total));
            Finding::warning(PART, what, "add disk space, or set archiver.retention")
        }
        Ok(disk) => Finding::ok(PART, format!("the disk has used {} of {}", gib(disk.used), gib(disk.total))),
        Err(error) => Finding::warning(
            PART,
            format!("the disk was not asked about: {}", web::with_sources(error)),
            "let this login run dbStats on the database (role read)",
        ),
    });
    findings
}

/// The version to upgrade to. None: it has the fix, or its series is newer than the list.
fn fix_missing_in(version: &str) -> Option<[u64; 3]> {
    let patched = PATCHED.into_iter().find(|patched| numbers(version).get(..2) == patched.get(..2))?;
    (!is_at_least(version, patched)).then_some(patched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_without_the_fix_is_told_the_next_one_of_its_series() {
        for (version, fix) in [
            ("6.0.5", Some([6, 0, 27])),
            ("6.0.27", None),
            ("7.0.27", Some([7, 0, 28])),
            ("8.0.17", None),
            ("8.2.2", Some([8, 2, 3])),
            ("9.0.0", None),
        ] {
            assert_eq!(fix_missing_in(version), fix, "{version}");
        }
    }
}
