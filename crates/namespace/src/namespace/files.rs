//! Which files are used, and which may be deleted.

use std::time::Duration;

use fdfs_types::FileId;

use super::{Namespace, after, now_ms};
use crate::content::{self, FreedFile};
use crate::error::NamespaceError;

impl Namespace {
    /// Up to `limit` inodes that use the file.
    pub async fn users_of(&self, file: &FileId, limit: usize) -> Result<Vec<u64>, NamespaceError> {
        let file = file.to_string();
        self.read(move |read| content::users(read, &file, limit)).await
    }

    /// True while a name or a part uses the file.
    pub async fn is_named(&self, file: &FileId) -> Result<bool, NamespaceError> {
        let file = file.to_string();
        self.read(move |read| content::is_named(read, &file)).await
    }

    /// Has files deleted that were uploaded and never got a name.
    pub async fn free_unnamed(&self, files: Vec<FileId>) -> Result<(), NamespaceError> {
        self.write(move |tx| content::free_unnamed(tx, &files)).await
    }

    /// Has files deleted that a session which is gone left without a name, once nobody can read them any more; how many.
    pub async fn free_left(&self, files: Vec<FileId>) -> Result<u64, NamespaceError> {
        self.write(move |tx| content::free_left(tx, &files)).await
    }

    /// Which of the files a name or a part uses, in their order.
    pub async fn are_named(&self, files: Vec<FileId>) -> Result<Vec<bool>, NamespaceError> {
        self.read(move |read| files.iter().map(|file| content::is_named(read, &file.to_string())).collect())
            .await
    }

    /// Up to `limit` files that were freed before `before` (milliseconds since 1970) and may be deleted now.
    pub async fn freed(&self, before: u64, limit: usize) -> Result<Vec<FreedFile>, NamespaceError> {
        let (mut files, mut from) = (Vec::new(), None);
        loop {
            // Files whose deletion failed and is not due again do not hide those behind them.
            let (page, next) =
                self.read(move |read| content::freed(read, from.as_deref(), before, now_ms())).await?;
            files.extend(page);
            if files.len() >= limit || next.is_none() {
                files.truncate(limit);
                return Ok(files);
            }
            from = next;
        }
    }

    /// Says that a freed file is deleted, or that this failed and is to be tried again later.
    pub async fn freed_done(
        &self,
        file: FreedFile,
        retry_in: Option<Duration>,
    ) -> Result<(), NamespaceError> {
        self.write(move |tx| content::freed_done(tx, &file, retry_in.map(after))).await
    }
}
