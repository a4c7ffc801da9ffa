//! Claims, and their values in the bucket `sessions`. The client may send a claim long after it has reported a failure,
//! so a claim carries its expiry: a claim that is stored later never holds. A bucket has only the newest value of a
//! key, so a claim also carries the claim that it replaces. Every reader finds the session that holds the room from
//! that one value.

use async_nats::HeaderMap;
use bytes::Bytes;
use chat::{NodeId, PresenterIdx, SessionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A presenter's claim to a room. Of the claims that were stored in time, the one with the highest revision holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The room.
    pub presenter: PresenterIdx,
    /// The session.
    pub id: SessionId,
    /// The node that the presenter is connected to.
    pub node: NodeId,
    /// When the session began.
    pub since: Timestamp,
    /// The fence: a session that learns of a higher revision for its room closes itself.
    pub revision: u64,
}

/// A claim as the bucket stores it. A claim without an expiry was written by an older version, and holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ClaimRecord {
    node: NodeId,
    session: SessionId,
    since: Timestamp,
    /// The expiry, by the clock of the log's servers. A claim stored later never holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    /// The claim that held when this one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<ReplacedClaim>,
}

/// The claim that another one replaces. It was stored in time.
#[derive(Debug, Serialize, Deserialize)]
struct ReplacedClaim {
    node: NodeId,
    session: SessionId,
    since: Timestamp,
    revision: u64,
}

/// A message of the bucket, however it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredClaim<'a> {
    pub(crate) revision: u64,
    pub(crate) at: Timestamp,
    pub(crate) headers: Option<&'a HeaderMap>,
    pub(crate) value: &'a Bytes,
}

impl ClaimRecord {
    pub(crate) fn new(claim: &Claim, expires: Timestamp, replaces: Option<Claim>) -> ClaimRecord {
        let replaces = replaces.map(|Claim { id, node, since, revision, .. }| ReplacedClaim {
            node,
            session: id,
            since,
            revision,
        });
        ClaimRecord {
            node: claim.node.clone(),
            session: claim.id,
            since: claim.since,
            expires: Some(expires),
            replaces,
        }
    }

    pub(crate) fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("a claim has string keys and no failing serializer").into()
    }
}

impl ReplacedClaim {
    fn claim(self, presenter: PresenterIdx) -> Claim {
        let ReplacedClaim { node, session, since, revision } = self;
        Claim { presenter, id: session, node, since, revision }
    }
}

impl StoredClaim<'_> {
    /// The claim that holds by this message.
    pub(crate) fn holder(self, presenter: PresenterIdx) -> Result<Option<Claim>, serde_json::Error> {
        if is_deleted(self.headers) {
            return Ok(None);
        }
        let ClaimRecord { node, session, since, expires, replaces } = serde_json::from_slice(self.value)?;
        if expires.is_none_or(|expires| self.at <= expires) {
            return Ok(Some(Claim { presenter, id: session, node, since, revision: self.revision }));
        }
        Ok(replaces.map(|replaced| replaced.claim(presenter)))
    }

    /// Whether the message is that session's claim, in time or not.
    pub(crate) fn is_of(self, session: SessionId) -> bool {
        self.claim().is_some_and(|claim| claim.session == session)
    }

    /// The claim that held when this one was made.
    pub(crate) fn replaced(self, presenter: PresenterIdx) -> Option<Claim> {
        self.claim()?.replaces.map(|replaced| replaced.claim(presenter))
    }

    fn claim(self) -> Option<ClaimRecord> {
        if is_deleted(self.headers) { None } else { serde_json::from_slice(self.value).ok() }
    }
}

/// Whether a bucket's message deletes its key.
pub(crate) fn is_deleted(headers: Option<&HeaderMap>) -> bool {
    let operation = headers.and_then(|headers| headers.get("KV-Operation"));
    operation.is_some_and(|operation| matches!(operation.as_str(), "DEL" | "PURGE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: u8, revision: u64) -> Claim {
        Claim {
            presenter: 42.try_into().unwrap(),
            id: format!("01890a5d-ac96-774b-bcce-b302099a80{id:02}").parse().unwrap(),
            node: NodeId::from(format!("node-{id}")),
            since: "2026-11-22T12:34:56.789Z".parse().unwrap(),
            revision,
        }
    }

    fn holder(value: &str, stored: &str) -> Option<Claim> {
        let value = Bytes::copy_from_slice(value.as_bytes());
        let stored = StoredClaim { revision: 9, at: stored.parse().unwrap(), headers: None, value: &value };
        stored.holder(42.try_into().unwrap()).unwrap()
    }

    #[test]
    fn its_format_is_pinned() {
        let claim = ClaimRecord::new(&session(2, 0), "2026-11-22T12:35:01Z".parse().unwrap(), Some(session(1, 7)));
        insta::assert_snapshot!(str::from_utf8(&claim.to_json()).unwrap(), @r#"{"node":"node-2","session":"01890a5d-ac96-774b-bcce-b302099a8002","since":"2026-11-22T12:34:56.789Z","expires":"2026-11-22T12:35:01Z","replaces":{"node":"node-1","session":"01890a5d-ac96-774b-bcce-b302099a8001","since":"2026-11-22T12:34:56.789Z","revision":7}}"#);
    }

    #[test]
    fn stored_late_it_never_happened_and_the_one_before_holds() {
        let expires = "2026-11-22T12:35:01Z".parse().unwrap();
        for (replaces, stored, expected) in [
            (Some(session(1, 7)), "2026-11-22T12:35:01Z", Some(session(2, 9))),
            (Some(session(1, 7)), "2026-11-22T12:35:01.001Z", Some(session(1, 7))),
            (None, "2026-11-22T12:35:01Z", Some(session(2, 9))),
            (None, "2026-11-22T12:35:01.001Z", None),
        ] {
            let claim = ClaimRecord::new(&session(2, 0), expires, replaces).to_json();
            assert_eq!(holder(str::from_utf8(&claim).unwrap(), stored), expected, "stored at {stored}");
        }
    }

    #[test]
    fn a_claim_of_an_older_version_holds() {
        let old =
            r#"{"node":"node-2","session":"01890a5d-ac96-774b-bcce-b302099a8002","since":"2026-11-22T12:34:56.789Z"}"#;
        assert_eq!(holder(old, "2027-01-01T00:00:00Z"), Some(session(2, 9)));
    }

    #[test]
    fn a_claim_that_was_withdrawn_is_nobodys() {
        let (ours, expires) = (session(2, 9), "2026-11-22T12:35:01Z".parse().unwrap());
        let value = ClaimRecord::new(&ours, expires, Some(session(1, 7))).to_json();
        for (operation, holds) in [(Some("DEL"), false), (Some("PURGE"), false), (Some("PUT"), true), (None, true)] {
            let mut headers = HeaderMap::new();
            if let Some(operation) = operation {
                headers.insert("KV-Operation", operation);
            }
            let stored = StoredClaim { revision: 9, at: expires, headers: Some(&headers), value: &value };
            assert_eq!(stored.holder(ours.presenter).unwrap().is_some(), holds, "{operation:?}");
            assert_eq!(stored.is_of(ours.id), holds, "{operation:?}");
            assert_eq!(stored.replaced(ours.presenter).is_some(), holds, "{operation:?}");
            assert!(!stored.is_of(session(1, 7).id));
        }
    }
}
