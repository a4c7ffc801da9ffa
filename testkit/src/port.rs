//! Ports of the loopback interface.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context as _;
use parking_lot::Mutex;

/// Whether a server could listen there now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Below the range from which the kernel takes ports for outgoing connections (32,768 on Linux): a port from here
/// stays free while its server is down.
const UNCLAIMED: std::ops::Range<u16> = 20_000..32_000;

/// So many ports are taken at a time.
const BLOCK: u16 = 100;

/// The ports that are this process's own.
struct Own {
    /// Not handed out yet.
    ports: std::ops::Range<u16>,
    /// Held until the process ends: who looks for a block passes over the ones that are locked, also while nothing listens.
    locks: Vec<File>,
}

/// A free port that nobody else of this user is given before this process ends. A server may be down for a while, and
/// find it free when it comes back.
pub fn own() -> anyhow::Result<u16> {
    static OWN: Mutex<Own> = Mutex::new(Own { ports: 0..0, locks: Vec::new() });
    let mut own = OWN.lock();
    loop {
        if let Some(port) = own.ports.find(|port| is_free(*port)) {
            return Ok(port);
        }
        let folder = crate::fetch::cache()?.join("ports");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let blocks = usize::from((UNCLAIMED.end - UNCLAIMED.start) / BLOCK);
        // Begins anywhere, so that processes that search at once rarely meet.
        let anywhere = (uuid::Uuid::new_v4().as_u128() % blocks as u128) as usize;
        let block = UNCLAIMED.step_by(BLOCK.into()).cycle().skip(anywhere).take(blocks).find_map(|first| {
            let lock = File::create(folder.join(first.to_string())).ok()?;
            lock.try_lock().ok().map(|()| (first, lock))
        });
        let (first, lock) = block.context("other processes have taken all ports from 20000 to 32000")?;
        own.ports = first..first + BLOCK;
        own.locks.push(lock);
    }
}

/// The port itself if it is free, else one of our own.
pub fn or_own(port: u16) -> anyhow::Result<u16> {
    if is_free(port) { Ok(port) } else { own() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_port_is_given_once_and_kept_from_others() {
        let ports: HashSet<u16> = (0..3 * BLOCK).map(|_| own().unwrap()).collect();
        assert_eq!(ports.len(), usize::from(3 * BLOCK));
        let folder = crate::fetch::cache().unwrap().join("ports");
        for port in ports {
            let first = port - port % BLOCK;
            let again = File::create(folder.join(first.to_string())).unwrap().try_lock();
            assert!(again.is_err(), "the block of port {port} could be taken by another process");
        }
    }
}
