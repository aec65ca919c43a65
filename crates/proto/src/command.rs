//! The numbers of the protocol, all in one place.

use std::fmt;

/// What a message asks for.
///
/// The value is the byte of the header, known or not: a server answers numbers it does not know.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Command(pub u8);

macro_rules! commands {
    ($($number:literal $name:ident $doc:literal;)*) => {
        impl Command {
            $(
                #[doc = concat!("`", stringify!($name), "` (", stringify!($number), "): ", $doc, ".")]
                pub const $name: Self = Self($number);
            )*

            /// Every number in use.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name, for logs and metrics; `None` for a number not in use.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

commands! {
    // Storage to storage: replication.
    9 REPORT_SERVER_ID "the sender says which storage it is";
    16 SYNC_CREATE_FILE "a new file, with its content";
    17 SYNC_DELETE_FILE "a file is gone";
    18 SYNC_UPDATE_FILE "the whole content of a file that may exist";
    19 SYNC_CREATE_LINK "a new symbolic link";
    25 SYNC_APPEND_FILE "bytes appended to a file";
    26 FETCH_ONE_PATH_BINLOG "the records of one store path, for its recovery";
    35 SYNC_MODIFY_FILE "bytes overwritten in a file";
    37 SYNC_TRUNCATE_FILE "a file has a new size";
    40 SYNC_RENAME_FILE "a file has a new name";

    // Client to storage.
    11 UPLOAD_FILE "store a file";
    12 DELETE_FILE "remove a file";
    13 SET_METADATA "replace or merge the metadata of a file";
    14 DOWNLOAD_FILE "read a file, or a range of it";
    15 GET_METADATA "read the metadata of a file";
    20 CREATE_LINK "make a symbolic link to a file";
    21 UPLOAD_SLAVE_FILE "store a file whose name derives from another";
    22 QUERY_FILE_INFO "size, time and checksum of a file";
    23 UPLOAD_APPENDER_FILE "store a file that can grow";
    24 APPEND_FILE "write at the end of an appender file";
    34 MODIFY_FILE "write inside an appender file";
    36 TRUNCATE_FILE "set the size of an appender file";
    38 REGENERATE_APPENDER_FILENAME "turn an appender file into a normal one";

    // Trunk files: between storages, and tracker to storage.
    27 TRUNK_ALLOC_SPACE "ask the trunk server for a slot";
    28 TRUNK_ALLOC_CONFIRM "the slot is used, or given back";
    29 TRUNK_FREE_SPACE "a slot is free again";
    30 TRUNK_SYNC_BINLOG "lines of the trunk server's binlog";
    31 TRUNK_GET_BINLOG_SIZE "size of the trunk binlog";
    32 TRUNK_DELETE_BINLOG_MARKS "forget how far peers have the trunk binlog";
    33 TRUNK_TRUNCATE_BINLOG_FILE "empty the trunk binlog";

    // Tracker to tracker.
    58 TRACKER_JOIN_LEADER "a follower introduces itself";
    61 GET_SYS_FILES_START "begin to fetch the leader's files";
    62 GET_SYS_FILES_END "done fetching them";
    63 GET_ONE_SYS_FILE "a piece of one of them";
    64 TRACKER_GET_STATUS "whether a tracker leads, and for how long it runs";
    65 TRACKER_PING_LEADER "a follower is alive; the answer has the trunk servers";
    66 NOTIFY_NEXT_LEADER "a candidate for the lead";
    67 COMMIT_NEXT_LEADER "the candidate leads from now on";
    68 NOTIFY_RESELECT_LEADER "two trackers lead: choose again";

    // Storage to tracker.
    59 STORAGE_CHANGE_STATUS "a follower is told the leader's view of the sender";
    60 STORAGE_GET_MY_IP "by which address the tracker sees the sender";
    69 FETCH_STORAGE_IDS "the table of storage ids";
    70 GET_SERVER_ID "the id of an address";
    71 STORAGE_GET_STATUS "the status of one storage";
    72 FETCH_TRUNK_FID "the highest trunk file number of the group";
    73 REPORT_TRUNK_FID "a new highest trunk file number";
    74 REPORT_TRUNK_FREE "free space inside trunk files";
    75 PARAMETER_REQ "the settings that the whole cluster shares";
    76 REPORT_STATUS "the status of a storage, told by another";
    77 CHANGELOG_REQ "changes of identities";
    78 REPORT_IP_CHANGED "a storage has a new address";
    79 SYNC_DEST_QUERY "the source a storage was given before";
    81 JOIN "a storage introduces itself";
    83 BEAT "a storage is alive; counters";
    84 REPORT_DISK_USAGE "space of every store path";
    85 REPLICA_CHANGE "a storage knows better about its peers";
    86 SYNC_SRC_REQ "the source of a peer";
    87 SYNC_DEST_REQ "a new storage asks for its source";
    88 SYNC_NOTIFY "the source of a new storage, told to the other trackers";
    89 SYNC_REPORT "how far a storage has the files of its peers";
    109 GET_GROUP_NAME "the group of a storage";

    // Client to tracker.
    90 LIST_ONE_GROUP "one group's figures";
    91 LIST_ALL_GROUPS "all groups' figures";
    92 LIST_STORAGES "the storages of a group";
    93 DELETE_STORAGE "remove a storage from its group";
    94 SET_TRUNK_SERVER "choose the trunk server of a group";
    95 GET_LEADER "which tracker leads";
    96 TRACKER_CLUSTER_STAT "trackers and their state";
    97 STORAGE_CLUSTER_STAT "storages and their state";
    98 STORAGE_VOLUME_STAT "groups and their space";
    101 QUERY_STORE_ONE "a storage for an upload, any group";
    102 QUERY_FETCH_ONE "a storage to read a file from";
    103 QUERY_UPDATE "the storage to change a file at";
    104 QUERY_STORE_IN_GROUP_ONE "a storage for an upload, given the group";
    105 QUERY_FETCH_ALL "every storage to read a file from";
    106 QUERY_STORE_ALL "the storages for an upload, any group";
    107 QUERY_STORE_IN_GROUP_ALL "the storages for an upload, given the group";
    108 DELETE_GROUP "remove an empty group";

    // Everybody.
    82 QUIT "the sender closes the connection; has no response";
    100 RESPONSE "the command of every response";
    111 ACTIVE_TEST "is the other side alive";

    // Ours: sent only to a peer that answered HELLO (see `PROTOCOL.md`).
    200 HELLO "what the other side can do beyond the original protocol";
    201 UPLOAD_FRAMED "store a file of a length not known in advance";
    202 LIST_RAW_FILES "the files of a store path";
    203 JOIN_FILES "make one file of several";
    204 LIST_OWNED_FILES "the files that carry tokens of an owner";
    205 FORGET_OWNED_FILES "the files of these tokens are in use, or gone";
    206 DEAD_LETTERS "changes that other members did not take";
    207 SCRUB "how the search for damaged files goes";
    208 LEND_FILE "the open file, for a reader on the same machine";
    209 TRUNK_SLOTS "several slots of trunk files";
    210 LINK_CONTENT "a link to a content, from the member that has stored it";
    220 EXPLAIN_STORAGES "why the storages of a group are in their states";
    // Ours, between members that share a secret: sent without HELLO.
    240 MEMBER_CHALLENGE "a member asks for something to prove the secret of the cluster with";
    241 MEMBER_PROOF "both sides prove that they know the secret";
}

impl Command {
    /// The first of the numbers that the original does not use and we do.
    pub const FIRST_OF_OURS: Self = Self(200);

    /// Whether this is a command of ours, sent only to a peer that answered [`Command::HELLO`]; 240 and 241, by which members
    /// prove their secret, also to others.
    pub const fn is_ours(self) -> bool {
        self.0 >= Self::FIRST_OF_OURS.0
    }

    /// Whether members of a cluster send this to each other and clients never do: it changes what the cluster believes of
    /// itself or puts files into storages past their clients. Where members share a secret, only who has proved it may.
    ///
    /// Questions about the cluster that clients ask, too, are not among them (60, 64, 69 to 71, 75, 109).
    pub const fn is_for_members(self) -> bool {
        let to_storages = matches!(self.0, 9 | 16..=19 | 25..=33 | 35 | 37 | 40);
        let to_trackers = matches!(self.0, 58 | 59 | 61..=63 | 65..=68 | 72..=74 | 76..=79 | 81 | 83..=89);
        to_storages || to_trackers
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name}({})", self.0),
            None => write!(f, "Command({})", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_number_is_used_twice() {
        let numbers: HashSet<Command> = Command::ALL.iter().copied().collect();
        assert_eq!(numbers.len(), Command::ALL.len());
    }

    #[test]
    fn what_members_tell_each_other_is_not_what_clients_ask() {
        let of_clients = [11, 12, 13, 14, 15, 20, 21, 22, 23, 24, 34, 36, 38, 82, 111].into_iter();
        for number in
            of_clients.chain(90..=109).chain(200..=205).chain([60, 64, 69, 70, 71, 75, 220, 240, 241])
        {
            assert!(!Command(number).is_for_members(), "{}", Command(number));
        }
        let members = Command::ALL.iter().filter(|command| command.is_for_members());
        assert_eq!(members.count(), 17 + 24);
    }

    #[test]
    fn a_number_not_in_use_is_shown_as_it_is() {
        assert_eq!(Command(111).to_string(), "ACTIVE_TEST");
        assert_eq!(Command(250).to_string(), "250");
        assert_eq!(format!("{:?}", Command(250)), "Command(250)");
    }
}
