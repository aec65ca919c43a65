//! Under which address the trackers know this storage: one that others can reach, or it does not start.
//!
//! Without storage ids a tracker takes the address that a connection comes from. Where containers, bridges and NAT stand
//! between, that may be an address that means nothing to anybody else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use tracing::warn;

use crate::StorageError;

/// What is known of the machine's network.
#[derive(Debug, Default)]
pub(crate) struct Network {
    routes: Vec<Route>,
}

/// One line of the kernel's table of routes.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Route {
    interface: String,
    destination: u32,
    gateway: Ipv4Addr,
    mask: u32,
}

impl Network {
    /// Reads the kernel's tables. Where they cannot be read nothing is known, and nothing refused.
    pub(crate) fn read() -> Self {
        Self::parse(&std::fs::read_to_string("/proc/net/route").unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let number = |field: &str| u32::from_str_radix(field, 16).ok().map(u32::swap_bytes);
        let route = |line: &str| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let [interface, destination, gateway, _, _, _, _, mask, ..] = fields[..] else { return None };
            Some(Route {
                interface: interface.to_owned(),
                destination: number(destination)?,
                gateway: number(gateway)?.into(),
                mask: number(mask)?,
            })
        };
        Self { routes: text.lines().skip(1).filter_map(route).collect() }
    }

    /// The bridge between containers that an address belongs to.
    fn bridge_of(&self, ip: IpAddr) -> Option<&str> {
        let IpAddr::V4(ip) = ip.to_canonical() else { return None };
        let direct = self.routes.iter().filter(|route| route.gateway.is_unspecified() && route.mask != 0);
        let route = direct.filter(|route| u32::from(ip) & route.mask == route.destination);
        let interface = &route.max_by_key(|route| route.mask)?.interface;
        BRIDGES.iter().any(|prefix| interface.starts_with(prefix)).then_some(interface)
    }

    fn is_gateway(&self, ip: IpAddr) -> bool {
        let is_it =
            |route: &Route| !route.gateway.is_unspecified() && IpAddr::V4(route.gateway) == ip.to_canonical();
        self.routes.iter().any(is_it)
    }
}

/// Whether an address is one of this machine.
pub(crate) fn is_local(ip: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(ip, 0)).is_ok()
}

/// Refuses to be known under an address that was not meant. `seen` is what the trackers have, `advertised` and `bound` what
/// the configuration names.
pub(crate) fn check(
    seen: &[IpAddr],
    advertised: &[IpAddr],
    bound: &[IpAddr],
    network: &Network,
    is_local: impl Fn(IpAddr) -> bool,
) -> Result<(), StorageError> {
    if !advertised.is_empty() {
        if advertised.iter().all(|ip| seen.contains(ip)) {
            return Ok(());
        }
        return Err(StorageError::OtherAddress { seen: list(seen), advertised: list(advertised) });
    }
    for ip in seen.iter().filter(|ip| !bound.contains(ip)) {
        if !is_local(*ip) {
            if network.is_gateway(*ip) {
                return Err(StorageError::GatewayAddress { ip: *ip });
            }
            warn!(
                %ip,
                "the trackers see this storage under an address that this machine does not have: if others can \
                 reach it there, say so with advertise_addr"
            );
        } else if let Some(interface) = network.bridge_of(*ip) {
            return Err(StorageError::BridgeAddress { ip: *ip, interface: interface.to_owned() });
        }
    }
    Ok(())
}

fn list(ips: &[IpAddr]) -> String {
    ips.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(",")
}

/// What the names of bridges between containers and virtual machines begin with.
const BRIDGES: &[&str] = &["docker", "br-", "podman", "cni", "virbr", "lxcbr", "lxdbr", "veth"];

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "\
        Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth0\t0000000A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().expect("address")).collect()
    }

    fn judge(seen: &[&str], advertised: &[&str], bound: &[&str]) -> Result<(), String> {
        let local = ips(&["10.0.0.7", "172.17.0.1", "::1"]);
        let network = Network::parse(ROUTES);
        check(&ips(seen), &ips(advertised), &ips(bound), &network, |ip| local.contains(&ip))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_of_a_bridge_between_containers_is_refused_unless_it_is_meant() {
        assert_eq!(judge(&["10.0.0.7"], &[], &[]), Ok(()));
        assert_eq!(judge(&["::1"], &[], &[]), Ok(()));
        let refused = judge(&["172.17.0.1"], &[], &[]).expect_err("refused");
        assert!(refused.contains("172.17.0.1") && refused.contains("docker0"), "{refused}");
        assert_eq!(judge(&["172.17.0.1"], &["172.17.0.1"], &[]), Ok(()));
        assert_eq!(judge(&["172.17.0.1"], &[], &["172.17.0.1"]), Ok(()));
    }

    #[test]
    fn the_address_of_the_gateway_is_refused_and_that_of_a_nat_is_not() {
        let refused = judge(&["10.0.0.1"], &[], &[]).expect_err("refused");
        assert!(refused.contains("gateway"), "{refused}");
        assert_eq!(judge(&["203.0.113.5"], &[], &[]), Ok(()));
    }

    #[test]
    fn a_storage_is_known_under_what_it_advertises_or_not_at_all() {
        assert_eq!(judge(&["203.0.113.5"], &["203.0.113.5"], &[]), Ok(()));
        assert_eq!(judge(&["10.0.0.7", "203.0.113.5"], &["203.0.113.5"], &[]), Ok(()));
        let refused = judge(&["172.17.0.3"], &["203.0.113.5"], &[]).expect_err("refused");
        assert!(refused.contains("172.17.0.3") && refused.contains("203.0.113.5"), "{refused}");
    }

    #[test]
    fn the_tables_of_this_machine_can_be_read() {
        assert!(is_local(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert!(!is_local(ips(&["203.0.113.5"])[0]));
        assert_eq!(Network::read().bridge_of(IpAddr::V4(Ipv4Addr::LOCALHOST)), None);
    }
}
