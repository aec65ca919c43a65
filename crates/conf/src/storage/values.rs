//! Values of `storage.conf` that need more than a look.

use std::path::Path;

use crate::keys::{Keys, directory, invalid};
use crate::{ConfError, DistributeMode, ServiceAddress, StorageConfig, StorePathConfig, TimeOfDay};

pub(super) fn store_paths(keys: &mut Keys<'_>, base_path: &Path) -> Result<Vec<StorePathConfig>, ConfError> {
    let count = keys.within("store_path_count", 1, 1, 256)?;
    let mut paths: Vec<StorePathConfig> = Vec::new();
    for index in 0..count {
        let key = format!("store_path{index}");
        let path = match keys.get(&key) {
            Some(entry) => {
                let path = directory(entry)?;
                if paths.iter().any(|other| other.path == path) {
                    return Err(invalid(entry, "each store path needs a directory of its own"));
                }
                path
            }
            None if index == 0 => base_path.to_owned(),
            None => {
                let help = "add it, or lower store_path_count";
                return Err(keys.missing(&key, help));
            }
        };
        let is_readonly = keys.boolean(&format!("store_path{index}_readonly"), false);
        paths.push(StorePathConfig { path, is_readonly });
    }
    Ok(paths)
}

pub(super) fn subdir_count(keys: &mut Keys<'_>) -> Result<u16, ConfError> {
    let count = keys.within("subdir_count_per_path", 256, 1, 256)?;
    Ok(u16::try_from(count).unwrap_or(256))
}

/// The two limits; a shared queue, or 0 in one, leaves the sum to either.
pub(super) fn disk_threads(keys: &mut Keys<'_>) -> Result<(u32, u32), ConfError> {
    let separated = keys.boolean("disk_rw_separated", true);
    let least = u32::from(separated);
    let readers = keys.within("disk_reader_threads", 1, least, 1024)?;
    let writers = keys.within("disk_writer_threads", 1, least, 1024)?;
    let shared = (readers + writers).max(1);
    Ok(if separated { (readers, writers) } else { (shared, shared) })
}

pub(super) fn sync_max_threads(keys: &mut Keys<'_>, path_count: usize) -> Result<u32, ConfError> {
    // The original takes two for each store path. More of them hide the time that each small file is on its way.
    let auto = u32::try_from(2 * path_count).unwrap_or(MOST_SYNC_THREADS).clamp(8, MOST_SYNC_THREADS);
    match keys.text("sync_max_threads") {
        Some(entry) if !entry.value.eq_ignore_ascii_case("auto") => {
            keys.within("sync_max_threads", auto, 1, MOST_SYNC_THREADS)
        }
        _ => Ok(auto),
    }
}

pub(super) fn buff_size(keys: &mut Keys<'_>) -> Result<u64, ConfError> {
    match keys.size("buff_size")? {
        Some((size, entry)) if size < MIN_BUFF_SIZE => {
            keys.adjusted(entry, format!("the smallest buffer, {MIN_BUFF_SIZE} bytes, is used"));
            Ok(MIN_BUFF_SIZE)
        }
        Some((size, _)) => Ok(size),
        None => Ok(256 << 10),
    }
}

pub(super) fn distribute(keys: &mut Keys<'_>) -> DistributeMode {
    let rotate_count = keys.positive("file_distribute_rotate_count", 100);
    let round_robin = DistributeMode::RoundRobin { rotate_count };
    keys.choice("file_distribute_path_mode", &[(0, round_robin), (1, DistributeMode::Hash)])
        .unwrap_or(round_robin)
}

pub(super) fn upload_priority(keys: &mut Keys<'_>) -> i32 {
    let (number, _) = keys.integer("upload_priority").unzip();
    number.and_then(|number| i32::try_from(number).ok()).unwrap_or(10)
}

pub(super) fn compress_binlog(keys: &mut Keys<'_>) -> Result<Option<TimeOfDay>, ConfError> {
    let time = keys.time("compress_binlog_time", TimeOfDay::new(1, 30))?;
    Ok(keys.boolean("compress_binlog", false).then_some(time))
}

/// `http_listen`, with the port of the older key `http.server_port`; 0 there switches HTTP off.
pub(super) fn http_listen(keys: &mut Keys<'_>) -> Result<Option<ServiceAddress>, ConfError> {
    let mut default =
        ServiceAddress { address: None, port: StorageConfig::DEFAULT_HTTP_PORT, is_explicit: false };
    let old = keys.integer("http.server_port");
    if let Some((number, entry)) = old {
        default.is_explicit = true;
        default.port = u16::try_from(number)
            .map_err(|_| invalid(entry, "a port is 1 to 65535; the usual one is 8888; 0 is off"))?;
    }
    let listen = ServiceAddress::read(keys, "http_listen", default)?;
    if let (Some((_, old)), Some(new)) = (old, keys.text("http_listen"))
        && listen.is_none_or(|listen| listen.port != default.port)
    {
        let what = format!("http_listen = {} counts instead", new.value);
        keys.adjusted(old, what);
    }
    Ok(listen.filter(|listen| listen.port > 0))
}

const MOST_SYNC_THREADS: u32 = 256;
const MIN_BUFF_SIZE: u64 = 4 << 10;
