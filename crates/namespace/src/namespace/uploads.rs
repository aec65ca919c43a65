//! Multipart uploads, from their creation to the join of their parts.

use std::ops::Range;
use std::time::Duration;

use super::{Namespace, after, now_ms};
use crate::attributes::{Attributes, Extent, Mirrored};
use crate::error::NamespaceError;
use crate::tree::shared::ContentSource;
use crate::uploads::{
    self, Completed, Completion, NewUpload, ObjectPart, Part, PartPlacement, Upload, UploadId, UploadPage,
    UploadQuery, WaitingJoin,
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
            let from = after.as_ref().map(|(key, upload_id)| uploads::after(root, key, *upload_id));
            uploads::list(read, root, &prefix, &from.unwrap_or_default(), limit)
        })
        .await
    }

    /// One page of uploads under way, rolled up by a delimiter.
    pub async fn list_uploads(&self, root: u64, query: UploadQuery) -> Result<UploadPage, NamespaceError> {
        self.read(move |read| uploads::page(read, root, &query)).await
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

    /// Keeps as a part a range of what is already there: no byte moves. `part.extents` and `size` are ignored. False where the part would be of
    /// too many pieces: then nothing is done.
    pub async fn share_part(
        &self,
        root: u64,
        key: &[u8],
        upload_id: UploadId,
        part: Part,
        source: ContentSource,
        range: Range<u64>,
    ) -> Result<bool, NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| uploads::share_part(tx, root, &key, upload_id, &part, &source, &range)).await
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
    pub async fn complete_upload(
        &self,
        root: u64,
        key: &[u8],
        upload_id: UploadId,
        completion: Completion,
    ) -> Result<Completed, NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| uploads::complete(tx, root, &key, upload_id, &completion)).await
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
        self.read(move |read| uploads::waiting_joins(read, false, now_ms(), limit)).await
    }

    /// Objects whose content is to be read and written anew, as no storage can join its parts where they are.
    pub async fn waiting_rewrites(&self, limit: usize) -> Result<Vec<WaitingJoin>, NamespaceError> {
        self.read(move |read| uploads::waiting_joins(read, true, now_ms(), limit)).await
    }

    /// Moves an object from the ones to the others.
    pub async fn needs_rewrite(&self, inode: u64) -> Result<(), NamespaceError> {
        self.write(move |tx| uploads::needs_rewrite(tx, inode)).await
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

    /// The parts that an object was made of; none for one that was put whole.
    pub async fn object_parts(&self, inode: u64) -> Result<Vec<ObjectPart>, NamespaceError> {
        self.read(move |read| uploads::object_parts(read, inode)).await
    }
}
