//! What a storage counts: in its heart beats, and in the tracker's lists.
//!
//! Three numbers of connections in four bytes each, then 42 numbers of eight bytes: 19 pairs of attempts and
//! successes, and four times.

use fdfs_types::Timestamp;

use crate::{Decode, DecodeError, Encode, Reader, Writer};

/// What a storage counts since its start, 348 bytes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StorageStat {
    /// Connections from clients and peers.
    pub connections: Connections,
    /// Uploads.
    pub upload: Counter,
    /// Appends.
    pub append: Counter,
    /// Modifications in place.
    pub modify: Counter,
    /// Truncations.
    pub truncate: Counter,
    /// Metadata set.
    pub set_metadata: Counter,
    /// Deletions.
    pub delete: Counter,
    /// Downloads.
    pub download: Counter,
    /// Metadata read.
    pub get_metadata: Counter,
    /// Links made.
    pub create_link: Counter,
    /// Links removed.
    pub delete_link: Counter,
    /// Bytes of uploads.
    pub upload_bytes: Counter,
    /// Bytes of appends.
    pub append_bytes: Counter,
    /// Bytes of modifications.
    pub modify_bytes: Counter,
    /// Bytes of downloads.
    pub download_bytes: Counter,
    /// Bytes received from peers.
    pub sync_in_bytes: Counter,
    /// Bytes sent to peers.
    pub sync_out_bytes: Counter,
    /// Files opened.
    pub file_open: Counter,
    /// Reads from files.
    pub file_read: Counter,
    /// Writes to files.
    pub file_write: Counter,
    /// Last change by a client.
    pub last_source_update: Timestamp,
    /// Last change by a peer.
    pub last_sync_update: Timestamp,
    /// Up to when it has the files of its peers; filled by the tracker.
    pub last_synced: Timestamp,
    /// Last heart beat; filled by the tracker.
    pub last_heart_beat: Timestamp,
}

/// How often something was tried, and how often it succeeded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counter {
    /// Attempts.
    pub total: u64,
    /// Successes.
    pub success: u64,
}

/// Numbers of connections of a server.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Connections {
    /// Those with memory set aside.
    pub allocated: i32,
    /// Those open now.
    pub current: i32,
    /// The most that were ever open.
    pub max: i32,
}

impl StorageStat {
    /// Size on the wire.
    pub const LEN: usize = 348;
}

impl Encode for StorageStat {
    fn write(&self, writer: &mut Writer<'_>) {
        self.connections.write(writer);
        for counter in [
            self.upload,
            self.append,
            self.modify,
            self.truncate,
            self.set_metadata,
            self.delete,
            self.download,
            self.get_metadata,
            self.create_link,
            self.delete_link,
            self.upload_bytes,
            self.append_bytes,
            self.modify_bytes,
            self.download_bytes,
            self.sync_in_bytes,
            self.sync_out_bytes,
            self.file_open,
            self.file_read,
            self.file_write,
        ] {
            writer.u64(counter.total);
            writer.u64(counter.success);
        }
        writer.time(self.last_source_update);
        writer.time(self.last_sync_update);
        writer.time(self.last_synced);
        writer.time(self.last_heart_beat);
    }
}

impl Decode for StorageStat {
    const NAME: &'static str = "StorageStat";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let connections = Connections::read(reader)?;
        let mut counter = |field| -> Result<Counter, DecodeError> {
            Ok(Counter { total: reader.u64(field)?, success: reader.u64(field)? })
        };
        Ok(Self {
            connections,
            upload: counter("uploads")?,
            append: counter("appends")?,
            modify: counter("modifications")?,
            truncate: counter("truncations")?,
            set_metadata: counter("metadata set")?,
            delete: counter("deletions")?,
            download: counter("downloads")?,
            get_metadata: counter("metadata read")?,
            create_link: counter("links made")?,
            delete_link: counter("links removed")?,
            upload_bytes: counter("upload bytes")?,
            append_bytes: counter("append bytes")?,
            modify_bytes: counter("modify bytes")?,
            download_bytes: counter("download bytes")?,
            sync_in_bytes: counter("sync in bytes")?,
            sync_out_bytes: counter("sync out bytes")?,
            file_open: counter("files opened")?,
            file_read: counter("file reads")?,
            file_write: counter("file writes")?,
            last_source_update: reader.time("last source update")?,
            last_sync_update: reader.time("last sync update")?,
            last_synced: reader.time("last synced")?,
            last_heart_beat: reader.time("last heart beat")?,
        })
    }
}

impl Encode for Connections {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.i32(self.allocated);
        writer.i32(self.current);
        writer.i32(self.max);
    }
}

impl Decode for Connections {
    const NAME: &'static str = "Connections";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            allocated: reader.i32("connections allocated")?,
            current: reader.i32("connections current")?,
            max: reader.i32("connections max")?,
        })
    }
}
