//! Commands of ours without content: what we can do, lists of files, joining files, owners.

use std::net::IpAddr;

use fdfs_proto::{
    Empty,
    ours::{
        Capabilities, ForgetOwnedRequest, Hello, HelloRequest, JoinFilesRequest, ListOwnedRequest,
        ListOwnedResponse, ListRawRequest, ListRawResponse, RawFile,
    },
};
use fdfs_store::{ListedFile, NewFile, StorePathChoice};
use fdfs_types::{FileId, GroupName};

use super::{
    framed::check_concern,
    handle::{Handle, LARGE},
};
use crate::{error::Refusal, shared::Shared};

/// Tells what this storage can do.
impl Handle for HelloRequest {
    type Answer = Hello;

    fn may_wait(&self, _is_durable: bool) -> bool {
        false
    }

    fn handle(self, _shared: &Shared, _peer: IpAddr) -> Result<Hello, Refusal> {
        let capabilities = Capabilities::UPLOAD_FRAMED
            | Capabilities::LIST_RAW_FILES
            | Capabilities::JOIN_FILES
            | Capabilities::OWNERS;
        Ok(Hello { version: Hello::VERSION, capabilities, software: SOFTWARE.to_owned() })
    }
}

/// Makes one file of several.
impl Handle for JoinFilesRequest {
    type Answer = FileId;

    const LIMIT: usize = Self::MAX_LEN;

    fn group(&self) -> Option<GroupName> {
        Some(self.group)
    }

    fn may_wait(&self, _is_durable: bool) -> bool {
        true
    }

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<FileId, Refusal> {
        check_concern(self.write_concern)?;
        let store_path = StorePathChoice::Any;
        let new = NewFile { store_path, size: None, extension: self.extension, appender: false };
        let stored = shared.store.join(&self.parts, &new, self.owner)?;
        Ok(FileId { group: shared.group(), filename: stored.filename })
    }
}

/// Lists the files of a store path behind a name.
impl Handle for ListRawRequest {
    type Answer = ListRawResponse;

    fn group(&self) -> Option<GroupName> {
        Some(self.group)
    }

    fn may_wait(&self, _is_durable: bool) -> bool {
        true
    }

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<ListRawResponse, Refusal> {
        let limit = (self.limit as usize).clamp(1, MAX_LISTED);
        let listing = shared.store.list(self.store_path, self.after.as_ref(), limit)?;
        let raw =
            |file: ListedFile| RawFile { filename: file.filename, size: file.size, modified: file.modified };
        Ok(ListRawResponse {
            has_more: listing.has_more,
            files: listing.files.into_iter().map(raw).collect(),
        })
    }
}

/// Lists the files with tokens of a session.
impl Handle for ListOwnedRequest {
    type Answer = ListOwnedResponse;

    fn group(&self) -> Option<GroupName> {
        Some(self.group)
    }

    fn may_wait(&self, _is_durable: bool) -> bool {
        false
    }

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<ListOwnedResponse, Refusal> {
        let limit = (self.limit as usize).clamp(1, MAX_LISTED);
        let (files, has_more) = shared.store.owned_files(self.session, self.after, limit);
        Ok(ListOwnedResponse { has_more, files })
    }
}

/// Forgets tokens.
impl Handle for ForgetOwnedRequest {
    type Answer = Empty;

    const LIMIT: usize = LARGE;

    fn group(&self) -> Option<GroupName> {
        Some(self.group)
    }

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<Empty, Refusal> {
        shared.store.forget_owned_files(self.session, &self.sequences)?;
        Ok(Empty)
    }
}

/// Most files of one list.
const MAX_LISTED: usize = 1000;

const SOFTWARE: &str = concat!("fdfs ", env!("CARGO_PKG_VERSION"));
