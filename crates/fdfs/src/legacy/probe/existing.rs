//! Doing something with a file that exists.

use std::net::SocketAddr;
use std::path::Path;

use fdfs_client::{ByteRange, ClientError};
use fdfs_proto::storage::MetadataMode;
use fdfs_types::{FileId, Metadata};

use super::{operands, operation_usage, report};
use crate::legacy::arguments::{Arguments, say};
use crate::legacy::download::{fetch, file_id};
use crate::legacy::errno;
use crate::legacy::session::Session;

/// Does something with a file that exists.
pub fn with_file(session: &Session, operation: &str, arguments: &Arguments) -> Result<(), i32> {
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
