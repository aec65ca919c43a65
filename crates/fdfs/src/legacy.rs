//! The old names: called as `fdfs_upload_file`, `fdfs_monitor`, `fdfs_trackerd` and so on, this program behaves as the
//! original's programs do. `crates/fdfs/COMPATIBILITY.md` tells what is the same and what is not.

mod append;
mod appender_test;
mod arguments;
mod crc32;
mod daemon;
mod delete;
mod download;
mod errno;
mod file_info;
mod listing;
mod monitor;
mod probe;
mod regenerate;
mod session;
mod upload;

use std::path::Path;
use std::process::ExitCode;

use self::arguments::Arguments;
use crate::daemon::{StorageDaemon, TrackerDaemon};

/// A program of the original.
#[derive(Clone, Copy, Debug)]
pub struct OldProgram {
    run: fn(&Arguments) -> i32,
}

impl OldProgram {
    /// The program that this one is called as.
    pub fn called() -> Option<Self> {
        let path = std::env::args_os().next()?;
        Self::named(Path::new(&path).file_name()?.to_str()?)
    }

    fn named(name: &str) -> Option<Self> {
        let run: fn(&Arguments) -> i32 = match name {
            "fdfs_upload_file" => upload::upload_file,
            "fdfs_upload_appender" => upload::upload_appender,
            "fdfs_download_file" => download::run,
            "fdfs_delete_file" => delete::run,
            "fdfs_append_file" => append::run,
            "fdfs_file_info" => file_info::run,
            "fdfs_regenerate_filename" => regenerate::run,
            "fdfs_crc32" => crc32::run,
            "fdfs_monitor" => monitor::run,
            "fdfs_test" => probe::run,
            "fdfs_appender_test" => appender_test::run,
            "fdfs_trackerd" => daemon::run::<TrackerDaemon>,
            "fdfs_storaged" => daemon::run::<StorageDaemon>,
            _ => return None,
        };
        Some(Self { run })
    }

    /// Runs it.
    pub fn run(self) -> ExitCode {
        let code = (self.run)(&Arguments::of_process());
        // Only the last byte of an exit code arrives; a failure must not look like success.
        ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
    }
}

/// The version of the original that is imitated.
pub const VERSION: &str = "6.16.1";

#[cfg(test)]
mod tests {
    use super::OldProgram;

    #[test]
    fn only_old_names_are_old_names() {
        for name in ["fdfs_upload_file", "fdfs_trackerd", "fdfs_crc32"] {
            assert!(OldProgram::named(name).is_some(), "{name}");
        }
        for name in ["fdfs", "fdfs_", "upload_file", "fdfs_upload"] {
            assert!(OldProgram::named(name).is_none(), "{name}");
        }
    }
}
