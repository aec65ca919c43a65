//! One storage server's disk: files, binlog, marks, recovery.
//!
//! [`Store`] is the whole of it. Calls are synchronous and may come from many threads at once; those
//! that are short (write a chunk, finish, delete, open) are meant to be made on the thread that has the
//! bytes. `FORMAT.md` beside this crate describes every file that is written.
//!
//! The process's umask is the caller's business; the original runs with umask 0.

mod binlog;
mod contents;
mod damaged_files;
mod dead_letters;
mod disk_check;
mod draft;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod init_flag;
mod journal;
mod layout;
mod mark;
mod options;
mod owners;
mod path_mark;
mod path_recovery;
mod placement;
mod reconcile;
mod recover;
mod run_state;
mod scrub_progress;
mod space;
mod stat;
mod state_file;
mod store;
mod tombstones;
mod trunk;

pub use self::{
    binlog::{Binlog, BinlogIndex, BinlogReader, Change, Entry, Origin, Position, Record, RecordError},
    contents::{ContentCheck, SignatureMethod},
    damaged_files::{DamagedFile, DamagedFiles},
    dead_letters::{DeadLetter, DeadLetters},
    disk_check::DiskTrouble,
    error::{OpenError, StoreError},
    init_flag::InitFlag,
    mark::Mark,
    options::{Distribution, PathSelection, Policy, Reserve, StoreOptions, StorePathOptions},
    path_recovery::{PathRecovery, RecoveryFlag},
    recover::OpenReport,
    scrub_progress::ScrubProgress,
    space::DiskSpace,
    stat::{Counter, StorageStat},
    store::{
        ContentCounts, Damage, Deletions, Elsewhere, Examination, FileInfo, FileListing, ForPeer, Healed,
        Healing, ListedFile, MetadataFlag, NewFile, OpenFile, Patch, Patched, PathBinlog, Placed,
        Regenerated, Replica, Replicated, SlotContent, Store, StorePathChoice, StorePathStatus, StoredFile,
        Suspect, Upload, Verdict,
    },
    trunk::{
        AllocError, Block, Mended, OfficeSettings, ReadySlots, SlotScan, TrunkCheck, TrunkFault, TrunkFile,
        TrunkGap, TrunkPolicy,
    },
};

#[cfg(test)]
mod tests;
