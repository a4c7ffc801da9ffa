//! Network faults: connections that are reset, half-open in both directions or one, slow, or refused, for one node or
//! all of a kind, and members of a cluster that the others cannot reach.

use std::time::Duration;

use fastrand::Rng;
use testkit::Direction;

use super::Making;
use super::fault::Fault;
use crate::system::Link;

impl Making<'_> {
    pub(super) async fn cut(&self, link: &str, rng: &mut Rng) {
        let link = self.link(link, rng);
        self.breaks(vec![link.part.clone()]);
        for _ in 0..rng.u32(1..6) {
            link.proxy.cut();
            tokio::time::sleep(Duration::from_millis(rng.u64(20..400))).await;
        }
    }

    /// Applies the fault for its duration.
    pub(super) async fn disturb(&self, links: Vec<&Link>, rng: &mut Rng) {
        self.breaks(links.iter().map(|link| link.part.clone()).collect());
        let direction = if rng.bool() { Direction::ToServer } else { Direction::ToClient };
        for link in &links {
            match self.fault {
                Fault::Refuse(_) | Fault::RefuseEvery(_) => link.proxy.refuse(),
                Fault::Slow(_) => link.proxy.slow_down(Duration::from_millis(rng.u64(20..400))),
                Fault::OneWay(_) => link.proxy.hold_up_one_way(direction),
                _ => link.proxy.hold_up(),
            }
        }
        self.last().await;
        links.iter().for_each(|link| link.proxy.release());
    }

    pub(super) async fn cut_off(&self, rng: &mut Rng) -> anyhow::Result<()> {
        let server = self.victim(rng).await?.name.clone();
        self.breaks(vec![server.clone()]);
        let (clients_too, silently) = (rng.bool(), rng.bool());
        let is_cut = |link: &&Link| {
            let is_route = link.name == "nats to nats";
            link.to == server && (is_route || clients_too) || is_route && link.part == server
        };
        let links: Vec<&Link> = self.system.links.iter().filter(is_cut).collect();
        // One-way: some members hear the others and are not heard.
        let one_way = silently && rng.bool();
        for link in &links {
            match (silently, one_way, link.part == server) {
                (true, true, true) => link.proxy.hold_up_one_way(Direction::ToServer),
                (true, true, false) => link.proxy.hold_up_one_way(Direction::ToClient),
                (true, false, _) => link.proxy.hold_up(),
                (false, ..) => link.proxy.refuse(),
            }
        }
        self.last().await;
        links.iter().for_each(|link| link.proxy.release());
        Ok(())
    }
}
