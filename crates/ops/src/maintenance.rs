//! The one thread that flushes and rotates the log files of the process.

use std::sync::{Arc, Once, Weak};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::LogFile;
use crate::log_file::retention::Retention;

/// Looks after a log file until it is dropped.
pub(crate) fn watch(file: &Arc<LogFile>) {
    static STARTED: Once = Once::new();
    FILES.lock().push(Arc::downgrade(file));
    STARTED.call_once(|| {
        if let Err(error) = thread::Builder::new().name("logs".to_owned()).spawn(run) {
            tracing::warn!(%error, "no thread for the logs: they are not rotated by time");
        }
    });
}

/// Starts a new file of every log of the process, as SIGHUP asks for.
pub fn rotate_logs() {
    files().iter().for_each(|file| file.rotate());
}

/// Writes what waits in memory in every log of the process.
pub fn flush_logs() {
    files().iter().for_each(|file| file.flush());
}

fn run() {
    let mut retaining: Option<thread::JoinHandle<()>> = None;
    let mut waiting = Vec::new();
    loop {
        thread::sleep(TICK);
        let now = Timestamp::now();
        waiting.extend(files().iter().filter_map(|file| file.tick(now)));
        if waiting.is_empty() || retaining.as_ref().is_some_and(|thread| !thread.is_finished()) {
            continue;
        }
        let due = std::mem::take(&mut waiting);
        let work = move || due.iter().for_each(Retention::run);
        retaining = thread::Builder::new().name("old-logs".to_owned()).spawn(work).ok();
    }
}

fn files() -> Vec<Arc<LogFile>> {
    let mut files = FILES.lock();
    files.retain(|file| file.strong_count() > 0);
    files.iter().filter_map(Weak::upgrade).collect()
}

static FILES: Mutex<Vec<Weak<LogFile>>> = Mutex::new(Vec::new());

/// How exact flushing and rotation are.
const TICK: Duration = Duration::from_millis(500);
