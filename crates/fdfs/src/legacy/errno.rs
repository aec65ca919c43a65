//! Failures as numbers of the system's errors, and as the original's tools word them.

use std::fmt::Display;
use std::io;

use fdfs_client::ClientError;
use fdfs_conf::ConfError;
use fdfs_ops::PidFileError;
use fdfs_tracker::StartError;
use fdfs_types::Timestamp;

use super::arguments::complain;
use crate::tools::words::local_time;

/// The number for a failed operation.
pub fn of_client(error: &ClientError) -> i32 {
    match error {
        ClientError::NotFound => ENOENT,
        ClientError::Exists => 17,
        ClientError::NoSpace => 28,
        ClientError::Unavailable { source: Some(call), .. } => i32::from(call.status().0),
        // The trackers know nobody who could do it.
        ClientError::Unavailable { source: None, .. } => ENOENT,
        ClientError::Timeout => 110,
        ClientError::Refused { status, .. } => i32::from(status.0),
        ClientError::OutOfRange { .. } | ClientError::Protocol { .. } => EINVAL,
        ClientError::Unsupported { .. } => 95,
        ClientError::SpoolFull { .. } => 27,
        ClientError::Content(error) => error.raw_os_error().unwrap_or(EIO),
        ClientError::WrongLength { .. } => EIO,
    }
}

/// The number for any failure, from the first cause that has one.
pub fn of(error: &anyhow::Error) -> i32 {
    error.chain().find_map(known).unwrap_or(EIO)
}

fn known(cause: &(dyn std::error::Error + 'static)) -> Option<i32> {
    if let Some(error) = cause.downcast_ref::<ClientError>() {
        Some(of_client(error))
    } else if let Some(error) = cause.downcast_ref::<ConfError>() {
        Some(error.errno())
    } else if let Some(error) = cause.downcast_ref::<StartError>() {
        Some(error.errno())
    } else if let Some(error) = cause.downcast_ref::<PidFileError>() {
        Some(error.errno())
    } else {
        cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error)
    }
}

/// What the system calls this number.
pub fn meaning(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.rsplit_once(" (os error").map_or(text.clone(), |(meaning, _)| meaning.to_owned())
}

/// `WHAT fail, error no: 2, error info: No such file or directory`
pub fn failed(what: impl Display, errno: i32) -> String {
    format!("{what} fail, error no: {errno}, error info: {}", meaning(errno))
}

/// Prints an error with its causes, in the form of the original's log.
pub fn log(error: &anyhow::Error) {
    log_line("ERROR", crate::tools::sentence(error));
}

/// Prints a line in the form of the original's log on standard error.
pub fn log_line(level: &str, text: impl Display) {
    let now = local_time(Timestamp::from(std::time::SystemTime::now()));
    complain(format_args!("[{now}] {level} - {text}"));
}

const ENOENT: i32 = 2;
const EIO: i32 = 5;
/// What a wrong argument is.
pub const EINVAL: i32 = 22;

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn numbers_are_worded_as_the_system_does() {
        assert_eq!(
            failed("upload file", 2),
            "upload file fail, error no: 2, error info: No such file or directory"
        );
    }

    #[test]
    fn the_first_known_cause_gives_the_number() {
        let missing = std::fs::File::open("/nowhere/at/all").unwrap_err();
        assert_eq!(of(&anyhow::Error::from(missing).context("cannot open it")), 2);
        assert_eq!(of(&ClientError::Timeout.into()), 110);
        assert_eq!(of(&anyhow!("no number")), EIO);
    }
}
