//! What several families use.

use std::net::SocketAddr;

use fdfs_proto::{
    ActiveTestRequest, Brief, Command, Connections, Empty, Header, Ignored, QuitRequest, Raw, Status,
    StorageStat,
};
use fdfs_types::FileId;
use proptest::prelude::*;

use super::words::{connections, file_id, maybe_ip, number, socket, stat, storage_id, storage_status};
use super::{make, round_trips};

round_trips! {
    request active_test: Just(ActiveTestRequest) => ActiveTestRequest;
    request quit: Just(QuitRequest) => QuitRequest;
    message empty: Just(Empty) => Empty;
    message ignored: Just(Ignored) => Ignored;
    message raw: prop::collection::vec(any::<u8>(), 0..200).prop_map(Raw) => Raw;
    message a_brief: brief() => Brief;
    message a_file_id: file_id() => FileId;
    message address: socket() => SocketAddr;
    message counters: stat() => StorageStat;
    message connection_counts: connections() => Connections;
}

/// A server, or nobody.
pub(super) fn brief() -> impl Strategy<Value = Brief> + Clone {
    let some = make!(Brief {
        status: storage_status(),
        port: any::<u16>(),
        id: prop::option::of(storage_id()),
        ip: maybe_ip(),
    });
    prop_oneof![9 => some, 1 => Just(Brief::NOBODY)]
}

proptest! {
    #[test]
    fn header(length in number(), command in any::<u8>(), status in any::<u8>(), bytes in any::<[u8; 10]>()) {
        let header = Header { length, command: Command(command), status: Status(status) };
        prop_assert_eq!(Header::decode(&header.encode()), Ok(header));
        if let Ok(header) = Header::decode(&bytes) {
            prop_assert_eq!(header.encode(), bytes);
        }
    }
}
