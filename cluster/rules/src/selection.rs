//! Which storage a client is sent to.

use std::net::IpAddr;

use fdfs_conf::{DownloadServer, StoreLookup, StorePathChoice, StoreServer};
use fdfs_types::{
    FileKind, GroupName, NameFields, ParseNameError, RemoteFilename, Source, StorageId, Timestamp,
};

use crate::{Cluster, Group, GroupPort, Refusal, Storage};

/// Where a client may put a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoreTarget {
    /// The group.
    pub group: GroupName,
    /// The storages, at least one.
    pub servers: Vec<Endpoint>,
    /// The store path of the first storage.
    pub path: u8,
}

/// Where a client finds a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FetchTarget {
    /// The group.
    pub group: GroupName,
    /// The storages, at least one.
    pub servers: Vec<Endpoint>,
}

/// Where a storage listens, in the network of the peer that asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// Its address.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
}

/// One storage or all of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HowMany {
    /// The best one.
    One,
    /// Every one that will do.
    All,
}

/// What a file's name tells about where it may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileOrigin {
    /// The storage that took the upload; unknown if the name is too short to tell.
    pub source: Option<Source>,
    /// When the file was made.
    pub created: Timestamp,
    /// Its content may change, or its time is that of another file: only the source is sure.
    pub only_source: bool,
}

impl FileOrigin {
    /// Reads the name of a file. One that is too short for what names tell is no error, as in the
    /// original; it is looked for at one storage, which will not find it.
    pub fn of(name: &RemoteFilename) -> Result<Self, ParseNameError> {
        if name.base_name().len() < NameFields::ENCODED_LEN {
            return Ok(Self { source: None, created: Timestamp::ZERO, only_source: true });
        }
        let fields: NameFields = name.fields()?;
        let only_source = matches!(name.kind()?, FileKind::Appender | FileKind::Slave);
        Ok(Self { source: Some(fields.source), created: fields.created(), only_source })
    }
}

impl Cluster {
    /// Where to upload: 101 and 106 without a group, 104 and 107 with one.
    pub fn query_store(
        &mut self,
        group: Option<&GroupName>,
        how_many: HowMany,
        peer: IpAddr,
    ) -> Result<StoreTarget, Refusal> {
        let at = match group {
            Some(name) => self.given_group(name)?,
            None => self.choose_group()?,
        };
        let first = match how_many {
            HowMany::One => self.take_server(at),
            HowMany::All => self.groups[at].writable().next().map(|storage| storage.id),
        }
        .ok_or(Refusal::NotFound)?;
        let path = self.take_path(at, &first)?;
        let group = &self.groups[at];
        let servers = match how_many {
            HowMany::One => group.get(&first).map(|storage| endpoint(storage, peer)).into_iter().collect(),
            HowMany::All => group.writable().map(|storage| endpoint(storage, peer)).collect(),
        };
        Ok(StoreTarget { group: group.name, servers, path })
    }

