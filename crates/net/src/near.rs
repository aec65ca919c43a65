//! Connections within this machine.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsFd,
    sync::OnceLock,
};

use rustix::net::sockopt::{set_tcp_congestion, set_tcp_nodelay, tcp_congestion};
use rustix::net::{AddressFamily, SocketType, getpeername, getsockname, socket};
use tokio::net::{TcpSocket, TcpStream};

// Where the system's choice is BBR, a timer lets one segment after the other go, at a rate that it estimates: a third of what
// it costs to send large content to a neighbour (`tests/benches/BENCHMARKS.md`). There is no network to spare on this machine.
// The kernel goes on pacing a connection that BBR has begun, whatever it is given later. So all begin without, and those
// whose other end is elsewhere are given the system's choice once that is known.

/// Connects to a server, from the address `bind` if one is given; what stays on this machine leaves unpaced.
pub async fn connect(address: SocketAddr, bind: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(ip) = bind
        && ip.is_ipv4() == address.is_ipv4()
    {
        socket.bind(SocketAddr::new(ip, 0))?;
    }
    begin_unpaced(&socket);
    let stream = socket.connect(address).await?;
    prepare(&stream)?;
    Ok(stream)
}

/// Connections begin without pacing, those that this listening socket accepts as well. [`prepare`] ends this.
pub(crate) fn begin_unpaced(socket: impl AsFd) {
    // Every kernel has this algorithm, and everybody may choose it.
    let _ = set_tcp_congestion(socket, UNPACED);
}

/// Prepares a connection that has just been made: messages leave at once, and those to other machines as the system says.
///
/// Returns whether both ends are on this machine.
pub fn prepare(socket: impl AsFd) -> io::Result<bool> {
    set_tcp_nodelay(&socket, true)?;
    let near = is_near(&socket);
    if near {
        begin_unpaced(&socket);
    } else if let Some(choice) = choice_of_the_system() {
        set_tcp_congestion(&socket, choice)?;
    }
    Ok(near)
}

/// The congestion control of connections that ask for none, as it was when the first one came from elsewhere.
fn choice_of_the_system() -> Option<&'static str> {
    static CHOICE: OnceLock<Option<String>> = OnceLock::new();
    let ask = || tcp_congestion(socket(AddressFamily::INET, SocketType::STREAM, None).ok()?).ok();
    CHOICE.get_or_init(ask).as_deref()
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
    use rustix::net::sockopt::tcp_nodelay;

    use super::*;
    use crate::listen_here;

    #[tokio::test]
    async fn what_stays_on_this_machine_is_not_paced() {
        for ip in ["127.0.0.1", "127.0.0.2", "::1"] {
            // Not every machine has the newer protocol.
            let Ok(listener) = listen_here(SocketAddr::new(ip.parse().unwrap(), 0)) else { continue };
            let near = connect(listener.local_addr().unwrap(), None).await.unwrap();
            let (far, _) = listener.accept().await.unwrap();
            // It has begun with it: to be given it later would not stop the timer of another.
            assert_eq!(tcp_congestion(&far).unwrap(), UNPACED);
            assert!(prepare(&far).unwrap(), "{ip}");
            for end in [near, far] {
                assert_eq!(tcp_congestion(&end).unwrap(), UNPACED);
                assert!(tcp_nodelay(&end).unwrap());
            }
        }
    }
}
