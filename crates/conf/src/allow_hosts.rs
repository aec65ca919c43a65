//! `allow_hosts`: who may connect.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::host_pattern::expand;
use crate::keys::{Keys, invalid};
use crate::{ConfError, Entry};

/// Who may connect: everybody, or a list of addresses and networks.
///
/// Host names have to be resolved by the caller, once: it looks up each of [`Self::names`] and
/// hands the answers to [`Self::add`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AllowHosts {
    /// Nothing said, or `*`.
    everybody: bool,
    addresses: HashSet<IpAddr>,
    networks: Vec<(IpAddr, u8)>,
    names: Vec<String>,
}

impl AllowHosts {
    /// Everybody may connect.
    #[must_use]
    pub fn everybody() -> Self {
        Self { everybody: true, ..Self::default() }
    }

    /// Adds an address, for example one that a name stands for.
    pub fn add(&mut self, address: IpAddr) {
        self.addresses.insert(address.to_canonical());
    }

    /// Whether a peer may connect. An IPv4 peer on an IPv6 socket counts as IPv4.
    #[must_use]
    pub fn allows(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.everybody
            || self.addresses.contains(&peer)
            || self.networks.iter().any(|(network, bits)| contains(*network, *bits, peer))
    }

    /// Whether everybody may connect.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        self.everybody
    }

    /// Host names that the caller has to resolve.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Reads every `allow_hosts` line; without one everybody may connect.
    pub(crate) fn read(keys: &Keys<'_>) -> Result<Self, ConfError> {
        let mut hosts = Self { everybody: keys.get("allow_hosts").is_none(), ..Self::default() };
        for entry in keys.all("allow_hosts") {
            hosts.add_line(entry)?;
        }
        Ok(hosts)
    }

    fn add_line(&mut self, entry: &Entry) -> Result<(), ConfError> {
        let value = &*entry.value;
        if value == "*" {
            self.everybody = true;
        } else if let Ok(address) = value.parse() {
            self.add(address);
        } else if let Some((address, bits)) = value.split_once('/') {
            let network = address.trim().parse().ok().zip(bits.trim().parse().ok());
            let network = network.filter(|(address, bits)| *bits <= width(*address));
            self.networks.push(network.ok_or_else(|| {
                invalid(entry, "a network is ADDRESS/BITS, for example 192.168.0.0/16 or fd00::/8")
            })?);
        } else {
            let help = "an address, a network, a name, or a range like 10.0.1.[1-15,20] is needed";
            let texts = expand(value, MAX_EXPANDED).filter(|texts| texts.iter().all(|text| is_host(text)));
            for text in texts.ok_or_else(|| invalid(entry, help))? {
                match text.parse() {
                    Ok(address) => self.add(address),
                    Err(_) => self.names.push(text),
                }
            }
        }
        Ok(())
    }
}

/// Whether `peer` lies in a network; never between IPv4 and IPv6.
fn contains(network: IpAddr, bits: u8, peer: IpAddr) -> bool {
    let (network, peer, width) = match (network, peer) {
        (IpAddr::V4(network), IpAddr::V4(peer)) => {
            (u128::from(network.to_bits()), u128::from(peer.to_bits()), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(peer)) => (network.to_bits(), peer.to_bits(), 128),
        _ => return false,
    };
    (network ^ peer).checked_shr(width - u32::from(bits)).unwrap_or(0) == 0
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Whether a text can be a host name. One of digits and dots only is a mistyped address.
fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
        || (!text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
            && text.bytes().any(|byte| byte.is_ascii_alphabetic()))
}

/// Most addresses or names that one line stands for.
const MAX_EXPANDED: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::ConfFile;

    fn hosts(lines: &[&str]) -> Result<AllowHosts, ConfError> {
        let text: String = lines.iter().map(|line| format!("allow_hosts = {line}\n")).collect();
        let file = ConfFile::parse(Path::new("t.conf"), text.as_bytes())?;
        let mut hosts = AllowHosts::default();
        file.all("", "allow_hosts").try_for_each(|entry| hosts.add_line(entry))?;
        Ok(hosts)
    }

    fn allows(hosts: &AllowHosts, peer: &str) -> bool {
        hosts.allows(peer.parse().expect("an address"))
    }

    #[test]
    fn every_notation_lets_its_hosts_in_and_no_others() {
        for (line, inside, outside) in [
            ("*", &["1.2.3.4", "::1"][..], &[][..]),
            ("10.0.1.5", &["10.0.1.5", "::ffff:10.0.1.5"], &["10.0.1.6", "::1"]),
            ("10.0.1.0/24", &["10.0.1.0", "10.0.1.255"], &["10.0.2.0", "::a00:100"]),
            ("10.0.1.[1-15,20]", &["10.0.1.1", "10.0.1.15", "10.0.1.20"], &["10.0.1.16", "10.0.1.0"]),
            ("fd00::/8", &["fd12::1"], &["fe00::1", "10.0.0.1"]),
            ("::/0", &["fe00::1"], &["10.0.0.1"]),
            ("fd00::7", &["fd00::7"], &["fd00::8"]),
        ] {
            let hosts = hosts(&[line]).expect(line);
            assert!(inside.iter().all(|peer| allows(&hosts, peer)), "{line}");
            assert!(!outside.iter().any(|peer| allows(&hosts, peer)), "{line}");
        }
    }

    #[test]
    fn names_wait_for_the_callers_resolver() {
        let mut hosts = hosts(&["host[01-02].example", "10.0.0.1"]).expect("a list");
        assert_eq!(hosts.names(), ["host01.example", "host02.example"]);
        assert!(!allows(&hosts, "10.0.0.9"));
        hosts.add("10.0.0.9".parse().expect("an address"));
        assert!(allows(&hosts, "10.0.0.9") && allows(&hosts, "10.0.0.1"));
    }

    #[test]
    fn a_mistyped_line_is_an_error_that_names_it() {
        for line in
            ["10.0.1.0/33", "10.0.1/24", "10.0.1.[1-", "10.0.1.[5-300]", "1.2.3", "a b", "h[1-9999999]"]
        {
            let error = hosts(&["10.0.0.1", line]).expect_err(line);
            assert!(error.to_string().starts_with("t.conf:2: allow_hosts = "), "{error}");
            assert_eq!(error.errno(), 22);
        }
    }
}
