//! Storing a file, and telling about it.

use std::net::SocketAddr;
use std::path::Path;

use fdfs_client::{ClientError, UploadKind, UploadSpec};
use fdfs_proto::storage::MetadataMode;
use fdfs_types::{Extension, FileId, Metadata};

use super::report;
use crate::legacy::arguments::{Arguments, say};
use crate::legacy::session::Session;
use crate::legacy::upload::send;
use crate::tools::words::local_time;

/// How content is handed over. It is the same to this program; the names of the slaves tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Manner {
    Filename,
    Buffer,
    Callback,
}

impl Manner {
    pub fn parse(text: Option<&str>) -> Self {
        match text {
            Some("BUFF") => Self::Buffer,
            Some("CALLBACK") => Self::Callback,
            _ => Self::Filename,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Filename => "filename",
            Self::Buffer => "filebuff",
            Self::Callback => "callback",
        }
    }

    fn slave_prefix(self) -> &'static str {
        match self {
            Self::Filename => "_big",
            Self::Buffer => "1024x1024",
            Self::Callback => "-small",
        }
    }
}

/// Stores a file with metadata, and once more beside it.
pub fn upload(session: &Session, arguments: &Arguments) -> Result<(), i32> {
    let local = arguments.get(2).unwrap_or_default();
    let manner = Manner::parse(arguments.get(3));
    let placed = session.runtime.block_on(async {
        let stores = session.client.stores().await?;
        Ok((stores, session.client.place(None).await?))
    });
    let (stores, place) =
        placed.map_err(|error: ClientError| report("tracker_query_storage", &error.into()))?;
    say("tracker_query_storage_store_list_without_group: ");
    for (index, storage) in stores.iter().enumerate() {
        say(format_args!("\tserver {}. group_name=, {}", index + 1, of_address(*storage)));
    }
    say(format_args!("\ngroup_name={}, {}", place.group, of_address(place.storage)));

    say(format_args!("storage_upload_by_{}", manner.name()));
    let extension = Extension::from_local_name(local);
    let spec = UploadSpec {
        storage: Some(place.storage),
        store_path: place.store_path,
        ..UploadSpec::new(extension)
    };
    let fail = |error: anyhow::Error| report("upload file", &error);
    let master = send(session, spec, Path::new(local)).map_err(fail)?;
    let set = session.client.set_metadata(&master, MetadataMode::Overwrite, sample_metadata());
    session.runtime.block_on(set).map_err(|error| fail(error.into()))?;
    describe(session, &master, place.storage, "example file url")?;

    say(format_args!("storage_upload_slave_by_{}", manner.name()));
    let prefix = manner.slave_prefix().parse().map_err(|error| fail(anyhow::Error::from(error)))?;
    let kind = UploadKind::Slave { master, prefix };
    let slave = send(session, UploadSpec::new(extension).of_kind(kind), Path::new(local)).map_err(fail)?;
    describe(session, &slave, place.storage, "example file url")
}

/// Prints what is known about a file.
pub fn describe(session: &Session, id: &FileId, storage: SocketAddr, url: &str) -> Result<(), i32> {
    say(format_args!("group_name={}, remote_filename={}", id.group, id.filename));
    print_info(session, id, true)?;
    say(format_args!("{url}: {}", session.url(storage, id)));
    Ok(())
}

/// Prints size, time and checksum of a file.
pub fn print_info(session: &Session, id: &FileId, with_crc32: bool) -> Result<(), i32> {
    let info = session.runtime.block_on(session.client.file_info(id));
    let info = info.map_err(|error| report("query file info", &error.into()))?;
    let source = info.source.map_or_else(String::new, |ip| ip.to_string());
    say(format_args!("source ip address: {source}"));
    say(format_args!("file timestamp={}", local_time(info.created)));
    say(format_args!("file size={}", info.size));
    if with_crc32 {
        say(format_args!("file crc32={}", info.crc32));
    }
    Ok(())
}

/// What the original sets as metadata of its test file.
fn sample_metadata() -> Metadata {
    let mut metadata = Metadata::new();
    for (name, value) in [("ext_name", "jpg"), ("file_size", "115120"), ("height", "80"), ("width", "160")] {
        metadata.insert(name.as_bytes(), value.as_bytes()).expect("it is short text");
    }
    metadata
}

fn of_address(address: SocketAddr) -> String {
    format!("ip_addr={}, port={}", address.ip(), address.port())
}
