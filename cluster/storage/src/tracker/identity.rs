//! What a storage learns from its trackers before it opens its port: who it is and what holds for the cluster.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use fdfs_conf::{ClusterParameters, ConfError, StorageConfig};
use fdfs_net::CallError;
use fdfs_proto::{
    Brief, Request,
    cluster::ReportIpChangedRequest,
    tracker::{
        FetchStorageIdsRequest, GetGroupNameRequest, GetMyIpRequest, GetServerIdRequest, ParametersRequest,
        ParametersResponse, StorageIdEntry,
    },
};
use fdfs_store::Store;
use fdfs_types::{GroupName, ServerId, Source, StorageId};
use tracing::{info, warn};

use super::{
    Tracker,
    advertised::{self, Network, is_local},
};
use crate::StorageError;

/// Who this storage is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Its group.
    pub(crate) group: GroupName,
    /// Its ID: a number, or its address as text.
    pub(crate) id: StorageId,
    /// Its addresses as trackers see them.
    pub(crate) ips: Vec<IpAddr>,
    /// Its port.
    pub(crate) port: u16,
    /// What its file names say about where a file was accepted.
    pub(crate) source: Source,
    /// What holds for the cluster.
    pub(crate) parameters: ClusterParameters,
    /// The table of storage IDs; empty where the cluster has none.
    pub(crate) ids: Vec<StorageIdEntry>,
}

/// The group: from the configuration, else from the trackers.
pub(crate) async fn group(
    config: &StorageConfig,
    port: u16,
    trackers: &[Tracker],
) -> Result<GroupName, StorageError> {
    match &config.group_name {
        Some(group) => Ok(*group),
        None => Ok(ask_any(trackers, &GetGroupNameRequest { ip: None, port }).await?.group),
    }
}

/// My addresses, as the first tracker that answers sees them.
pub(crate) async fn my_ips(
    group: GroupName,
    port: u16,
    trackers: &[Tracker],
) -> Result<Vec<IpAddr>, StorageError> {
    Ok(ask_any(trackers, &GetMyIpRequest { group, port }).await?.ips)
}

impl Identity {
    /// Learns the rest, once group and addresses are known.
    pub(crate) async fn learn(
        group: GroupName,
        mut ips: Vec<IpAddr>,
        port: u16,
        config: &StorageConfig,
        trackers: &[Tracker],
    ) -> Result<Self, StorageError> {
        let read = |answer: ParametersResponse| ClusterParameters::from_reply(&answer.text);
        let parameters = ask_until(trackers, &ParametersRequest, read).await?;
        let ids = if parameters.use_storage_id { fetch_ids(trackers).await? } else { Vec::new() };
        let bound: Vec<IpAddr> =
            config.listeners.iter().flat_map(|listener| listener.addresses.iter().copied()).collect();
        let network = Network::read();
        let id = if parameters.use_storage_id {
            let trusted = config.server_id.filter(|_| parameters.trust_storage_server_id);
            let id = match trusted.or_else(|| own_entry(&ids, group, port, &config.advertise, &bound)) {
                Some(id) => id,
                None => ask_id(group, &ips, port, trackers).await?,
            };
            let entry = ids.iter().find(|entry| entry.id == id && entry.group == group);
            ips = entry.ok_or(StorageError::UnknownId { id, group })?.address.ips.clone();
            // The table is what an operator has written: only what contradicts it is refused.
            advertised::check(&ips, &config.advertise, &ips, &network, is_local)?;
            id
        } else {
            advertised::check(&ips, &config.advertise, &bound, &network, is_local)?;
            ask_id(group, &ips, port, trackers).await?
        };
        let source = source(&parameters, id, &ips)?;
        info!(%group, storage_id = %id, ?ips, "identity known");
        Ok(Self { group, id, ips, port, source, parameters, ids })
    }

