//! Words of the domain: group names, storage and file IDs, states, metadata.
//!
//! Every type here is checked once, when it is made; a value that exists is valid. Nothing in this
//! crate does I/O or reads a clock. `FILE-IDS.md` beside this crate describes the layout of file IDs.

pub mod base64;
mod extension;
mod file_id;
mod group_name;
mod inline_text;
mod metadata;
mod name_fields;
mod network;
pub mod pjw;
mod remote_filename;
#[cfg(test)]
mod round_trips;
mod rw_mode;
mod size_field;
mod slave;
mod storage_id;
mod storage_status;
mod timestamp;
mod trunk_slot;

pub use extension::{Extension, ParseExtensionError};
pub use file_id::{FileId, ParseFileIdError};
pub use group_name::{GroupName, ParseGroupNameError};
pub use metadata::{Metadata, ParseMetadataError};
pub use name_fields::{NameFields, ParseNameError, Source};
pub use network::Network;
pub use remote_filename::{FileKind, ParseRemoteFilenameError, RemoteFilename, Subdir};
pub use rw_mode::{ParseRwModeError, RwMode};
pub use size_field::SizeField;
pub use slave::{ParseSlavePrefixError, SlaveNameError, SlavePrefix, slave_name};
pub use storage_id::{ParseStorageIdError, ServerId, StorageId};
pub use storage_status::StorageStatus;
pub use timestamp::Timestamp;
pub use trunk_slot::TrunkSlot;
