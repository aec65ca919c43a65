//! Which members can be asked for their files.

use std::net::SocketAddr;

use fdfs_net::CallError;
use fdfs_proto::tracker::{ListStoragesRequest, StorageRecord};
use fdfs_types::{Source, StorageId, StorageStatus};

use crate::shared::Shared;

/// The group as a tracker lists it now.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    me: StorageId,
    records: Vec<StorageRecord>,
}

/// A member that can be asked for files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Member {
    pub(super) id: StorageId,
    pub(super) address: SocketAddr,
}

impl Listing {
    /// Asks the trackers.
    pub(super) async fn get(shared: &Shared) -> Result<Self, CallError> {
        let request = ListStoragesRequest { group: shared.group(), storage_id: None };
        let records = shared.trackers.ask_any(&request).await?.storages;
        let listing = Self { me: shared.identity.id, records };
        // Members that recover, too, ask this one: no list has told it who they are.
        *shared.listed.lock() = listing.others(0).filter_map(|record| record.ip).collect();
        Ok(listing)
    }

    /// What the trackers know of this storage.
    pub(super) fn me(&self) -> Option<&StorageRecord> {
        self.records.iter().find(|record| record.id == self.me)
    }

    /// The others that have not left, whatever their state, and have a store path of this index.
    pub(super) fn others(&self, store_path: u8) -> impl Iterator<Item = &StorageRecord> {
        self.records.iter().filter(move |record| {
            record.id != self.me
                && !matches!(record.status, StorageStatus::Deleted | StorageStatus::IpChanged)
                && record.store_path_count > u64::from(store_path)
        })
    }

    /// The others that serve files of a store path. Where none does, those that are filling store paths themselves: a
    /// storage of this kind serves what it has meanwhile, and two that wait for each other would wait for ever.
    pub(super) fn serving(&self, store_path: u8) -> Vec<Member> {
        let with = |status| {
            let members = self.others(store_path).filter(move |record| record.status == status);
            members.filter(|record| record.rw_mode.is_readable()).filter_map(member).collect::<Vec<_>>()
        };
        let active = with(StorageStatus::Active);
        if active.is_empty() { with(StorageStatus::Recovery) } else { active }
    }

    /// The serving member that accepted a file, as the name of the file tells.
    pub(super) fn origin(&self, source: Source) -> Option<Member> {
        let accepted = |record: &&StorageRecord| match source {
            Source::Ip(ip) => record.ip == Some(ip.into()),
            Source::Id(id) => record.id == StorageId::from(id),
        };
        let serves = |record: &&StorageRecord| record.id != self.me && record.status == StorageStatus::Active;
        self.records.iter().filter(serves).find(accepted).and_then(member)
    }
}

fn member(record: &StorageRecord) -> Option<Member> {
    Some(Member { id: record.id, address: SocketAddr::new(record.ip?, record.port) })
}
