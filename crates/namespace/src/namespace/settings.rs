//! Settings of buckets.

use std::sync::Arc;

use bytes::Bytes;

use super::Namespace;
use crate::error::NamespaceError;
use crate::settings::{self, BucketSettings};

impl Namespace {
    /// All settings of the bucket whose topmost directory is `root`: read once, and again when they change.
    pub async fn bucket_settings(&self, root: u64) -> Result<Arc<BucketSettings>, NamespaceError> {
        let mark = match self.shared.announce.settings.get(root) {
            Ok(known) => return Ok(known),
            Err(mark) => mark,
        };
        let settings = Arc::new(self.read(move |read| settings::load(read, root)).await?);
        self.shared.announce.settings.keep(mark, root, Arc::clone(&settings));
        Ok(settings)
    }

    /// Keeps a setting of a bucket; none forgets it.
    pub async fn set_bucket_setting(
        &self,
        root: u64,
        name: &str,
        value: Option<Bytes>,
    ) -> Result<(), NamespaceError> {
        let name = name.to_owned();
        self.write(move |tx| settings::set(tx, root, &name, value.as_ref())).await
    }
}
