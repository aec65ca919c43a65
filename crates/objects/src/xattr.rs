//! Extended attributes: the user's, the read-only ones of ours, and what of them also stands at the file.

use std::fmt::Display;
use std::sync::Arc;

use fdfs_namespace::{ExtendedAttributes, Kind, Mirrored, ROOT, SetMode};
use fdfs_types::{FileId, Metadata, Source};
use tracing::warn;

use crate::error::ObjectsError;
use crate::info::{ObjectInfo, split_record};
use crate::objects::Objects;

/// All attributes that a caller may see.
pub(crate) fn all(info: &ObjectInfo) -> ExtendedAttributes {
    let mut all = info.extended.clone();
    let mut add =
        |name: &str, value: String| all.insert([RESERVED, name.as_bytes()].concat(), value.into_bytes());
    if let Some(etag) = info.etag() {
        add("etag", etag.to_string());
    }
    if let Some(file_id) = &info.file_id {
        add("file_id", file_id.to_string());
        add("group", file_id.group.to_string());
        if let Ok(fields) = file_id.filename.fields() {
            let source = match fields.source {
                Source::Ip(address) => address.to_string(),
                Source::Id(id) => id.get().to_string(),
            };
            add("source", source);
            add("create_time", fields.created.to_string());
            add("crc32", format!("{:08x}", fields.crc32));
        }
        let mirrored = match info.mirrored {
            Mirrored::None => "none",
            Mirrored::Whole => "mirrored",
            Mirrored::Partial => "partial",
        };
        add("metadata", mirrored.to_owned());
    }
    all
}

/// Writes the `user.` attributes that fit FastDFS's limits to the file's metadata; says how much that is. A file without any is
/// left alone. Failing costs the mirror, not the write.
pub(crate) async fn mirror(
    objects: &Objects,
    file: Option<&FileId>,
    extended: &ExtendedAttributes,
) -> Mirrored {
    let (metadata, mirrored) = fitting(extended);
    let Some(file) = file.filter(|_| !metadata.is_empty()) else { return Mirrored::None };
    match objects.files.set_metadata(file, &metadata).await {
        Ok(()) => mirrored,
        Err(error) => {
            metrics::counter!("fdfs_objects_mirror_failures_total").increment(1);
            warn!(file_id = %file, %error, "metadata not mirrored");
            Mirrored::None
        }
    }
}

impl Objects {
    /// All extended attributes of an inode: the user's and the read-only ones that cost no further look. `user.fdfs.hidden` and
    /// `user.fdfs.replicas` answer to their names alone.
    pub async fn list_extended(&self, inode: u64) -> Result<ExtendedAttributes, ObjectsError> {
        let info = self.inode_info(inode).await?;
        Ok(all(&info))
    }

    /// One extended attribute of an inode.
    pub async fn get_extended(&self, inode: u64, name: &[u8]) -> Result<Vec<u8>, ObjectsError> {
        let info = self.inode_info(inode).await?;
        match name {
            HIDDEN if info.attributes.kind == Kind::Directory && !info.raw => self.hidden_in(inode).await,
            REPLICAS => match &info.file_id {
                Some(file) => Ok(lines(self.files.replicas(file).await?)),
                None => Err(ObjectsError::NoAttribute),
            },
            name => all(&info).remove(name).ok_or(ObjectsError::NoAttribute),
        }
    }

    /// Names in a directory that a mount cannot show, a line each, percent-encoded; as many as an attribute can hold.
    async fn hidden_in(&self, inode: u64) -> Result<Vec<u8>, ObjectsError> {
        let (mut text, mut after) = (Vec::new(), None);
        if inode == ROOT {
            return Ok(text);
        }
        loop {
            let (names, next) = self.names.hidden_names(inode, after).await?;
            for name in names {
                let line = percent_encoded(&name);
                if text.len() + line.len() + 1 + MORE.len() > MAX_VALUE {
                    text.extend_from_slice(MORE);
                    return Ok(text);
                }
                text.extend_from_slice(line.as_bytes());
                text.push(b'\n');
            }
            after = next;
            if after.is_none() {
                return Ok(text);
            }
        }
    }

    /// Sets an extended attribute of an inode.
    pub async fn set_extended(
        self: &Arc<Self>,
        inode: u64,
        name: &[u8],
        value: &[u8],
        mode: SetMode,
    ) -> Result<(), ObjectsError> {
        self.change_extended(inode, name, Some(value), mode).await
    }

    /// Removes an extended attribute of an inode.
    pub async fn remove_extended(self: &Arc<Self>, inode: u64, name: &[u8]) -> Result<(), ObjectsError> {
        self.change_extended(inode, name, None, SetMode::Any).await
    }

