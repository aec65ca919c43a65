//! What a thread does when it has answered a request: it looks for the next one for a moment, and sleeps only then.
//!
//! A program that works on a mount asks again as soon as it has its answer. To wake up a processor for that takes longer than most
//! requests do, and on the way to a new file, on which all wait who make one in the same directory, it happens three times. One thread
//! of a mount is enough to spare it, so that a mount takes no more than one processor for nothing, and none while nobody asks.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The threads of a mount that have nothing to do at present.
#[derive(Debug, Default)]
pub(crate) struct Lingering {
    /// Where requests come from, once the mount is there.
    device: OnceLock<OwnedFd>,
    /// True while a thread looks.
    is_taken: AtomicBool,
}

impl Lingering {
    /// From here on threads look for requests there; without it, they sleep at once.
    pub(crate) fn begin(&self, device: BorrowedFd<'_>) -> std::io::Result<()> {
        let device = device.try_clone_to_owned()?;
        // A mount begins once.
        let _ = self.device.set(device);
        Ok(())
    }

    /// Returns when there is a request, or none came for a while, or another thread looks already. Others that are to run on this
    /// processor run meanwhile.
    pub(crate) fn linger(&self) {
        let Some(device) = self.device.get() else { return };
        if self.is_taken.swap(true, Ordering::Acquire) {
            return;
        }
        let end = Instant::now() + MOMENT;
        while !has_request(device) && Instant::now() < end {
            std::thread::yield_now();
        }
        self.is_taken.store(false, Ordering::Release);
    }
}

/// True as well when the mount is gone, which is for the reader to find.
fn has_request(device: &OwnedFd) -> bool {
    let mut devices = [PollFd::from_borrowed_fd(device.as_fd(), PollFlags::IN)];
    !matches!(poll(&mut devices, Some(&Timespec::default())), Ok(0))
}

/// How long a thread looks: twice what passes from one request to the next where several programs make files (`tests/benches/BENCHMARKS.md`).
const MOMENT: Duration = Duration::from_micros(100);

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn one_thread_looks_for_a_request_until_it_comes_or_a_moment_is_over() {
        let (device, mut kernel) = UnixStream::pair().unwrap();
        let lingering = Lingering::default();
        let look = || {
            let begun = Instant::now();
            lingering.linger();
            begun.elapsed()
        };
        lingering.linger();
        lingering.begin(device.as_fd()).unwrap();
        assert!(look() >= MOMENT, "nothing comes");
        assert!(!lingering.is_taken.load(Ordering::Relaxed));
        lingering.is_taken.store(true, Ordering::Relaxed);
        assert!((0..100).any(|_| look() < MOMENT), "another thread looks already");
        lingering.is_taken.store(false, Ordering::Relaxed);
        kernel.write_all(b"a request").unwrap();
        assert!((0..100).any(|_| look() < MOMENT), "it is there");
    }
}
