//! `fdfs_test`: tries what a cluster can do.

use std::net::SocketAddr;
use std::path::Path;

use fdfs_client::{ByteRange, ClientError, UploadKind, UploadSpec};
use fdfs_proto::storage::MetadataMode;
use fdfs_types::{Extension, FileId, Metadata};

use super::arguments::{Arguments, say};
use super::download::{fetch, file_id};
use super::session::Session;
use super::upload::send;
use super::{VERSION, errno};
use crate::tools::words::local_time;

/// Tries one operation.
pub fn run(arguments: &Arguments) -> i32 {
    banner();
    let program = &arguments.program;
    let (Some(config), Some(operation), Some(_)) = (arguments.get(0), arguments.get(1), arguments.get(2))
    else {
        return match (arguments.get(0), arguments.get(1).and_then(operands)) {
            (Some(_), Some(operands)) => operation_usage(arguments, operands),
            _ => {
                say(format_args!("Usage: {program} <config_file> <operation>"));
                say("\toperation: upload, download, getmeta, setmeta, delete and query_servers");
                1
            }
        };
    };
    let session = match Session::connect(Path::new(config)) {
        Ok(session) => session,
        Err(code) => return code,
    };
    let done = match operation {
        "upload" => upload(&session, arguments),
        "download" | "getmeta" | "setmeta" | "delete" | "query_servers" => {
            with_file(&session, operation, arguments)
        }
        _ => {
            say(format_args!("invalid operation: {operation}"));
            Err(errno::EINVAL)
        }
    };
    done.map_or_else(|code| code, |()| 0)
}

/// The first lines of both test programs.
pub fn banner() {
    say(format_args!(
        "This is a client test program for FastDFS V{VERSION} and compatible clusters, of fdfs {}\n",
        env!("CARGO_PKG_VERSION")
    ));
}

fn operands(operation: &str) -> Option<&'static str> {
    match operation {
        "upload" => Some("<local_filename> [FILE | BUFF | CALLBACK] "),
        "download" | "getmeta" | "setmeta" | "delete" | "query_servers" => {
            Some("<group_name> <remote_filename>")
        }
        _ => None,
    }
}

fn operation_usage(arguments: &Arguments, operands: &str) -> i32 {
    let operation = arguments.get(1).unwrap_or_default();
    say(format_args!("Usage: {} <config_file> {operation} {operands}", arguments.program));
    errno::EINVAL
}

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
fn upload(session: &Session, arguments: &Arguments) -> Result<(), i32> {
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
    say(format_args!("{url}: http://{}/{id}", storage.ip()));
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

/// Does something with a file that exists.
fn with_file(session: &Session, operation: &str, arguments: &Arguments) -> Result<(), i32> {
    let (Some(group), Some(name)) = (arguments.get(2), arguments.get(3)) else {
        return Err(operation_usage(arguments, operands(operation).unwrap_or_default()));
    };
    let (id, storages) = match find(session, operation, group, name) {
        Ok(found) => found,
        Err(error) => {
            let what = if operation == "query_servers" { "list" } else { "fetch" };
            let what = format!("tracker_query_storage_{what} fail, group_name={group}, filename={name}");
            errno::log(&error);
            let code = errno::of(&error);
            say(format_args!("{what}, error no: {code}, error info: {}", errno::meaning(code)));
            return Err(code);
        }
    };
    if operation == "query_servers" {
        say(format_args!("server list ({}):", storages.len()));
        storages.iter().for_each(|storage| say(format_args!("\t{storage}")));
        say("");
        return Ok(());
    }
    if let Some(storage) = storages.first() {
        say(format_args!("storage={storage}"));
    }
    match operation {
        "download" => download(session, &id, arguments.get(4)),
        "getmeta" => get_metadata(session, &id),
        "setmeta" => return set_metadata(session, &id, arguments),
        _ => match session.runtime.block_on(session.client.delete(&id)) {
            Ok(()) => say("delete file success"),
            Err(error) => drop(report("delete file", &error.into())),
        },
    }
    // As with the original a failure of the storage is no failure to the shell.
    Ok(())
}

fn find(
    session: &Session,
    operation: &str,
    group: &str,
    name: &str,
) -> anyhow::Result<(FileId, Vec<SocketAddr>)> {
    let id = file_id(&format!("{group}/{name}"))?;
    let client = &session.client;
    let storages = session.runtime.block_on(async {
        Ok::<_, ClientError>(match operation {
            "query_servers" => client.storages_to_read(&id).await?,
            "download" | "getmeta" => vec![client.storage_to_read(&id).await?],
            _ => vec![client.storage_to_change(&id).await?],
        })
    })?;
    Ok((id, storages))
}

fn download(session: &Session, id: &FileId, target: Option<&str>) {
    let target = target.unwrap_or_else(|| id.filename.base_name());
    match fetch(session, id, ByteRange::ALL, Path::new(target)) {
        Ok(size) => say(format_args!("download file success, file size={size}, file save to {target}")),
        Err(error) => drop(report("download file", &error)),
    }
}

fn get_metadata(session: &Session, id: &FileId) {
    match session.runtime.block_on(session.client.metadata(id)) {
        Ok(metadata) => {
            say(format_args!("get meta data success, meta count={}", metadata.len()));
            for (name, value) in metadata.iter() {
                say(format_args!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
            }
        }
        Err(error) => drop(report("getmeta", &error.into())),
    }
}

fn set_metadata(session: &Session, id: &FileId, arguments: &Arguments) -> Result<(), i32> {
    let (Some(flag), Some(list)) = (arguments.get(4), arguments.get(5)) else {
        let operands = "<group_name> <remote_filename> <op_flag> <metadata_list>";
        let code = operation_usage(arguments, operands);
        say("\top_flag: O replaces what was there, M keeps other names");
        say("\tmetadata_list: name1=value1,name2=value2,...");
        return Err(code);
    };
    let mode = match flag.chars().next() {
        Some('O') => Ok(MetadataMode::Overwrite),
        Some('M') => Ok(MetadataMode::Merge),
        _ => Err(anyhow::Error::from(std::io::Error::from_raw_os_error(errno::EINVAL))),
    };
    let done = mode.and_then(|mode| {
        let mut metadata = Metadata::new();
        for (name, value) in list.split(',').filter_map(|pair| pair.split_once('=')) {
            metadata.insert(name.as_bytes(), value.as_bytes())?;
        }
        Ok(session.runtime.block_on(session.client.set_metadata(id, mode, metadata))?)
    });
    match done {
        Ok(()) => say("set meta data success"),
        Err(error) => drop(report("setmeta", &error)),
    }
    Ok(())
}

/// Prints a failure and answers its number.
pub fn report(what: &str, error: &anyhow::Error) -> i32 {
    errno::log(error);
    let code = errno::of(error);
    say(errno::failed(what, code));
    code
}

fn of_address(address: SocketAddr) -> String {
    format!("ip_addr={}, port={}", address.ip(), address.port())
}