    /// Compares with the last run, tells the trackers of a new address, and keeps what is true now.
    pub(crate) async fn remember(&self, store: &Store, trackers: &[Tracker]) -> Result<(), StorageError> {
        let flag = store.init_flag();
        let last: Vec<IpAddr> = flag.last_ip_addr.split(',').filter_map(|ip| ip.parse().ok()).collect();
        let is_moved = !last.is_empty() && !last.iter().any(|ip| self.ips.contains(ip));
        let adjusts = self.parameters.storage_ip_changed_auto_adjust && !self.parameters.use_storage_id;
        if let (true, true, [old_ip, ..], [new_ip, ..]) = (is_moved, adjusts, &last[..], &self.ips[..]) {
            info!(%old_ip, %new_ip, "this storage has a new address");
            let request = ReportIpChangedRequest { group: self.group, old_ip: *old_ip, new_ip: *new_ip };
            for tracker in trackers {
                match tracker.ask(&request).await {
                    // Also when it knows already, or has never heard of the old address.
                    Ok(_) | Err(CallError::Status(_)) => {}
                    Err(error) => warn!(%tracker, error = %Chain(&error), "cannot tell the new address"),
                }
            }
        }
        if !self.parameters.use_storage_id && ![0, self.port].contains(&flag.last_server_port) {
            info!(old = flag.last_server_port, new = self.port, "this storage has a new port");
            store
                .move_marks(flag.last_server_port, self.port)
                .map_err(|source| StorageError::Io { action: "renaming the marks of peers", source })?;
        }
        let ips: Vec<String> = self.ips.iter().map(IpAddr::to_string).collect();
        store.update_init_flag(|flag| {
            flag.last_ip_addr = ips.join(",");
            flag.last_server_port = self.port;
        })?;
        Ok(())
    }

    /// Where a member of the group can be reached.
    pub(crate) fn addresses_of_member(&self, member: &Brief) -> Vec<SocketAddr> {
        let listed = self.ids.iter().filter(|entry| Some(entry.id) == member.id);
        let mut addresses = Vec::new();
        for ip in member.ip.iter().chain(listed.flat_map(|entry| entry.address.ips.iter())) {
            let address = SocketAddr::new(*ip, member.port);
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// Whether a member of the list is this storage.
    pub(crate) fn is_at(&self, member: &Brief) -> bool {
        member.port == self.port && member.ip.is_some_and(|ip| self.ips.contains(&ip))
    }

    /// The address of the storage that a file name tells of, in the kind that suits `peer`. `None` for an unknown ID.
    pub(crate) fn address_of(&self, source: Source, peer: IpAddr) -> Option<IpAddr> {
        match source {
            Source::Ip(ip) => Some(ip.into()),
            Source::Id(id) => {
                let entry = self.ids.iter().find(|entry| entry.id == StorageId::from(id))?;
                choose(&entry.address.ips, peer)
            }
        }
    }
}

/// What file names say: the ID where the cluster wants that, else the first IPv4 address.
fn source(parameters: &ClusterParameters, id: StorageId, ips: &[IpAddr]) -> Result<Source, StorageError> {
    if parameters.use_storage_id && parameters.id_in_filename {
        let number = id.as_str().parse().ok().and_then(ServerId::new);
        return number.map(Source::Id).ok_or(StorageError::NotANumber { id });
    }
    let v4 = ips.iter().find_map(|ip| match ip {
        IpAddr::V4(ip) => Some(*ip),
        IpAddr::V6(ip) => ip.to_ipv4_mapped(),
    });
    v4.map(Source::Ip).ok_or(StorageError::OnlyIpv6)
}

/// Of two addresses of a storage the second, if it is of the peer's kind; else the first.
fn choose(ips: &[IpAddr], peer: IpAddr) -> Option<IpAddr> {
    match ips {
        [_, outer] if kind(*outer) == kind(peer) => Some(*outer),
        [first, ..] => Some(*first),
        [] => None,
    }
}

/// Kinds of addresses: three private networks, and everything else.
fn kind(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) => match ip.octets() {
            [10, ..] => 1,
            [172, 16..=31, ..] => 2,
            [192, 168, ..] => 3,
            _ => 4,
        },
        IpAddr::V6(_) => 4,
    }
}

/// The only entry of the table that has our group, our port and an address of ours: one that is advertised or listened on,
/// else any of this machine.
fn own_entry(
    ids: &[StorageIdEntry],
    group: GroupName,
    port: u16,
    advertised: &[IpAddr],
    bound: &[IpAddr],
) -> Option<StorageId> {
    let is_named = |ip: &IpAddr| advertised.contains(ip) || bound.contains(ip);
    let names_any = !advertised.is_empty() || !bound.is_empty();
    let is_ours = |ip: &IpAddr| if names_any { is_named(ip) } else { is_local(*ip) };
    let mut entries = ids
        .iter()
        .filter(|entry| entry.group == group && entry.address.port == port)
        .filter(|entry| entry.address.ips.iter().any(is_ours));
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Some(entry.id),
        _ => None,
    }
}

