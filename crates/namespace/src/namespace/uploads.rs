//! Multipart uploads, from their creation to the join of their parts.

use std::time::Duration;

use super::{Namespace, after, now_ms};
use crate::attributes::{Attributes, ETag, Extent, Mirrored};
use crate::error::NamespaceError;
use crate::tree::keyed::Preconditions;
use crate::uploads::{
    self, CompletePart, Completed, NewUpload, Part, PartPlacement, Upload, UploadId, WaitingJoin,
};

impl Namespace {
    /// Begins a multipart upload.
    pub async fn create_upload(
        &self,
        root: u64,
        key: &[u8],
        new: NewUpload,
    ) -> Result<UploadId, NamespaceError> {
        let (key, upload_id) = (key.to_vec(), UploadId::random());
        self.write(move |tx| uploads::create(tx, root, &key, upload_id, &new)).await?;
        Ok(upload_id)
    }

    /// An upload under way.
    pub async fn upload(&self, root: u64, key: &[u8], upload_id: UploadId) -> Result<Upload, NamespaceError> {
        let key = key.to_vec();
        self.read(move |read| uploads::get(read, root, &key, upload_id)).await
    }

    /// Uploads under way of keys that begin with `prefix`, after the given one.
    pub async fn uploads(
        &self,
        root: u64,
        prefix: &[u8],
        after: Option<(Vec<u8>, UploadId)>,
        limit: usize,
    ) -> Result<Vec<Upload>, NamespaceError> {
        let prefix = prefix.to_vec();
        self.read(move |read| {
            let after = after.as_ref().map(|(key, upload_id)| (key.as_slice(), *upload_id));
            uploads::list(read, root, &prefix, after, limit)
        })
        .await
    }

    /// Fixes where the parts of an upload go, unless that is fixed already; answers where they go.
    pub async fn place_upload(
        &self,
        root: u64,
        key: &[u8],
        upload_id: UploadId,
        placement: PartPlacement,
    ) -> Result<PartPlacement, NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| uploads::place(tx, root, &key, upload_id, &placement)).await
    }

    /// Keeps a part.
    pub async fn put_part(
        &self,
        root: u64,
        key: &[u8],
        upload_id: UploadId,
        part: Part,
    ) -> Result<(), NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| uploads::put_part(tx, root, &key, upload_id, &part)).await
    }

    /// Parts of an upload after the number `after`.
    pub async fn parts(
        &self,
        root: u64,
        key: &[u8],
        upload_id: UploadId,
        after: u16,
        limit: usize,
    ) -> Result<Vec<Part>, NamespaceError> {
        let key = key.to_vec();
        self.read(move |read| uploads::parts(read, root, &key, upload_id, after, limit)).await
    }

    /// Makes the object of the named parts.
    #[expect(clippy::too_many_arguments, reason = "each is a field of the request")]
    pub async fn complete_upload(
        &self,
        root: u64,
        key: &[u8],
        upload_id: UploadId,
        parts: Vec<CompletePart>,
        etag: ETag,
        min_part: u64,
        preconditions: Preconditions,
    ) -> Result<Completed, NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| {
            uploads::complete(tx, root, &key, upload_id, &parts, etag, min_part, &preconditions)
        })
        .await
    }

    /// Ends an upload without an object.
    pub async fn abort_upload(
        &self,
        root: u64,
        key: &[u8],
        upload_id: UploadId,
    ) -> Result<(), NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| uploads::abort(tx, root, &key, upload_id)).await
    }

    /// Objects whose parts wait to be joined.
    pub async fn waiting_joins(&self, limit: usize) -> Result<Vec<WaitingJoin>, NamespaceError> {
        self.read(move |read| uploads::waiting_joins(read, now_ms(), limit)).await
    }

    /// Swaps the joined file in for the parts.
    pub async fn joined(
        &self,
        inode: u64,
        parts: Vec<Extent>,
        whole: Extent,
        mirrored: Mirrored,
    ) -> Result<Attributes, NamespaceError> {
        self.write(move |tx| uploads::joined(tx, inode, &parts, &whole, mirrored)).await
    }

    /// Notes that a join failed, and after which time to try again; none: never.
    pub async fn join_failed(&self, inode: u64, retry_in: Option<Duration>) -> Result<(), NamespaceError> {
        self.write(move |tx| uploads::join_failed(tx, inode, retry_in.map(after))).await
    }

    /// Sizes of the parts that an object was made of; empty for one that was put whole.
    pub async fn part_sizes(&self, inode: u64) -> Result<Vec<u64>, NamespaceError> {
        self.read(move |read| uploads::part_sizes(read, inode)).await
    }
}
