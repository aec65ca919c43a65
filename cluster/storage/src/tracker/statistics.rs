//! The counters of a storage in the form of its heart beats.

use fdfs_net::ConnectionCounts;
use fdfs_proto::{Connections, Counter as Pair, StorageStat as Beat};
use fdfs_store::{Counter, StorageStat};
use fdfs_types::Timestamp;

/// What a beat tells.
pub(super) fn beat(stat: &StorageStat, connections: ConnectionCounts) -> Beat {
    use Counter as C;
    let pair = |total, success| Pair { total: stat.get(total), success: stat.get(success) };
    let time = |counter| Timestamp(i64::try_from(stat.get(counter)).unwrap_or(i64::MAX));
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    Beat {
        connections: Connections {
            allocated: count(connections.max),
            current: count(connections.current),
            max: count(connections.max),
        },
        upload: pair(C::TotalUploadCount, C::SuccessUploadCount),
        append: pair(C::TotalAppendCount, C::SuccessAppendCount),
        modify: pair(C::TotalModifyCount, C::SuccessModifyCount),
        truncate: pair(C::TotalTruncateCount, C::SuccessTruncateCount),
        set_metadata: pair(C::TotalSetMetaCount, C::SuccessSetMetaCount),
        delete: pair(C::TotalDeleteCount, C::SuccessDeleteCount),
        download: pair(C::TotalDownloadCount, C::SuccessDownloadCount),
        get_metadata: pair(C::TotalGetMetaCount, C::SuccessGetMetaCount),
        create_link: pair(C::TotalCreateLinkCount, C::SuccessCreateLinkCount),
        delete_link: pair(C::TotalDeleteLinkCount, C::SuccessDeleteLinkCount),
        upload_bytes: pair(C::TotalUploadBytes, C::SuccessUploadBytes),
        append_bytes: pair(C::TotalAppendBytes, C::SuccessAppendBytes),
        modify_bytes: pair(C::TotalModifyBytes, C::SuccessModifyBytes),
        download_bytes: pair(C::TotalDownloadBytes, C::SuccessDownloadBytes),
        sync_in_bytes: pair(C::TotalSyncInBytes, C::SuccessSyncInBytes),
        sync_out_bytes: pair(C::TotalSyncOutBytes, C::SuccessSyncOutBytes),
        file_open: pair(C::TotalFileOpenCount, C::SuccessFileOpenCount),
        file_read: pair(C::TotalFileReadCount, C::SuccessFileReadCount),
        file_write: pair(C::TotalFileWriteCount, C::SuccessFileWriteCount),
        last_source_update: time(C::LastSourceUpdate),
        last_sync_update: time(C::LastSyncUpdate),
        // The tracker fills the last two.
        last_synced: Timestamp::ZERO,
        last_heart_beat: Timestamp::ZERO,
    }
}