/// Asks the trackers who is at the address that they see.
async fn ask_id(
    group: GroupName,
    ips: &[IpAddr],
    port: u16,
    trackers: &[Tracker],
) -> Result<StorageId, StorageError> {
    let ip = ips.first().copied().ok_or(StorageError::NoAddress)?;
    let address = SocketAddr::new(ip, port);
    Ok(ask_any(trackers, &GetServerIdRequest { group, address }).await?.storage_id)
}

async fn fetch_ids(trackers: &[Tracker]) -> Result<Vec<StorageIdEntry>, StorageError> {
    let mut entries: Vec<StorageIdEntry> = Vec::new();
    loop {
        let start = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let piece = ask_any(trackers, &FetchStorageIdsRequest { start, allow_empty: false }).await?;
        let came = piece.entries.len();
        entries.extend(piece.entries);
        if came == 0 || entries.len() as u64 >= u64::from(piece.total) {
            return Ok(entries);
        }
    }
}

/// Asks the trackers in turn until one answers.
async fn ask_any<R: Request>(trackers: &[Tracker], request: &R) -> Result<R::Response, StorageError> {
    ask_until(trackers, request, Ok).await
}

/// Asks the trackers in turn until one answers what can be read. What is refused may be granted when an operator has mended it.
async fn ask_until<R: Request, T>(
    trackers: &[Tracker],
    request: &R,
    read: impl Fn(R::Response) -> Result<T, ConfError>,
) -> Result<T, StorageError> {
    let mut pause = FIRST_PAUSE;
    loop {
        for tracker in trackers {
            match tracker.ask(request).await {
                Ok(answer) => match read(answer) {
                    Ok(answer) => return Ok(answer),
                    Err(error) => {
                        let cmd = R::COMMAND;
                        warn!(%tracker, ?cmd, %error, "tracker's answer cannot be used, trying again");
                    }
                },
                Err(error) => {
                    let cmd = R::COMMAND;
                    warn!(%tracker, ?cmd, error = %Chain(&error), "tracker gives no answer, trying again");
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// An error with its causes on one line.
pub(crate) struct Chain<'a>(pub(crate) &'a CallError);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = std::error::Error::source(self.0);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().expect("address")).collect()
    }

    #[test]
    fn a_storage_finds_its_line_by_group_port_and_address() {
        let entry = |id: &str, group: &str, addresses: &[&str], port| StorageIdEntry {
            id: id.parse().expect("id"),
            group: group.parse().expect("group"),
            address: fdfs_proto::ServerAddress { ips: ips(addresses), port },
            rw_mode: fdfs_types::RwMode::Both,
        };
        let ids = [
            entry("100001", "group1", &["127.0.0.1"], 23000),
            entry("100002", "group1", &["127.0.0.1"], 23001),
            entry("100003", "group2", &["127.0.0.1"], 23000),
            entry("100004", "group1", &["127.0.0.2"], 23001),
            entry("100005", "group1", &["10.255.255.1", "203.0.113.5"], 23000),
        ];
        let own = |port, advertised: &[&str], bound: &[&str]| {
            own_entry(&ids, "group1".parse().expect("group"), port, &ips(advertised), &ips(bound))
                .map(|id| id.to_string())
        };
        assert_eq!(own(23000, &[], &[]).as_deref(), Some("100001"));
        assert_eq!(own(23001, &[], &["127.0.0.2"]).as_deref(), Some("100004"));
        assert_eq!(own(23000, &["203.0.113.5"], &[]).as_deref(), Some("100005"));
        // Both addresses are of this machine: the trackers have to say.
        assert_eq!(own(23001, &[], &[]), None);
        assert_eq!(own(23009, &[], &[]), None);
    }

    #[test]
    fn the_outer_address_is_given_to_peers_of_its_kind() {
        let both = ips(&["192.168.0.2", "10.1.2.3"]);
        for (peer, chosen) in [("10.9.9.9", 1), ("192.168.3.3", 0), ("172.16.0.1", 0), ("fd00::1", 0)] {
            assert_eq!(choose(&both, peer.parse().expect("address")), Some(both[chosen]), "{peer}");
        }
        let public = ips(&["192.168.0.2", "203.0.113.5"]);
        assert_eq!(choose(&public, "198.51.100.7".parse().expect("address")), Some(public[1]));
        assert_eq!(choose(&public[..1], "198.51.100.7".parse().expect("address")), Some(public[0]));
        assert_eq!(choose(&[], "198.51.100.7".parse().expect("address")), None);
    }
}
