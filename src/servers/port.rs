//! Ports of the loopback interface.

use std::net::{Ipv4Addr, TcpListener};

/// Whether a server could listen there now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Below the range from which the kernel takes ports for outgoing connections (32,768 on Linux): a port from here
/// stays free while its server is down.
const UNCLAIMED: std::ops::Range<u16> = 20_000..32_000;

/// A free port for which `take` says yes. Begins anywhere, so that processes that search at once rarely meet.
pub fn free(mut take: impl FnMut(u16) -> bool) -> u16 {
    let anywhere = (uuid::Uuid::new_v4().as_u128() % UNCLAIMED.len() as u128) as usize;
    UNCLAIMED
        .cycle()
        .skip(anywhere)
        .find(|port| is_free(*port) && take(*port))
        .expect("an endless search ends with a port")
}

/// The port itself if it is free, else one that is.
pub fn or_free(port: u16) -> u16 {
    if is_free(port) { port } else { free(|_| true) }
}
