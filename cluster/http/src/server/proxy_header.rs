//! The header by which a proxy says for whom it connects: the PROXY protocol, versions 1 and 2.
//!
//! ```text
//! PROXY TCP4 192.0.2.7 198.51.100.1 51234 8000\r\n        or TCP6, or UNKNOWN and anything
//!
//!  0                    12          13       14       16
//!  | \r\n\r\n\0\r\nQUIT\n | 2, command | family | length | source, destination, ports, more ... |
//! ```
//!
//! Nothing behind the header is read: what follows may be a handshake.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// Reads the header: the client that it names, or `None` where it names none.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut start = [0; START];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE {
        return read_binary(stream).await;
    }
    if !start.starts_with(b"PROXY ") {
        return Err(refused("a connection from this proxy begins with no PROXY header"));
    }
    let mut line = start.to_vec();
    let mut available = [0; LONGEST_LINE];
    while !line.ends_with(b"\n") {
        let room = LONGEST_LINE - line.len();
        let seen = stream.peek(&mut available[..room]).await?;
        let end = available[..seen].iter().position(|byte| *byte == b'\n').map_or(seen, |at| at + 1);
        if end == 0 {
            return Err(refused("the PROXY header does not end"));
        }
        stream.read_exact(&mut available[..end]).await?;
        line.extend_from_slice(&available[..end]);
    }
    parse_line(&line)
}

async fn read_binary(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if length > MOST_BINARY {
        return Err(refused("the PROXY header is too long"));
    }
    let mut rest = [0; MOST_BINARY];
    stream.read_exact(&mut rest[..length]).await?;
    parse_binary(head[0], head[1], &rest[..length])
}

/// Version 1.
fn parse_line(line: &[u8]) -> io::Result<Option<SocketAddr>> {
    let bad = || refused("the PROXY header is none");
    let line = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok()).ok_or_else(bad)?;
    let words: Vec<&str> = line.split(' ').collect();
    let (ip, is_family): (IpAddr, fn(&IpAddr) -> bool) = match words[..] {
        ["PROXY", "UNKNOWN", ..] => return Ok(None),
        ["PROXY", "TCP4", ip, _, _, _] => (ip.parse().map_err(|_| bad())?, IpAddr::is_ipv4),
        ["PROXY", "TCP6", ip, _, _, _] => (ip.parse().map_err(|_| bad())?, IpAddr::is_ipv6),
        _ => return Err(bad()),
    };
    let other: IpAddr = words[3].parse().map_err(|_| bad())?;
    let ports: Result<Vec<u16>, _> = words[4..].iter().map(|port| port.parse()).collect();
    let ports = ports.map_err(|_| bad())?;
    if !is_family(&ip) || !is_family(&other) {
        return Err(bad());
    }
    Ok(Some(SocketAddr::new(ip, ports[0])))
}

/// Version 2, what stands behind the signature. Families that are no TCP name nobody.
fn parse_binary(command: u8, family: u8, rest: &[u8]) -> io::Result<Option<SocketAddr>> {
    let is_named = match command {
        0x20 => false,
        0x21 => true,
        _ => return Err(refused("the PROXY header has another version, or an unknown command")),
    };
    let short = || refused("the PROXY header is cut short");
    let port = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    let client = match family {
        0x11 => {
            let ip: [u8; 4] = rest.get(..12).ok_or_else(short)?[..4].try_into().map_err(|_| short())?;
            SocketAddr::new(Ipv4Addr::from(ip).into(), port(8))
        }
        0x21 => {
            let ip: [u8; 16] = rest.get(..36).ok_or_else(short)?[..16].try_into().map_err(|_| short())?;
            SocketAddr::new(Ipv6Addr::from(ip).into(), port(32))
        }
        _ => return Ok(None),
    };
    Ok(is_named.then_some(client))
}

fn refused(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// The first bytes of either version; no header is shorter.
const START: usize = 12;
const SIGNATURE: [u8; START] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Longest header of version 1.
const LONGEST_LINE: usize = 107;
/// Longest header of version 2 that is read, without its first 16 bytes.
const MOST_BINARY: usize = 2048;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// What a connection that begins so is told, and what is left of it.
    async fn told(bytes: &[u8]) -> (io::Result<Option<SocketAddr>>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut theirs, _) = listener.accept().await.unwrap();
        ours.write_all(bytes).await.unwrap();
        ours.shutdown().await.unwrap();
        let result = read(&mut theirs).await;
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).await.unwrap();
        (result, rest)
    }

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0xC8, 0x22, 0x1F, 0x40];

    #[tokio::test]
    async fn a_header_names_the_client_and_what_follows_stays() {
        let mut v6 = [0; 36 + 7];
        v6[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
        v6[32..34].copy_from_slice(&51234u16.to_be_bytes());
        let cases = [
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 8000\r\n".to_vec(), Some("192.0.2.7:51234")),
            (b"PROXY TCP6 2001:db8::7 2001:db8::1 51234 8000\r\n".to_vec(), Some("[2001:db8::7]:51234")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN what ever\r\n".to_vec(), None),
            (binary(0x21, 0x11, &V4), Some("192.0.2.7:51234")),
            (binary(0x21, 0x21, &v6), Some("[2001:db8::7]:51234")),
            (binary(0x20, 0x11, &V4), None),
            (binary(0x20, 0, &[]), None),
            (binary(0x21, 0x31, &[0; 216]), None),
        ];
        for (header, client) in cases {
            let (result, rest) = told(&[&header[..], b"GET / HTTP/1.1\r\n"].concat()).await;
            assert_eq!(result.unwrap(), client.map(|client| client.parse().unwrap()), "{header:?}");
            assert_eq!(rest, b"GET / HTTP/1.1\r\n");
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        let cases = [
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 51234\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 8000\n".to_vec(),
            b"PROXY TCP4 2001:db8::7 2001:db8::1 51234 8000\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 80000\r\n".to_vec(),
            b"PROXY TCP5 192.0.2.7 198.51.100.1 51234 8000\r\n".to_vec(),
            [&b"PROXY TCP4 "[..], &[b' '; 200], b"\r\n"].concat(),
            b"PROXY TCP4 192.0.2.7".to_vec(),
            binary(0x31, 0x11, &V4),
            binary(0x22, 0x11, &V4),
            binary(0x21, 0x11, &V4[..11]),
            binary(0x21, 0x21, &V4),
            binary(0x21, 0x11, &[0; 3000]),
            binary(0x21, 0x11, &V4)[..20].to_vec(),
        ];
        for bytes in cases {
            assert!(told(&bytes).await.0.is_err(), "{bytes:?}");
        }
    }
}
