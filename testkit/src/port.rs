//! Ports of the loopback interface.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;
use parking_lot::Mutex;
use socket2::{Domain, Socket, Type};

/// Whether a server could listen there now.
///
/// Does not listen itself: a child that is being started has a copy of every socket of this process until its program
/// begins, and a listening one would keep the port.
pub fn is_free(port: u16) -> bool {
    let bind = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())
    };
    bind().is_ok()
}

/// Below the kernel's range for outgoing connections, which begins at 32,768 on Linux. A port of this range stays free
/// while its server is down.
const UNCLAIMED: std::ops::Range<u16> = 20_000..32_000;

/// Ports that are reserved at a time.
const BLOCK: u16 = 100;

/// The ports that this process has reserved.
struct Own {
    /// Not handed out yet.
    ports: std::ops::Range<u16>,
    /// Held until the process ends. Other processes skip a locked block, even while nothing listens there.
    locks: Vec<File>,
}

/// A free port that no other process of this user gets before this one ends. So a server finds it free again after it
/// was down.
pub fn own() -> anyhow::Result<u16> {
    static OWN: Mutex<Own> = Mutex::new(Own { ports: 0..0, locks: Vec::new() });
    let mut own = OWN.lock();
    loop {
        if let Some(port) = own.ports.find(|port| is_free(*port)) {
            return Ok(port);
        }
        let folder = folder()?;
        let blocks = usize::from((UNCLAIMED.end - UNCLAIMED.start) / BLOCK);
        // Starts at a random block, so that concurrent processes rarely collide.
        let anywhere = (uuid::Uuid::new_v4().as_u128() % blocks as u128) as usize;
        let block = UNCLAIMED.step_by(BLOCK.into()).cycle().skip(anywhere).take(blocks).find_map(|first| {
            let lock = File::create(folder.join(first.to_string())).ok()?;
            lock.try_lock().ok().map(|()| (first, lock))
        });
        let (first, lock) = block.context("other processes have reserved all ports from 20000 to 32000")?;
        own.ports = first..first + BLOCK;
        own.locks.push(lock);
    }
}

/// The port if it is free and no other process of this user has got it here, else one that [`own`] reserves. Either is
/// kept from others until this process ends: while a server is down, its port looks free.
pub fn or_own(port: u16) -> anyhow::Result<u16> {
    static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let lock = folder()?.join(format!("preferred-{port}"));
    let lock = File::create(&lock).with_context(|| format!("cannot write {}", lock.display()))?;
    if lock.try_lock().is_err() || !is_free(port) {
        return own();
    }
    HELD.lock().push(lock);
    Ok(port)
}

/// Where the locks are.
fn folder() -> anyhow::Result<PathBuf> {
    let folder = crate::fetch::cache()?.join("ports");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn every_port_is_given_once_and_kept_from_others() {
        let ports: HashSet<u16> = (0..3 * BLOCK).map(|_| own().unwrap()).collect();
        assert_eq!(ports.len(), usize::from(3 * BLOCK));
        let folder = folder().unwrap();
        for port in ports {
            let first = port - port % BLOCK;
            let again = File::create(folder.join(first.to_string())).unwrap().try_lock();
            assert!(again.is_err(), "the block of port {port} could be taken by another process");
        }
    }

    #[test]
    fn a_preferred_port_is_given_once_although_nothing_listens_there() {
        let port = own().unwrap();
        assert_eq!(or_own(port).unwrap(), port);
        assert_ne!(or_own(port).unwrap(), port);
    }

    #[test]
    fn a_port_is_taken_while_a_server_listens_there_and_not_while_another_asks() {
        let port = own().unwrap();
        let asking = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        asking.set_reuse_address(true).unwrap();
        asking.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).unwrap();
        assert!(is_free(port));
        let listening = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!is_free(port));
        drop(listening);
        // A child that another test is starting has the socket until it runs its program.
        let until = Instant::now() + Duration::from_secs(10);
        while !is_free(port) {
            assert!(Instant::now() < until, "nobody listens on port {port}");
            std::thread::yield_now();
        }
    }
}
