//! `fdfs_append_file`.

use std::path::Path;

use super::arguments::{Arguments, say};
use super::download::file_id;
use super::errno;
use super::session::Session;
use super::upload::open;

/// Appends a local file.
pub fn run(arguments: &Arguments) -> i32 {
    let [config, id, file] = match arguments.first("<config_file> <appender_file_id> <local_filename>") {
        Ok(first) => first,
        Err(code) => return code,
    };
    let session = match Session::connect(Path::new(config)) {
        Ok(session) => session,
        Err(code) => return code,
    };
    let Err(error) = append(&session, id, Path::new(file)) else { return 0 };
    let code = errno::of(&error);
    errno::log(&error);
    say(errno::failed("append file", code));
    code
}

fn append(session: &Session, id: &str, path: &Path) -> anyhow::Result<()> {
    let id = file_id(id)?;
    let (file, size) = open(path)?;
    Ok(session.runtime.block_on(session.client.append_file(&id, &file, size))?)
}
