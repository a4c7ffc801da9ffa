//! Doubt: when to believe a stream that contradicts what was seen of it.

use std::time::Duration;

use async_nats::jetstream::stream;
use tokio::time::Instant;

/// A stream that the server has not known for this long was deleted. A stream that has contradicted what was seen for
/// this long has lost its end. A cluster that starts or elects a leader has recovered by then.
pub(crate) const GONE_AFTER: Duration = Duration::from_secs(5);

/// A stream's leader hears from each member every second, and members elect another leader only after four silent
/// seconds. A member heard from within this time follows no other leader.
const SEEN_WITHIN: Duration = Duration::from_secs(3);

/// The judgement on a stream that was compared with what was seen of it.
pub(crate) enum Verdict {
    /// It is the same stream.
    Same,
    /// A member of a cluster says that the stream went back. The other members may disagree.
    Doubtful(String),
    /// It is another stream, or lost its end.
    Lost(String),
}

/// Since when a stream has contradicted what was seen of it, in the words of one member.
#[derive(Debug, Default)]
pub(crate) struct Doubt(Option<Since>);

#[derive(Debug)]
struct Since {
    began: Instant,
    /// The member that leads the stream. Another leader may know more.
    leader: Option<String>,
}

impl Doubt {
    /// Believes a stream with one replica at once. In a cluster, a member still acts as the leader for seconds after it
    /// was cut off, and for a moment after it was paused. A new leader lacks the end of the stream until most members
    /// follow it. A contradiction is believed only after the same leader has kept to it for [`GONE_AFTER`], and only if
    /// most members follow it and have all that it has.
    pub(crate) fn judge(&mut self, info: &stream::Info, contradiction: Option<String>) -> Verdict {
        let Some(reason) = contradiction else {
            self.0 = None;
            return Verdict::Same;
        };
        if info.config.num_replicas <= 1 {
            return Verdict::Lost(reason);
        }
        let leader = info.cluster.as_ref().and_then(|cluster| cluster.leader.clone());
        let since = match self.0.take().filter(|since| since.leader == leader) {
            Some(since) => since,
            None => Since { began: Instant::now(), leader },
        };
        let is_steady = since.began.elapsed() > GONE_AFTER;
        self.0 = Some(since);
        if has_quorum(info) && is_steady { Verdict::Lost(reason) } else { Verdict::Doubtful(reason) }
    }
}

/// Whether most members follow the one that answered, and are not behind. A leader that is cut off, or that has not led
/// anything yet, knows less than the others.
fn has_quorum(info: &stream::Info) -> bool {
    let Some(cluster) = &info.cluster else { return true };
    let seen =
        cluster.replicas.iter().filter(|peer| peer.current && !peer.offline && peer.active < SEEN_WITHIN).count();
    // The member that answered counts too.
    2 * (seen + 1) > cluster.replicas.len() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(replicas: usize, peers: serde_json::Value) -> stream::Info {
        led_by("nats-0", replicas, peers)
    }

    fn led_by(leader: &str, replicas: usize, peers: serde_json::Value) -> stream::Info {
        let info = serde_json::json!({
            "config": { "name": "CHAT_0", "retention": "limits", "max_consumers": -1, "max_msgs": -1, "max_bytes": -1,
                "max_age": 0, "max_msgs_per_subject": -1, "storage": "file", "discard": "new", "num_replicas": replicas },
            "created": "2026-11-22T12:00:00Z",
            "state": { "messages": 1, "bytes": 0, "consumer_count": 1, "first_seq": 1, "last_seq": 1,
                "first_ts": "2026-11-22T12:00:00Z", "last_ts": "2026-11-22T12:34:56Z" },
            // A standalone server sends this too.
            "cluster": { "leader": leader, "replicas": peers },
        });
        serde_json::from_value(info).unwrap()
    }

    #[test]
    fn a_member_that_has_not_heard_of_most_others_lately_speaks_for_itself_only() {
        let peer = |seconds: f64, offline: bool| {
            let active = (seconds * 1e9) as u64;
            serde_json::json!({ "name": "nats-1", "current": true, "active": active, "offline": offline })
        };
        for (peers, expected) in [
            (vec![], true),
            (vec![peer(0.4, false), peer(0.9, false)], true),
            (vec![peer(0.4, false), peer(60.0, true)], true),
            (vec![peer(3.1, false), peer(4.0, false)], false),
            (vec![peer(0.1, true), peer(0.1, true)], false),
            (vec![peer(0.4, false), peer(9.0, false), peer(9.0, false), peer(9.0, false)], false),
            (vec![peer(0.4, false), peer(0.4, false), peer(9.0, false), peer(9.0, false)], true),
            // Two of four are no majority.
            (vec![peer(0.4, false), peer(9.0, false), peer(9.0, false)], false),
        ] {
            assert_eq!(has_quorum(&info(3, peers.clone().into())), expected, "{peers:?}");
        }
    }

    #[test]
    fn a_server_on_its_own_is_believed_at_once_and_a_member_of_a_cluster_after_a_while() {
        let reason = || Some("it went back".to_owned());
        let mut doubt = Doubt::default();
        let alone = info(1, serde_json::json!([]));
        assert!(matches!(doubt.judge(&alone, None), Verdict::Same));
        assert!(matches!(doubt.judge(&alone, reason()), Verdict::Lost(_)));
        let member = info(3, serde_json::json!([]));
        assert!(matches!(doubt.judge(&member, reason()), Verdict::Doubtful(_)));
        make_old(&mut doubt);
        assert!(matches!(doubt.judge(&member, reason()), Verdict::Lost(_)));
        assert!(matches!(doubt.judge(&member, None), Verdict::Same));
        assert!(matches!(doubt.judge(&member, reason()), Verdict::Doubtful(_)), "it begins anew");
    }
    #[test]
    fn a_member_that_has_just_become_the_leader_or_is_followed_by_nobody_yet_is_not_believed() {
        let reason = || Some("it went back".to_owned());
        let peers = |is_current: bool| {
            let peer =
                serde_json::json!({ "name": "nats-1", "current": is_current, "active": 1_000, "offline": false });
            serde_json::json!([peer, peer])
        };
        let mut doubt = Doubt::default();
        assert!(matches!(doubt.judge(&led_by("nats-0", 3, peers(true)), reason()), Verdict::Doubtful(_)));
        make_old(&mut doubt);
        assert!(matches!(doubt.judge(&led_by("nats-0", 3, peers(false)), reason()), Verdict::Doubtful(_)));
        assert!(matches!(doubt.judge(&led_by("nats-2", 3, peers(true)), reason()), Verdict::Doubtful(_)));
        make_old(&mut doubt);
        assert!(matches!(doubt.judge(&led_by("nats-2", 3, peers(true)), reason()), Verdict::Lost(_)));
    }

    fn make_old(doubt: &mut Doubt) {
        doubt.0.as_mut().unwrap().began = Instant::now() - GONE_AFTER - Duration::from_millis(1);
    }
}
