//! What is known of the thread that asks, beyond what its request says.

use std::fs;
use std::thread;
use std::time::Duration;

use fdfs_objects::LockKind;

/// Which kind of lock a thread asks for. The request does not tell flock from an fcntl lock of the whole file; the system call that the thread is in does.
/// Where that cannot be seen, it is taken for fcntl, and the two exclude each other as they do over NFS.
pub(super) fn lock_kind(thread: u32, start: u64, end: u64) -> LockKind {
    if start != 0 || end < i64::MAX as u64 || thread == 0 {
        return LockKind::Range;
    }
    for _ in 0..LOOKS {
        let Ok(call) = fs::read_to_string(format!("/proc/{thread}/syscall")) else { break };
        match call.split_whitespace().next() {
            // It has not come to rest yet.
            Some("running") => thread::sleep(PAUSE),
            Some(number) if number.parse() == Ok(libc::SYS_flock) => return LockKind::Whole,
            _ => break,
        }
    }
    LockKind::Range
}

/// True if a signal waits for a thread that it does not block: the kernel wakes nobody up who waits for an answer of ours.
pub(super) fn is_interrupted(thread: u32) -> bool {
    if thread == 0 {
        return false;
    }
    let Ok(status) = fs::read_to_string(format!("/proc/{thread}/status")) else { return true };
    let signals = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        u64::from_str_radix(line.trim(), 16).unwrap_or_default()
    };
    (signals("SigPnd:") | signals("ShdPnd:")) & !signals("SigBlk:") != 0
}

/// Looks at a thread that is about to rest.
const LOOKS: u32 = 100;
/// Between two of them.
const PAUSE: Duration = Duration::from_micros(100);
