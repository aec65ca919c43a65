//! Why a storage does not start, and why a request is refused.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use fdfs_net::RequestError;
use fdfs_ops::SecretFileError;
use fdfs_proto::{Status, ours::Trailer};
use fdfs_store::{AllocError, OpenError, StoreError};
use fdfs_types::{GroupName, StorageId};
use thiserror::Error;

use crate::concern::Failure;

/// Why a storage cannot start.
#[derive(Debug, Error)]
pub enum StorageError {
    /// A tracker answered, but knows no address of ours.
    #[error("trackers tell no address of this storage")]
    NoAddress,
    /// The file for native HTTP cannot be read or understood.
    #[error(transparent)]
    HttpConf(#[from] fdfs_conf::ConfError),
    /// A file that it names cannot be used.
    #[error(transparent)]
    HttpSettings(#[from] fdfs_http::SettingsError),
    /// The ID is not in the trackers' table, or belongs to another group.
    #[error("storage id {id} of group {group} is not in the trackers' storage_ids.conf")]
    UnknownId {
        /// The ID.
        id: StorageId,
        /// Our group.
        group: GroupName,
    },
    /// The trackers have another address of this storage than it is to be known by.
    #[error(
        "the trackers have this storage at {seen}, and advertise_addr is {advertised}: let it reach the trackers from that \
         address (bind_addr), or give it an id (trackers: use_storage_id, trust_storage_server_id and a line with \
         {advertised} in storage_ids.conf; here: server_id)"
    )]
    OtherAddress {
        /// What the trackers have.
        seen: String,
        /// What was meant.
        advertised: String,
    },
    /// The trackers see the address of a bridge between containers.
    #[error(
        "the trackers see this storage at {ip}, the address of {interface}, under which others do not reach it: name the \
         right address by bind_addr, or by advertise_addr"
    )]
    BridgeAddress {
        /// What they see.
        ip: IpAddr,
        /// The bridge.
        interface: String,
    },
    /// The trackers see a gateway of this storage.
    #[error(
        "the trackers see this storage at {ip}, which is its gateway and not the storage: give the storage an id (trackers: \
         use_storage_id, trust_storage_server_id and a line with its address in storage_ids.conf; here: server_id), or \
         confirm the address by advertise_addr"
    )]
    GatewayAddress {
        /// What they see.
        ip: IpAddr,
    },
    /// File names shall carry the ID, and it is not a number.
    #[error("storage id {id} is not a number from 1 to 16777215, as file names need it")]
    NotANumber {
        /// The ID.
        id: StorageId,
    },
    /// File names carry an IPv4 address or an ID, and there is neither.
    #[error("a storage with IPv6 only needs storage ids and id_type_in_filename = id on its trackers")]
    OnlyIpv6,
    /// The secret of the cluster cannot be used.
    #[error("cluster_secret_file: {0}")]
    Secret(#[from] SecretFileError),
    /// The disk is not usable.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// State cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// The system refused something else.
    #[error("{action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
}

/// Why a request is refused; one table says by which status.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    /// The request itself is wrong.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// It is about another group.
    #[error("request for group {0}")]
    OtherGroup(GroupName),
    /// A command that this server does not know.
    #[error("unknown command")]
    UnknownCommand,
    /// The store says no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A peer's change has been made before.
    #[error("it is here already")]
    Has,
    /// A peer's change needs what is not here.
    #[error("what it changes is not here")]
    Lacks,
    /// The trunk server says no.
    #[error(transparent)]
    Trunk(#[from] AllocError),
    /// A peer's command from somebody else.
    #[error("{0} is no member of the group")]
    Stranger(IpAddr),
    /// A file of a kind that readers on this machine get over TCP like others.
    #[error("files of this kind are not lent")]
    NotLent,
    /// A private file, for somebody who has not proved the secret of the cluster.
    #[error("the file is private: it is for those alone who know the secret of the cluster")]
    Private,
    /// A private file is to be made, and nothing would keep it from strangers.
    #[error("private files need a secret of the cluster: set cluster_secret_file at every member")]
    NoSecret,
    /// A file could not be read while it was sent.
    #[error("file could not be read")]
    Read(#[source] io::Error),
    /// The end of a framed upload does not fit what came before.
    #[error("{announced:?} was announced, {came:?} came")]
    Damaged {
        /// What the end says.
        announced: Trailer,
        /// What came.
        came: Trailer,
    },
    /// A second member must have the change, and nobody is there.
    #[error(
        "no other member of the group is ACTIVE and on_deadline = refuse: start one, or set on_deadline = fallback"
    )]
    NoSecondMember,
    /// A second member must have the change, and those before it are still on their way.
    #[error("earlier changes of the same file are still on their way to a second member")]
    NoTurn,
    /// The file is not here, and somebody who may have it cannot be asked.
    #[error("it is not here, and a member that may have it cannot be asked now")]
    Unreachable,
    /// An appender file is changed at its source, which is away.
    #[error(
        "appender files are changed at the storage that accepted them, which is not ACTIVE or does not answer: try again, or remove it from the group"
    )]
    SourceAway,
    /// A member that has the file refuses the request.
    #[error("the member that has the file answers {0}")]
    Told(Status),
    /// No second member has the change, which was taken back.
    #[error("no second member has it, so it was taken back")]
    TakenBack(#[source] Failure),
    /// No second member is known to have the change, which stays.
    #[error("no second member is known to have it; it stays here, and the others get it later")]
    Alone(#[source] Failure),
    /// Work on the disk was given up because the server ends.
    #[error("the server is ending")]
    Ending,
}

impl Refusal {
    /// The status of the answer.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Request(_) | Self::OtherGroup(_) | Self::UnknownCommand | Self::Damaged { .. } => {
                Status::EINVAL
            }
            Self::Trunk(AllocError::NotInOffice | AllocError::Invalid(_)) => Status::EINVAL,
            Self::Trunk(AllocError::Unknown) => Status::ENOENT,
            Self::Trunk(AllocError::IsFree) => Status::EEXIST,
            Self::Trunk(AllocError::Store(error)) => Status(error.errno()),
            Self::Has => Status::EEXIST,
            Self::Lacks => Status::ENOENT,
            Self::Stranger(_) => Status::EPERM,
            Self::Private => Status::EACCES,
            Self::NoSecret | Self::NotLent => Status::EOPNOTSUPP,
            Self::NoSecondMember
            | Self::NoTurn
            | Self::TakenBack(_)
            | Self::Unreachable
            | Self::SourceAway => Status::EAGAIN,
            Self::Told(status) => *status,
            Self::Alone(_) => Status::ETIMEDOUT,
            Self::Store(error) => Status(error.errno()),
            Self::Read(_) | Self::Ending => Status::EIO,
        }
    }
}