    async fn change_extended(
        self: &Arc<Self>,
        inode: u64,
        name: &[u8],
        value: Option<&[u8]>,
        mode: SetMode,
    ) -> Result<(), ObjectsError> {
        if name.starts_with(RESERVED) {
            return Err(ObjectsError::NotPermitted("this attribute is read-only"));
        }
        if let Some(path) = self.raw_inodes.path(inode) {
            return self.raw_set_extended(&path?, name, value, mode).await;
        }
        let (info, extents) = split_record(self.names.record(inode).await?);
        check_mode(info.extended.contains_key(name), value, mode)?;
        let mut extended = info.extended.clone();
        match value {
            Some(value) => extended.insert(name.to_vec(), value.to_vec()),
            None => extended.remove(name),
        };
        // A file that other names share, or that others uploaded, keeps its metadata as it is.
        let is_foreign = extents.iter().any(|extent| extent.foreign);
        let mirrored = match &info.file_id {
            Some(file) if !is_foreign && self.names.users_of(file, 2).await?.len() == 1 => {
                if extended.is_empty() && info.mirrored != Mirrored::None {
                    let emptied = self.files.set_metadata(file, &Metadata::new()).await;
                    emptied.map_or(info.mirrored, |()| Mirrored::None)
                } else {
                    mirror(self, Some(file), &extended).await
                }
            }
            _ => Mirrored::None,
        };
        Ok(self.names.set_extended(inode, name, value, mode, mirrored).await?)
    }
}

/// Refuses what the namespace will refuse, before the file's metadata is touched.
fn check_mode(is_set: bool, value: Option<&[u8]>, mode: SetMode) -> Result<(), ObjectsError> {
    match (is_set, value, mode) {
        (true, Some(_), SetMode::Create) => Err(ObjectsError::AlreadyExists),
        (false, Some(_), SetMode::Replace) | (false, None, _) => Err(ObjectsError::NoAttribute),
        _ => Ok(()),
    }
}

/// The attributes that FastDFS metadata can hold, by their short names.
fn fitting(extended: &ExtendedAttributes) -> (Metadata, Mirrored) {
    let mut metadata = Metadata::new();
    let (mut all, mut size) = (true, 0);
    for (name, value) in extended {
        let Some(name) = name.strip_prefix(USER) else { continue };
        size += name.len() + value.len() + 2;
        let fits = size <= MAX_METADATA && !name.is_empty() && metadata.insert(name, value).is_ok();
        all &= fits;
    }
    (metadata, if all { Mirrored::Whole } else { Mirrored::Partial })
}

/// Texts, a line each.
fn lines<T: Display>(items: Vec<T>) -> Vec<u8> {
    items.into_iter().map(|item| format!("{item}\n")).collect::<String>().into_bytes()
}

/// A name in plain ASCII: every other byte, and `%`, as `%XX`.
fn percent_encoded(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name {
        match byte {
            b'%' | 0..=b' ' | 0x7f.. => text.push_str(&format!("%{byte:02X}")),
            byte => text.push(char::from(*byte)),
        }
    }
    text
}

/// Names in a directory that a mount cannot show.
const HIDDEN: &[u8] = b"user.fdfs.hidden";
/// The storages that have a file.
const REPLICAS: &[u8] = b"user.fdfs.replicas";
/// The longest value that Linux hands out.
const MAX_VALUE: usize = 64 * 1024;
/// The last line where there are more.
const MORE: &[u8] = b"...\n";
/// Attributes of ours: read-only.
pub(crate) const RESERVED: &[u8] = b"user.fdfs.";
/// What FastDFS metadata is shown under.
pub(crate) const USER: &[u8] = b"user.";
/// Metadata that fits into one packet of an original storage with its default buffer.
const MAX_METADATA: usize = 200 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fastdfs_metadata_cannot_hold_stays_at_the_inode() {
        let mut extended = ExtendedAttributes::new();
        extended.insert(b"user.width".to_vec(), b"1024".to_vec());
        let (metadata, mirrored) = fitting(&extended);
        assert_eq!((metadata.get(b"width"), mirrored), (Some(&b"1024"[..]), Mirrored::Whole));

        extended.insert(b"user.long".to_vec(), vec![b'x'; 257]);
        extended.insert(b"security.selinux".to_vec(), b"x".to_vec());
        let (metadata, mirrored) = fitting(&extended);
        assert_eq!((metadata.len(), mirrored), (1, Mirrored::Partial));
    }
}
