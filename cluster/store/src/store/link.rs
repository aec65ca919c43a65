//! Symbolic links to files, for content that is there already.

use std::path::PathBuf;

use fdfs_types::{Extension, NameFields, RemoteFilename, SizeField};
use rustix::fs::{AtFlags, FileType, statat, symlinkat};

use super::{
    Store, field, seconds,
    shared::{in_directory, sync_directory_of},
    upload::slave_of,
};
use crate::{
    Change, Record, StoreError,
    contents::{is_content, unusable},
    layout::StorePath,
};

impl Store {
    /// Makes a link to a file, under a new name beside it, or as a slave: of this master, with this prefix.
    pub fn create_link(
        &self,
        source: &RemoteFilename,
        master: Option<(&RemoteFilename, &str)>,
        extension: &Extension,
    ) -> Result<(RemoteFilename, Record), StoreError> {
        let shared = &self.0;
        shared.binlog.check()?;
        let path = shared.path_for_client(source)?;
        let stat = statat(&path.data, source.local_path(), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(StoreError::doing("looking up the file"))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(StoreError::NotRegular);
        }
        let slave = match master {
            Some((master, _)) if master.store_path() != source.store_path() => {
                return Err(StoreError::InvalidName { reason: "the master lies on another store path" });
            }
            Some((master, prefix)) => Some(slave_of(master, prefix, extension)?),
            None => None,
        };
        let target = target_of(path, source);
        let mut tries = 0;
        loop {
            tries += 1;
            let name = match &slave {
                Some(name) => name.clone(),
                None => {
                    let fields = NameFields {
                        source: shared.placement.policy().source,
                        created: seconds(super::now()),
                        size: SizeField::normal(stat.st_size.unsigned_abs(), fastrand::u32(..)),
                        crc32: fastrand::u32(..),
                    };
                    let tail = extension.tail(|| fastrand::u8(0..10));
                    RemoteFilename::compose(path.index, source.subdir(), &fields, None, &tail)
                        .map_err(|_| StoreError::InvalidName { reason: "no name can be made" })?
                }
            };
            let _locks = shared.lock_both(source, &name);
            statat(&path.data, source.local_path(), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(StoreError::doing("looking up the file"))?;
            if is_content(source) {
                shared.contents.index_or_new().map_err(unusable)?;
            }
            let change = Change::Link { name: field(&name), source: Some(field(source)) };
            let deleted = shared.tombstones.get(name.as_str()).unwrap_or_default();
            let record = Record::source(super::now().max(deleted).0, change);
            let (intent, line) = shared.intend(&record)?;
            match in_directory(path, &name, || symlinkat(&target, &path.data, name.local_path())) {
                Err(StoreError::Exists) if slave.is_none() && tries < TRIES => continue,
                result => result?,
            }
            // It was nothing before, so nothing has lost a link.
            let _ = shared.follow_link(path, &name);
            shared.tombstones.remove(name.as_str(), super::now());
            let durable = shared.fsync_after != 0;
            let synced = if durable { sync_directory_of(path, &name) } else { Ok(()) };
            intent.conclude(shared.record(&line, durable))?;
            synced?;
            return Ok((name, record));
        }
    }
}

/// What a link to a file says: where the file lies on this machine.
pub(super) fn target_of(path: &StorePath, source: &RemoteFilename) -> PathBuf {
    path.data_path.join(source.local_path())
}

const TRIES: u32 = 10;
