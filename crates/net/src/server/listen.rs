//! Listening sockets.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::near;

/// Opens a listening socket, whose connections are to be [prepared](crate::prepare). An IPv6 wildcard address takes IPv4 clients too if `dual` is set.
pub fn listen(address: SocketAddr, dual: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!dual)?;
    }
    near::begin_unpaced(&socket);
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The same, to be accepted from by the runtime of the caller. An IPv6 wildcard address takes IPv4 clients, too.
pub fn listen_here(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let listener = listen(address, true)?;
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

/// Clients that may wait to be accepted, if the system (`net.core.somaxconn`) allows as many: those of a cluster that begins anew
/// come all at once. Libraries ask for 128.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use std::{fs, net::TcpStream, time::Duration};

    use super::*;

    #[tokio::test]
    async fn hundreds_of_clients_connect_before_the_first_is_accepted() {
        let allowed = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let clients = allowed.trim().parse::<usize>().unwrap().min(300);
        let listener = listen_here(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_secs(60));
        let connected: Vec<_> = (0..clients).map(connect).collect::<Result<_, _>>().unwrap();
        let (_, first) = listener.accept().await.unwrap();
        assert_eq!(first, connected[0].local_addr().unwrap());
    }
}