    /// Where to read a file: 102 for one storage, 105 for all.
    pub fn query_fetch(
        &mut self,
        name: &GroupName,
        file: &FileOrigin,
        how_many: HowMany,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<FetchTarget, Refusal> {
        let origin = self.source_of(name, file)?;
        let at = self.find(name).map_err(|_| Refusal::NotFound)?;
        let group = &self.groups[at];
        let fallback = || self.preferred_server(group).filter(|storage| storage.is_readable());
        let source = origin.and_then(|id| group.get(&id)).filter(|storage| storage.is_readable());
        let chosen: Vec<&Storage> = if file.only_source {
            source.or_else(fallback).into_iter().collect()
        } else {
            let has_it = |storage: &&Storage| {
                source.is_some_and(|source| source.id == storage.id)
                    || self.has_surely_synced(storage, origin.as_ref(), file.created, now)
            };
            let turn = group.read_turn;
            let mut found: Vec<&Storage> = match (how_many, source) {
                (HowMany::One, Some(source)) if self.settings.download_server == DownloadServer::Source => {
                    vec![source]
                }
                (HowMany::One, _) => {
                    let count = group.readable().len();
                    let in_turn = group.readable().cycle().skip(turn % count.max(1)).take(count);
                    in_turn.filter(has_it).take(1).collect()
                }
                (HowMany::All, _) => group.readable().filter(has_it).collect(),
            };
            if found.is_empty() {
                found.extend(fallback());
            }
            found
        };
        if chosen.is_empty() {
            return Err(Refusal::NotFound);
        }
        let servers = chosen.into_iter().map(|storage| endpoint(storage, peer)).collect();
        let target = FetchTarget { group: group.name, servers };
        if how_many == HowMany::One && !file.only_source {
            let group = &mut self.groups[at];
            let count = group.readable().len().max(1);
            group.read_turn = (group.read_turn + 1) % count;
        }
        Ok(target)
    }

    /// Where to change a file: 103.
    pub fn query_update(
        &mut self,
        name: &GroupName,
        file: &FileOrigin,
        peer: IpAddr,
    ) -> Result<FetchTarget, Refusal> {
        let source = self.source_of(name, file)?;
        let at = self.find(name).map_err(|_| Refusal::NotFound)?;
        let group = &self.groups[at];
        let source = source.filter(|id| group.get(id).is_some_and(Storage::is_writable));
        let id = source.or_else(|| self.take_server(at)).ok_or(Refusal::NotFound)?;
        let group = &self.groups[at];
        let storage = group.get(&id).ok_or(Refusal::NotFound)?;
        Ok(FetchTarget { group: group.name, servers: vec![endpoint(storage, peer)] })
    }

    /// The storage that an upload into this group would go to, without taking a turn: in turn, the
    /// first.
    pub(crate) fn preferred_server<'a>(&self, group: &'a Group) -> Option<&'a Storage> {
        match self.settings.store_server() {
            StoreServer::FirstByPriority => group.writable().min_by_key(|storage| storage.upload_priority),
            StoreServer::RoundRobin | StoreServer::FirstByAddress => group.writable().next(),
        }
    }

    /// A storage may serve a file made at `created` if it has surely received it by now.
    ///
    /// What it has reported of the very source of the file counts, if it has: a storage that is behind
    /// that source does not have the file, however old, and one that is not behind has it, however far
    /// it is with others. Otherwise it counts how far it is with all of them, or the age of the file.
    fn has_surely_synced(
        &self,
        storage: &Storage,
        origin: Option<&StorageId>,
        created: Timestamp,
        now: Timestamp,
    ) -> bool {
        let Self { settings, .. } = self;
        let told = origin.and_then(|source| storage.applied.get(source)).copied();
        let synced = told.unwrap_or(storage.last_synced);
        (told.is_none() && created < now.minus(settings.sync_file_max_delay))
            || synced > created
            || (synced.0.saturating_add(1) >= created.0 && now.since(created) > settings.sync_file_max_time)
    }

    fn source_of(&self, name: &GroupName, file: &FileOrigin) -> Result<Option<StorageId>, Refusal> {
        let group = self.group(name)?;
        Ok(match file.source {
            None => None,
            Some(Source::Id(id)) => Some(id.into()),
            Some(Source::Ip(ip)) => {
                let ip = IpAddr::V4(ip);
                let here = |storage: &&Storage| {
                    storage.is_member() && (storage.addresses.contains(ip) || storage.joined_from == ip)
                };
                // Of several on one host, the one on the group's port wrote addresses into names.
                let first = |storage: &&Storage| GroupPort::Same(storage.port) != group.port;
                group.storages().filter(here).min_by_key(first).map(|storage| storage.id)
            }
        })
    }

    fn given_group(&self, name: &GroupName) -> Result<usize, Refusal> {
        let at = self.find(name).map_err(|_| Refusal::NotFound)?;
        let group = &self.groups[at];
        if group.writable().len() == 0 {
            Err(Refusal::NotFound)
        } else if self.has_space(group) || self.has_trunk_space(group) {
            Ok(at)
        } else {
            Err(Refusal::NoSpace)
        }
    }

    fn choose_group(&mut self) -> Result<usize, Refusal> {
        if let StoreLookup::Group(name) = &self.settings.store_lookup {
            return self.given_group(name);
        }
        let balance = self.settings.store_lookup == StoreLookup::MostFree;
        let start = if balance { self.fullest_of_space() } else { self.group_turn };
        let count = self.groups.len();
        let in_turn = || (0..count).map(|step| (start + step) % count);
        let writable = |at: &usize| self.groups[*at].writable().len() > 0;
        if !in_turn().any(|at| writable(&at)) {
            return Err(Refusal::NotFound);
        }
        let with_space = in_turn().filter(writable).find(|&at| self.has_space(&self.groups[at]));
        let with_trunk = || in_turn().filter(writable).find(|&at| self.has_trunk_space(&self.groups[at]));
        let at = with_space.or_else(with_trunk).ok_or(Refusal::NoSpace)?;
        if !balance {
            self.group_turn = (at + 1) % count;
        }
        Ok(at)
    }

    /// The group with the most free space; if even that has too little, with the most inside trunk
    /// files. Ties go to the first by name.
    fn fullest_of_space(&self) -> usize {
        let most = |free: fn(&Group) -> u64| {
            let writable = self.groups.iter().enumerate().filter(|(_, group)| group.writable().len() > 0);
            writable.rev().max_by_key(|(_, group)| free(group)).map_or(0, |(at, _)| at)
        };
        let best = most(|group| group.space().free_mb);
        match self.groups.get(best) {
            Some(group) if self.settings.use_trunk && !self.has_space(group) => {
                most(|group| group.trunk.free_mb)
            }
            _ => best,
        }
    }

    /// Whether a group has more free space than the reserve.
    pub fn has_space(&self, group: &Group) -> bool {
        let space = group.space();
        self.settings.reserve.allows_group(space.free_mb, space.total_mb)
    }

    /// Whether a group has more than the reserve if the space inside trunk files counts as free.
    pub fn has_trunk_space(&self, group: &Group) -> bool {
        let (space, trunk) = (group.space(), group.trunk.free_mb);
        self.settings.use_trunk
            && self.settings.reserve.allows_group(space.free_mb.saturating_add(trunk), space.total_mb)
    }

    /// The storage for the next upload into a group.
    fn take_server(&mut self, at: usize) -> Option<StorageId> {
        if self.settings.store_server() != StoreServer::RoundRobin {
            return self.preferred_server(&self.groups[at]).map(|storage| storage.id);
        }
        let group = &mut self.groups[at];
        let count = group.writable().len();
        let turn = if group.write_turn < count { group.write_turn } else { 0 };
        let id = group.writable().nth(turn)?.id;
        group.write_turn = (turn + 1) % count;
        Some(id)
    }

    /// The store path for the next upload to a storage.
    fn take_path(&mut self, at: usize, id: &StorageId) -> Result<u8, Refusal> {
        let group = &self.groups[at];
        let storage = group.get(id).ok_or(Refusal::NotFound)?;
        let count = usize::from(group.path_count);
        let candidate = if storage.current_path < count { storage.current_path } else { 0 };
        let with = |extra_mb: u64| {
            (0..count).map(|step| (candidate + step) % count).find(|&path| {
                storage.paths.get(path).is_some_and(|space| {
                    let free_mb = space.free_mb.saturating_add(extra_mb);
                    self.settings.reserve.allows_path(free_mb, space.total_mb, count)
                })
            })
        };
        let by_trunk = || if self.settings.use_trunk { with(group.trunk.free_mb) } else { None };
        let path = with(0).or_else(by_trunk).ok_or(Refusal::NoSpace)?;
        let next = match self.settings.store_path {
            StorePathChoice::RoundRobin => (path + 1) % count,
            StorePathChoice::MostFree => path,
        };
        let id = *id;
        self.groups[at].set_current_path(&id, next);
        u8::try_from(path).map_err(|_| Refusal::Invalid)
    }
}

fn endpoint(storage: &Storage, peer: IpAddr) -> Endpoint {
    Endpoint { ip: storage.addresses.for_peer(peer), port: storage.port }
}
