//! Connections within this machine.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use rustix::net::sockopt::{set_tcp_congestion, set_tcp_nodelay};
use rustix::net::{getpeername, getsockname};

/// Prepares a connection that has just been made: messages leave at once, and what stays on this machine leaves unpaced.
///
/// Returns whether both ends are on this machine.
pub fn prepare(socket: impl AsFd) -> io::Result<bool> {
    set_tcp_nodelay(&socket, true)?;
    let near = is_near(&socket);
    if near {
        // Where the system's choice is BBR, a timer lets one segment after the other go, at a rate that it estimates: a third
        // of what it costs to send large content to a neighbour (`tests/benches/BENCHMARKS.md`). There is no network to spare
        // here. Every kernel has this algorithm, and everybody may choose it.
        let _ = set_tcp_congestion(&socket, UNPACED);
    }
    Ok(near)
}

/// Whether both ends of a connection are on this machine: one of the loopback, or somebody who has the address that it came to.
pub fn is_near(socket: impl AsFd) -> bool {
    let address = |any: Option<_>| any.and_then(|any| SocketAddr::try_from(any).ok()).map(|ip| ip.ip());
    let peer = address(getpeername(&socket).ok().flatten());
    let local = address(getsockname(&socket).ok());
    peer.is_some_and(|peer| Some(peer) == local || peer.to_canonical().is_loopback())
}

const UNPACED: &str = "reno";

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use rustix::net::sockopt::{tcp_congestion, tcp_nodelay};

    use super::*;

    #[test]
    fn what_stays_on_this_machine_is_not_paced() {
        for ip in ["127.0.0.1", "127.0.0.2", "::1"] {
            // Not every machine has the newer protocol.
            let Ok(listener) = TcpListener::bind((ip, 0)) else { continue };
            let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (far, _) = listener.accept().unwrap();
            for end in [near, far] {
                assert!(prepare(&end).unwrap(), "{ip}");
                assert_eq!(tcp_congestion(&end).unwrap(), UNPACED);
                assert!(tcp_nodelay(&end).unwrap());
            }
        }
    }
}
