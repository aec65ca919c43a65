//! `fdfs_appender_test`: stores an appender file, cuts it, appends to it and overwrites a part of it.

use std::path::Path;

use fdfs_client::{ClientError, UploadKind, UploadSpec};
use fdfs_types::{Extension, FileId};

use super::arguments::{Arguments, say};
use super::probe::{Manner, banner, describe, print_info, report};
use super::session::Session;
use super::upload::{open, send};

/// Tries it with a local file.
pub fn run(arguments: &Arguments) -> i32 {
    banner();
    let usage = "<config_file> <local_filename> [FILE | BUFF | CALLBACK]";
    let [config, local] = match arguments.first(usage) {
        Ok(first) => first,
        Err(code) => return code,
    };
    let session = match Session::connect(Path::new(config)) {
        Ok(session) => session,
        Err(code) => return code,
    };
    let manner = Manner::parse(arguments.get(2));
    attempt(&session, Path::new(local), manner).map_or_else(|code| code, |()| 0)
}

fn attempt(session: &Session, local: &Path, manner: Manner) -> Result<(), i32> {
    let place = session.runtime.block_on(session.client.place(None));
    let place = place.map_err(|error| report("tracker_query_storage", &error.into()))?;
    let (ip, port) = (place.storage.ip(), place.storage.port());
    say(format_args!("group_name={}, ip_addr={ip}, port={port}", place.group));

    say(format_args!("storage_upload_appender_by_{}", manner.name()));
    let extension = Extension::from_local_name(&local.to_string_lossy());
    let spec = UploadSpec {
        storage: Some(place.storage),
        store_path: place.store_path,
        ..UploadSpec::new(extension).of_kind(UploadKind::Appender)
    };
    let id = send(session, spec, local).map_err(|error| report("upload file", &error))?;
    describe(session, &id, place.storage, "file url")?;

    let (_, size) = open(local).map_err(|error| report("upload file", &error))?;
    change("truncate file", session, async { session.client.truncate(&id, size / 2).await })?;
    print_info(session, &id, true)?;
    say(format_args!("file url: {}", session.url(place.storage, &id)));

    say(format_args!("storage_append_by_{}", manner.name()));
    send_part(session, &id, local, None)?;
    print_info(session, &id, false)?;

    say(format_args!("storage_modify_by_{}", manner.name()));
    send_part(session, &id, local, Some(size / 2 + size))?;
    print_info(session, &id, false)
}

/// Appends the local file, or writes it from an offset on.
fn send_part(session: &Session, id: &FileId, local: &Path, offset: Option<u64>) -> Result<(), i32> {
    let word = if offset.is_some() { "modify" } else { "append" };
    let (file, size) = open(local).map_err(|error| report(&format!("{word} file"), &error))?;
    change(&format!("{word} file"), session, async {
        match offset {
            None => session.client.append_file(id, &file, size).await,
            Some(offset) => session.client.modify_file(id, offset, &file, size).await,
        }
    })?;
    say(format_args!("{word} file successfully."));
    Ok(())
}

fn change(
    what: &str,
    session: &Session,
    work: impl Future<Output = Result<(), ClientError>>,
) -> Result<(), i32> {
    session.runtime.block_on(work).map_err(|error| report(what, &error.into()))
}
