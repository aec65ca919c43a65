//! Which group and file a request is about.

use fdfs_proto::{
    ours::{ForgetOwnedRequest, HelloRequest, JoinFilesRequest, ListOwnedRequest, ListRawRequest},
    storage::{
        DeleteRequest, DownloadRequest, FileInfoRequest, GetMetadataRequest, SetMetadataRequest,
        TruncateRequest,
    },
};
use fdfs_types::{GroupName, RemoteFilename};

/// A request about one file.
pub(super) trait Named {
    /// The group, where the request names one.
    fn group(&self) -> Option<&GroupName>;

    /// The file.
    fn filename(&self) -> Option<&RemoteFilename>;
}

macro_rules! by_file_id {
    ($($request:ty),+) => {$(
        impl Named for $request {
            fn group(&self) -> Option<&GroupName> {
                Some(&self.file_id.group)
            }

            fn filename(&self) -> Option<&RemoteFilename> {
                Some(&self.file_id.filename)
            }
        }
    )+};
}

macro_rules! by_filename {
    ($($request:ty),+) => {$(
        impl Named for $request {
            fn group(&self) -> Option<&GroupName> {
                None
            }

            fn filename(&self) -> Option<&RemoteFilename> {
                Some(&self.filename)
            }
        }
    )+};
}

by_file_id!(DeleteRequest, DownloadRequest, FileInfoRequest, GetMetadataRequest, SetMetadataRequest);
macro_rules! by_group {
    ($($request:ty),+) => {$(
        impl Named for $request {
            fn group(&self) -> Option<&GroupName> {
                Some(&self.group)
            }

            fn filename(&self) -> Option<&RemoteFilename> {
                None
            }
        }
    )+};
}

by_filename!(TruncateRequest);
by_group!(ForgetOwnedRequest, JoinFilesRequest, ListOwnedRequest, ListRawRequest);

impl Named for HelloRequest {
    fn group(&self) -> Option<&GroupName> {
        None
    }

    fn filename(&self) -> Option<&RemoteFilename> {
        None
    }
}
