//! The clusters of the recording.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fdfs_tests::{ClusterConfig, StorageConfig};

/// Two storages with two paths each, addresses in names; the second one distributes by hash.
pub(crate) fn two_storages() -> ClusterConfig {
    let mut config = base(v4(2));
    config.storages = vec![storage(v4(2), "group1"), storage(v4(3), "group1")];
    config.storages[1].lines.push_str("file_distribute_path_mode=1\n");
    config
}

/// Storage ids, trunk files, wide address fields, a second group.
pub(crate) fn ids_and_trunk() -> ClusterConfig {
    let mut config = base(v4(2));
    config.tracker_lines.push_str(
        "id_type_in_filename=id\nresponse_ip_addr_size=IPv6\nuse_trunk_file=true\nslot_max_size=1MB\n\
         trunk_file_size=4MB\ntrunk_alloc_alignment_size=256\n",
    );
    config.storage_ids = Some(
        "100001 group1 127.0.0.2:23201\n100002 group1 127.0.0.3:23201\n100003 group2 127.0.0.4:23201\n"
            .into(),
    );
    config.storages = vec![storage(v4(2), "group1"), storage(v4(3), "group1"), storage(v4(4), "group2")];
    config
}

/// Storage ids with addresses in names, linked slaves, one storage that is only read.
pub(crate) fn ids_and_links() -> ClusterConfig {
    let mut config = base(v4(2));
    config.tracker_lines.push_str("id_type_in_filename=ip\nstore_path=2\nstore_slave_file_use_link=true\n");
    config.storage_ids = Some("7 group1 127.0.0.2:23201\n8 group1 127.0.0.3:23201 rw=read\n".into());
    config.storages = vec![storage(v4(2), "group1"), storage(v4(3), "group1")];
    config
}

/// One storage on an IPv6 address; the tracker on both families.
pub(crate) fn ipv6() -> ClusterConfig {
    let address = IpAddr::V6(IPV6_ADDRESS);
    let mut config = base(address);
    config
        .tracker_lines
        .push_str(&format!("bind_addr={},{address}\naddress_family=both\nid_type_in_filename=id\n", v4(2)));
    config.storage_ids = Some(format!("9000001 group1 [{address}]:{STORAGE_PORT}\n"));
    config.storages = vec![storage(address, "group1")];
    config
}

/// No space left on either storage; the second one refuses clients from other addresses.
pub(crate) fn no_space() -> ClusterConfig {
    let mut config = base(v4(2));
    config.tracker_lines = "store_lookup=0\nreserved_storage_space=1000000000MB\n".into();
    config.storages = vec![storage(v4(2), "group1"), storage(v4(3), "group1")];
    config.storages[1].lines.push_str("allow_hosts=127.0.0.2\n");
    config
}

/// A group whose name fills its field.
pub(crate) fn long_group_name() -> ClusterConfig {
    let mut config = base(v4(2));
    config.tracker_lines = "store_lookup=0\nreserved_storage_space=1%\n".into();
    config.storages = vec![StorageConfig::new(at(v4(2), STORAGE_PORT), "abcdefghijklmnop", 1)];
    config
}

/// The address of the IPv6 cluster; not a loopback address, so it needs a network of its own.
pub(crate) const IPV6_ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xabcd, 0, 1, 0, 0, 0, 0x1234);

fn base(tracker: IpAddr) -> ClusterConfig {
    let mut config = ClusterConfig::new(at(tracker, TRACKER_PORT));
    config.tracker_lines.push_str("store_lookup=0\nreserved_storage_space=1%\n");
    config
}

fn storage(ip: IpAddr, group: &str) -> StorageConfig {
    let mut storage = StorageConfig::new(at(ip, STORAGE_PORT), group, 2);
    storage.lines.push_str("subdir_count_per_path=8\n");
    storage
}

fn v4(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, host))
}

fn at(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip, port)
}

const TRACKER_PORT: u16 = 22201;
const STORAGE_PORT: u16 = 23201;
