//! Signals that end a daemon or rotate its logs.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// The signals of a daemon. From the moment it exists, none of them kills the process.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
}

impl Signals {
    /// Takes the signals of the process. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for TERM, INT or QUIT, and cancels `shutdown`; also returns when something else cancels it.
    ///
    /// HUP calls `on_hangup`, which rotates the logs; USR1 and USR2 are noted.
    pub async fn watch(mut self, shutdown: CancellationToken, mut on_hangup: impl FnMut()) {
        loop {
            let name = tokio::select! {
                () = shutdown.cancelled() => return,
                _ = self.terminate.recv() => "TERM",
                _ = self.interrupt.recv() => "INT",
                _ = self.quit.recv() => "QUIT",
                _ = self.hangup.recv() => {
                    info!(signal = "HUP", "rotating the logs");
                    on_hangup();
                    continue;
                }
                _ = self.user1.recv() => {
                    info!(signal = "USR1", "signal ignored");
                    continue;
                }
                _ = self.user2.recv() => {
                    info!(signal = "USR2", "signal ignored");
                    continue;
                }
            };
            info!(signal = name, "shutting down");
            shutdown.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::{Signal as Kind, getpid, kill_process};
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn hup_rotates_and_term_ends() {
        let shutdown = CancellationToken::new();
        let signals = Signals::install().expect("signals");
        let (hangups, mut seen) = mpsc::unbounded_channel();
        let watch = tokio::spawn(signals.watch(shutdown.clone(), move || {
            hangups.send(()).expect("the test is there");
        }));
        kill_process(getpid(), Kind::HUP).expect("kill");
        timeout(DEADLINE, seen.recv()).await.expect("in time").expect("a hangup");
        assert!(!shutdown.is_cancelled());
        kill_process(getpid(), Kind::TERM).expect("kill");
        timeout(DEADLINE, shutdown.cancelled()).await.expect("in time");
        timeout(DEADLINE, watch).await.expect("in time").expect("no panic");
    }

    const DEADLINE: Duration = Duration::from_secs(10);
}
