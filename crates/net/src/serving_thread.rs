//! Threads that serve connections.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

/// Starts a thread with a runtime of its own and at most `disk_threads` more for what blocks. It ends when the sender of
/// `ended` is dropped.
pub fn serving_thread(
    name: &str,
    disk_threads: usize,
    mut ended: watch::Receiver<()>,
) -> io::Result<(Handle, JoinHandle<()>)> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        // Whoever else is to run on this core does so before the thread sleeps, and often has something for it then: it is
        // asleep less often, and wakes for more. Alone on its core it goes to sleep at once.
        .on_thread_park(thread::yield_now)
        .thread_name(format!("{name}-disk"))
        .max_blocking_threads(disk_threads)
        .build()?;
    let handle = runtime.handle().clone();
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        runtime.block_on(async {
            // Nothing is ever sent: this ends when the sender is gone.
            let _ = ended.changed().await;
        });
        runtime.shutdown_timeout(GRACE);
    })?;
    Ok((handle, thread))
}

/// What blocks at the end may go on for as long.
const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serving_thread_runs_what_it_is_given_and_ends_with_its_sender() {
        let (running, ended) = watch::channel(());
        let (handle, thread) = serving_thread("served", 1, ended).unwrap();
        let name = || thread::current().name().map(str::to_owned);
        let here = handle.spawn(async move { name() });
        let disk = handle.spawn_blocking(name);
        let names = handle.clone().block_on(async { (here.await.unwrap(), disk.await.unwrap()) });
        assert_eq!(names, (Some("served".to_owned()), Some("served-disk".to_owned())));
        drop(running);
        thread.join().unwrap();
    }
}
