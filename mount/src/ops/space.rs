//! Space: statfs.

use fdfs_objects::Space;

use crate::error::FsError;
use crate::file_system::FileSystem;

/// The space of the groups that content of an inode's bucket may go to.
pub(crate) async fn space(fs: &FileSystem, inode: u64) -> Result<Space, FsError> {
    Ok(fs.objects.space(inode).await?)
}

/// Bytes of a block as statfs counts them.
pub(crate) const BLOCK: u32 = 4_096;
