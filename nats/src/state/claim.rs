//! A claim as the bucket `sessions` has it, and what holds by it. A client may send a claim late, whatever it answered
//! meanwhile: a claim that is stored after its expiry never happened. As the bucket has the newest value of a key alone,
//! a claim carries the one that it replaces, so that whoever reads it, whenever, finds the session that holds the room.

use async_nats::HeaderMap;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::presence::Session;
use chat::{NodeId, PresenterIdx, SessionId};

/// The value of a session's key. What has no expiry was written by an older version, and holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claim {
    node: NodeId,
    session: SessionId,
    since: Timestamp,
    /// By the clock of the log's servers: stored later, it never happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    /// What held when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<Replaced>,
}

/// The claim that another one replaces; it was stored in time.
#[derive(Debug, Serialize, Deserialize)]
struct Replaced {
    node: NodeId,
    session: SessionId,
    since: Timestamp,
    revision: u64,
}

/// A message of the bucket, in whichever way it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored<'a> {
    pub(crate) revision: u64,
    pub(crate) at: Timestamp,
    pub(crate) headers: Option<&'a HeaderMap>,
    pub(crate) value: &'a Bytes,
}

impl Claim {
    pub(crate) fn new(session: &Session, expires: Timestamp, replaces: Option<Session>) -> Claim {
        let replaces =
            replaces.map(|Session { id, node, since, revision, .. }| Replaced { node, session: id, since, revision });
        Claim {
            node: session.node.clone(),
            session: session.id,
            since: session.since,
            expires: Some(expires),
            replaces,
        }
    }

    pub(crate) fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("a claim has string keys and no failing serializer").into()
    }
}

impl Replaced {
    fn session(self, presenter: PresenterIdx) -> Session {
        let Replaced { node, session, since, revision } = self;
        Session { presenter, id: session, node, since, revision }
    }
}

impl Stored<'_> {
    /// The session that holds the room by it.
    pub(crate) fn holder(self, presenter: PresenterIdx) -> Result<Option<Session>, serde_json::Error> {
        if is_deleted(self.headers) {
            return Ok(None);
        }
        let Claim { node, session, since, expires, replaces } = serde_json::from_slice(self.value)?;
        if expires.is_none_or(|expires| self.at <= expires) {
            return Ok(Some(Session { presenter, id: session, node, since, revision: self.revision }));
        }
        Ok(replaces.map(|replaced| replaced.session(presenter)))
    }

    /// Whether it is that session's claim, in time or not.
    pub(crate) fn is_of(self, session: SessionId) -> bool {
        self.claim().is_some_and(|claim| claim.session == session)
    }

    /// What held when it was made.
    pub(crate) fn replaced(self, presenter: PresenterIdx) -> Option<Session> {
        self.claim()?.replaces.map(|replaced| replaced.session(presenter))
    }

    fn claim(self) -> Option<Claim> {
        if is_deleted(self.headers) { None } else { serde_json::from_slice(self.value).ok() }
    }
}

/// Whether a bucket's message says that the key is gone.
pub(crate) fn is_deleted(headers: Option<&HeaderMap>) -> bool {
    let operation = headers.and_then(|headers| headers.get("KV-Operation"));
    operation.is_some_and(|operation| matches!(operation.as_str(), "DEL" | "PURGE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: u8, revision: u64) -> Session {
        Session {
            presenter: 42.try_into().unwrap(),
            id: format!("01890a5d-ac96-774b-bcce-b302099a80{id:02}").parse().unwrap(),
            node: NodeId::from(format!("node-{id}")),
            since: "2026-11-22T12:34:56.789Z".parse().unwrap(),
            revision,
        }
    }

    fn holder(value: &str, stored: &str) -> Option<Session> {
        let value = Bytes::copy_from_slice(value.as_bytes());
        let stored = Stored { revision: 9, at: stored.parse().unwrap(), headers: None, value: &value };
        stored.holder(42.try_into().unwrap()).unwrap()
    }

    #[test]
    fn its_format_is_pinned() {
        let claim = Claim::new(&session(2, 0), "2026-11-22T12:35:01Z".parse().unwrap(), Some(session(1, 7)));
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
            let claim = Claim::new(&session(2, 0), expires, replaces).to_json();
            assert_eq!(holder(str::from_utf8(&claim).unwrap(), stored), expected, "stored at {stored}");
        }
    }

    #[test]
    fn what_an_older_version_wrote_holds() {
        let old =
            r#"{"node":"node-2","session":"01890a5d-ac96-774b-bcce-b302099a8002","since":"2026-11-22T12:34:56.789Z"}"#;
        assert_eq!(holder(old, "2027-01-01T00:00:00Z"), Some(session(2, 9)));
    }

    #[test]
    fn a_claim_that_was_withdrawn_is_nobodys() {
        let (ours, expires) = (session(2, 9), "2026-11-22T12:35:01Z".parse().unwrap());
        let value = Claim::new(&ours, expires, Some(session(1, 7))).to_json();
        for (operation, holds) in [(Some("DEL"), false), (Some("PURGE"), false), (Some("PUT"), true), (None, true)] {
            let mut headers = HeaderMap::new();
            if let Some(operation) = operation {
                headers.insert("KV-Operation", operation);
            }
            let stored = Stored { revision: 9, at: expires, headers: Some(&headers), value: &value };
            assert_eq!(stored.holder(ours.presenter).unwrap().is_some(), holds, "{operation:?}");
            assert_eq!(stored.is_of(ours.id), holds, "{operation:?}");
            assert_eq!(stored.replaced(ours.presenter).is_some(), holds, "{operation:?}");
            assert!(!stored.is_of(session(1, 7).id));
        }
    }
}
