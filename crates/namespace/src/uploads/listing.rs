//! Lists of uploads under way, rolled up by a delimiter, page by page.

use super::{Upload, UploadId, after, list};
use crate::engine::{PAGE, Read, prefix_end};
use crate::error::NamespaceError;
use crate::keys;

/// Which uploads to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UploadQuery {
    /// Only keys that begin with this.
    pub prefix: Vec<u8>,
    /// Roll keys up to the first occurrence of this after the prefix; empty for no rolling up.
    pub delimiter: Vec<u8>,
    /// Where the page before ended.
    pub after: Option<UploadMarker>,
    /// The most uploads and common prefixes together.
    pub limit: usize,
}

/// Where a page ends.
#[derive(Clone, Debug, PartialEq)]
pub struct UploadMarker {
    /// The last key or common prefix.
    pub key: Vec<u8>,
    /// The last upload of the key; none: all of its uploads.
    pub upload_id: Option<UploadId>,
}

/// One page of uploads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UploadPage {
    /// Uploads and common prefixes, in byte order.
    pub items: Vec<UploadItem>,
    /// Where the page ends, if there is more behind it.
    pub next: Option<UploadMarker>,
}

/// An upload or a common prefix.
#[derive(Clone, Debug, PartialEq)]
pub enum UploadItem {
    /// An upload.
    Upload(Box<Upload>),
    /// What the keys of several begin with, up to the delimiter.
    CommonPrefix(Vec<u8>),
}

/// One page of uploads.
pub(crate) fn page(read: &dyn Read, root: u64, query: &UploadQuery) -> Result<UploadPage, NamespaceError> {
    let limit = query.limit.min(PAGE);
    let mut page = UploadPage::default();
    let behind = |common: &[u8]| prefix_end(&keys::uploads(root, common));
    let mut from = match &query.after {
        None => keys::uploads(root, &query.prefix),
        Some(marker) => match (marker.upload_id, rolled_up(query, &marker.key)) {
            (None, Some(common)) if common.len() == marker.key.len() => behind(common),
            (upload_id, _) => after(root, &marker.key, upload_id.unwrap_or(LAST)),
        },
    };
    if limit == 0 {
        return Ok(page);
    }
    loop {
        let wanted = (limit + 1 - page.items.len()).min(PAGE);
        let uploads = list(read, root, &query.prefix, &from, wanted)?;
        let is_last = uploads.len() < wanted;
        let mut skip = None;
        for upload in uploads {
            if page.items.len() == limit {
                page.next = page.items.last().map(UploadItem::marker);
                return Ok(page);
            }
            from = after(root, &upload.key, upload.upload_id);
            if let Some(common) = rolled_up(query, &upload.key) {
                skip = Some(behind(common));
                page.items.push(UploadItem::CommonPrefix(common.to_vec()));
                break;
            }
            page.items.push(UploadItem::Upload(Box::new(upload)));
        }
        match skip {
            // What else is rolled up there is skipped by seeking anew.
            Some(skip) => from = skip,
            None if is_last => return Ok(page),
            None => {}
        }
    }
}

impl UploadItem {
    fn marker(&self) -> UploadMarker {
        match self {
            Self::Upload(upload) => {
                UploadMarker { key: upload.key.clone(), upload_id: Some(upload.upload_id) }
            }
            Self::CommonPrefix(common) => UploadMarker { key: common.clone(), upload_id: None },
        }
    }
}

fn rolled_up<'k>(query: &UploadQuery, key: &'k [u8]) -> Option<&'k [u8]> {
    if query.delimiter.is_empty() {
        return None;
    }
    let rest = key.strip_prefix(&query.prefix[..])?;
    let at = rest.windows(query.delimiter.len()).position(|window| window == query.delimiter)?;
    Some(&key[..query.prefix.len() + at + query.delimiter.len()])
}

/// Behind every upload of a key.
const LAST: UploadId = UploadId([0xff; 16]);
