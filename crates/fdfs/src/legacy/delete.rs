//! `fdfs_delete_file`.

use std::path::Path;

use super::arguments::{Arguments, say};
use super::download::file_id;
use super::errno;
use super::session::Session;

/// Removes a file.
pub fn run(arguments: &Arguments) -> i32 {
    let [config, id] = match arguments.first("<config_file> <file_id>") {
        Ok(first) => first,
        Err(code) => return code,
    };
    let session = match Session::connect(Path::new(config)) {
        Ok(session) => session,
        Err(code) => return code,
    };
    let deleted = file_id(id).and_then(|id| Ok(session.runtime.block_on(session.client.delete(&id))?));
    let Err(error) = deleted else { return 0 };
    let code = errno::of(&error);
    errno::log(&error);
    say(errno::failed("delete file", code));
    code
}
