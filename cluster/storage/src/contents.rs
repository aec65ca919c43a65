//! What an operator asks of the contents of a storage that does not run.

use fdfs_conf::StorageConfig;
use fdfs_store::{ContentCheck, OpenError, Store};

use crate::settings;

/// Compares the index of contents of a storage that does not run with its disk.
pub fn check_contents(config: &StorageConfig) -> Result<ContentCheck, OpenError> {
    ContentCheck::offline(&settings::store_options(config, &[], 0))
}

/// Forgets the index of contents of a storage that does not run: its next start makes it from what is on the disk.
pub fn forget_content_index(config: &StorageConfig) -> Result<(), OpenError> {
    ContentCheck::forget_index(&settings::store_options(config, &[], 0))
}

/// Opens the store of a storage that does not run, to check or to repair its trunk files.
pub fn open_offline(config: &StorageConfig) -> Result<Store, OpenError> {
    Store::open(&settings::store_options(config, &[], 0))
}
