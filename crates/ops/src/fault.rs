//! Places where a test may have the process killed.

use std::path::PathBuf;
use std::sync::OnceLock;

/// Kills this process, as `kill -9` does, where the file that `FDFS_FAULT_POINTS` names holds a line with the name of this point.
///
/// Without that variable, as always but in tests, a point costs a load and a comparison.
pub fn fault_point(name: &str) {
    static CHOSEN: OnceLock<Option<PathBuf>> = OnceLock::new();
    let Some(path) = CHOSEN.get_or_init(|| std::env::var_os("FDFS_FAULT_POINTS").map(PathBuf::from)) else {
        return;
    };
    let chosen = std::fs::read_to_string(path).unwrap_or_default();
    if chosen.lines().any(|line| line == name) {
        // Nothing is flushed and nobody is told.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
}
