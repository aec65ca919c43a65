//! The configuration, in the terms of the parts that a storage is made of.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fdfs_conf::{
    AddressFamily, ClusterParameters, DistributeMode, ReservedSpace, SignatureMethod as ConfiguredMethod,
    StorageConfig, StorePathChoice,
};
use fdfs_net::{PoolConfig, SharedSecret};
use fdfs_store::{
    Distribution, PathSelection, Policy, Reserve, SignatureMethod, StoreOptions, StorePathOptions,
};
use fdfs_types::Source;

use crate::{tracker::is_local, trunk};

/// Every address to listen on, and whether it takes IPv4 clients on IPv6.
pub(crate) fn listen_addresses(config: &StorageConfig) -> Vec<(SocketAddr, bool)> {
    let mut addresses = Vec::new();
    for listener in &config.listeners {
        let with_port = |ip: IpAddr| SocketAddr::new(ip, listener.port);
        match (&listener.addresses[..], config.address_family) {
            ([], AddressFamily::Auto | AddressFamily::Ipv4) => {
                addresses.push((with_port(Ipv4Addr::UNSPECIFIED.into()), false));
            }
            ([], family) => {
                addresses.push((with_port(Ipv6Addr::UNSPECIFIED.into()), family == AddressFamily::Both));
            }
            (ips, _) => addresses.extend(ips.iter().map(|ip| (with_port(*ip), false))),
        }
    }
    addresses
}

/// Outgoing connections leave from the address that is listened on, if that is one and so configured; else from the
/// one that the storage is to be known by, if it is one of this machine.
pub(crate) fn pool_config(config: &StorageConfig, secret: Option<SharedSecret>) -> PoolConfig {
    let bind = match config.listeners.first().map(|listener| &listener.addresses[..]) {
        Some([ip, ..]) if config.client_bind => Some(*ip),
        _ => config.advertise.iter().copied().find(|ip| is_local(*ip)),
    };
    PoolConfig {
        connect_timeout: config.connect_timeout,
        network_timeout: config.network_timeout,
        bind,
        secret,
        max_idle_time: config.connection_pool_max_idle_time,
        ..PoolConfig::default()
    }
}

pub(crate) fn store_options(config: &StorageConfig, ips: &[IpAddr], port: u16) -> StoreOptions {
    // The real policy is put in when the trackers have told it.
    let source = Source::Ip(Ipv4Addr::UNSPECIFIED);
    let ips: Vec<String> = ips.iter().map(IpAddr::to_string).collect();
    StoreOptions {
        store_paths: config
            .store_paths
            .iter()
            .map(|path| StorePathOptions { path: path.path.clone(), read_only: path.is_readonly })
            .collect(),
        subdir_count: config.subdir_count_per_path.into(),
        distribution: match config.distribute {
            DistributeMode::RoundRobin { rotate_count } => Distribution::RoundRobin { rotate_count },
            DistributeMode::Hash => Distribution::Hash,
        },
        check_store_path_mark: config.check_store_path_mark,
        ip_addr: ips.join(","),
        port,
        tombstones_kept: config.tombstones_kept,
        fsync_after_written_bytes: config.fsync_after_written_bytes.unwrap_or(0),
        deduplicate: config.deduplication.as_ref().map(|deduplication| match deduplication.method {
            ConfiguredMethod::Hash => SignatureMethod::Hash,
            ConfiguredMethod::Md5 => SignatureMethod::Md5,
        }),
        ..StoreOptions::new(&config.base_path, source)
    }
}

/// What the trackers prescribe for new files.
pub(crate) fn policy(parameters: &ClusterParameters, source: Source) -> Policy {
    Policy {
        source,
        store_path: match parameters.store_path {
            StorePathChoice::RoundRobin => PathSelection::RoundRobin,
            StorePathChoice::MostFree => PathSelection::LoadBalance,
        },
        reserve: match parameters.reserved_space {
            ReservedSpace::Megabytes(megabytes) => Reserve::Megabytes(megabytes),
            ReservedSpace::Millionths(part) => Reserve::Ratio(f64::from(part) / 1_000_000.0),
        },
        trunk: trunk::policy(&parameters.trunk),
    }
}

#[cfg(test)]
mod tests {
    use fdfs_conf::Listener;

    use super::*;

    fn config(listeners: &[(&[&str], u16)], family: AddressFamily) -> StorageConfig {
        let trackers = vec!["10.0.0.1:22122".parse().expect("tracker")];
        let mut config = StorageConfig::new("group1".parse().expect("group"), "/data", trackers);
        let ip = |text: &&str| text.parse().expect("address");
        let one =
            |(ips, port): &(&[&str], u16)| Listener { addresses: ips.iter().map(ip).collect(), port: *port };
        config.listeners = listeners.iter().map(one).collect();
        config.address_family = family;
        config
    }

    #[test]
    fn every_configured_address_is_listened_on_and_none_means_all() {
        let all: &[&str] = &[];
        for (listeners, family, expected) in [
            (&[(all, 23000)][..], AddressFamily::Auto, &[("0.0.0.0:23000", false)][..]),
            (&[(all, 23000)], AddressFamily::Ipv6, &[("[::]:23000", false)]),
            (&[(all, 23000)], AddressFamily::Both, &[("[::]:23000", true)]),
            (
                &[(&["10.0.0.2", "fd00::2"], 23000), (&["203.0.113.2"], 24000)],
                AddressFamily::Auto,
                &[("10.0.0.2:23000", false), ("[fd00::2]:23000", false), ("203.0.113.2:24000", false)],
            ),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(text, dual)| (text.parse().expect("address"), *dual)).collect();
            assert_eq!(listen_addresses(&config(listeners, family)), expected);
        }
    }

    #[test]
    fn outgoing_connections_leave_from_the_listening_address_if_so_configured() {
        let mut config = config(&[(&["10.0.0.2"], 23000)], AddressFamily::Auto);
        assert_eq!(pool_config(&config, None).bind, Some([10, 0, 0, 2].into()));
        config.client_bind = false;
        assert_eq!(pool_config(&config, None).bind, None);
        config.advertise = vec![[203, 0, 113, 5].into(), [127, 0, 0, 9].into()];
        assert_eq!(pool_config(&config, None).bind, Some([127, 0, 0, 9].into()));
    }

    #[test]
    fn the_trackers_reserve_is_understood_in_both_notations() {
        let parameters = |text| ClusterParameters::from_reply(text).expect("parameters");
        let source = Source::Ip(Ipv4Addr::LOCALHOST);
        let by_size = policy(&parameters("reserved_storage_space=1024MB\nstore_path=2\n"), source);
        assert_eq!(
            (by_size.reserve, by_size.store_path),
            (Reserve::Megabytes(1024), PathSelection::LoadBalance)
        );
        let by_ratio = policy(&parameters("reserved_storage_space=20.00%\nstore_path=0\n"), source);
        assert_eq!((by_ratio.reserve, by_ratio.store_path), (Reserve::Ratio(0.2), PathSelection::RoundRobin));
    }
}
