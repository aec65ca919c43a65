//! Who asks, through proxies that are trusted.

use std::net::IpAddr;

use fdfs_types::Network;
use http::HeaderMap;

/// The address of the client: of the peer, or, where that is a trusted proxy, the last one of `X-Forwarded-For` that is none;
/// without that header the one of `X-Real-IP`.
pub(super) fn client_address(peer: IpAddr, trusted: &[Network], headers: &HeaderMap) -> IpAddr {
    let trusts = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    let values = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut hops: Vec<&str> = values("x-forwarded-for").flat_map(|value| value.split(',')).collect();
    if hops.is_empty() {
        hops.extend(values("x-real-ip"));
    }
    for hop in hops.iter().rev() {
        let Some(address) =
            Some(client).filter(|ip| trusts(*ip)).and_then(|_| hop.trim().parse::<IpAddr>().ok())
        else {
            break;
        };
        client = address.to_canonical();
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_says_for_whom_it_asks() {
        let headers = |pairs: &[(&'static str, &str)]| -> HeaderMap {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
        };
        let client = |trusted: &[&str], sent: &HeaderMap| {
            let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().unwrap()).collect();
            client_address("127.0.0.9".parse().unwrap(), &trusted, sent).to_string()
        };
        let sent = headers(&[("x-forwarded-for", "9.9.9.9, 192.0.2.7, 10.0.0.1"), ("x-real-ip", "1.1.1.1")]);
        assert_eq!(client(&[], &sent), "127.0.0.9");
        assert_eq!(client(&["127.0.0.9"], &sent), "10.0.0.1");
        assert_eq!(client(&["127.0.0.9", "10.0.0.0/8"], &sent), "192.0.2.7");
        let real = headers(&[("x-real-ip", "192.0.2.7")]);
        assert_eq!(client(&["127.0.0.9"], &real), "192.0.2.7");
        assert_eq!(client(&[], &real), "127.0.0.9");
        assert_eq!(client(&["127.0.0.9"], &headers(&[("x-forwarded-for", "nobody")])), "127.0.0.9");
    }
}
