//! Parts of a content that are written anew, while the rest stays.

use std::ops::Range;

use fdfs_namespace::{Attributes, ETag, Extent, Patch};

/// Parts of a content that are written anew, while the rest stays.
#[derive(Clone, Debug)]
pub struct ContentPatch {
    base: Option<(Option<ETag>, u64)>,
    kept: u64,
    parts: Vec<Range<u64>>,
    size: u64,
}

impl ContentPatch {
    /// Parts (in order, neither empty nor overlapping) of a content that has `size` bytes then. Of what is in none of them the first `kept` bytes are
    /// those of `base`, the content as its attributes were when it was read; the others are zeros. Without a base nothing is kept.
    pub fn new(base: Option<&Attributes>, kept: u64, parts: Vec<Range<u64>>, size: u64) -> Self {
        let base = base.map(|attributes| (attributes.etag, attributes.size));
        Self { base, kept, parts, size }
    }

    /// Bytes of all parts together.
    pub fn written(&self) -> u64 {
        self.parts.iter().map(|part| part.end - part.start).sum()
    }

    /// The patch whose parts stand in `file`, one after the other.
    pub(crate) fn with_file(self, file: Option<Extent>) -> Patch {
        let mut file_offset = 0;
        let parts = self.parts.into_iter().filter_map(|part| {
            let length = part.end - part.start;
            let extent = Extent { offset: part.start, length, file_offset, ..file.clone()? };
            file_offset += length;
            Some(extent)
        });
        Patch { base: self.base, kept: self.kept, size: self.size, parts: parts.collect() }
    }
}
