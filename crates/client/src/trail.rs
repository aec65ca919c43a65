//! What was asked for one operation: which storages, with which result, and how long each took.

use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

/// The storages that were asked for one operation, in the order of their answers. Copies share it.
///
/// Whoever wants to know runs the operation by [`Trail::follow`].
#[derive(Clone, Debug, Default)]
pub struct Trail(Arc<Mutex<Vec<Step>>>);

#[derive(Debug)]
struct Step {
    storage: SocketAddr,
    result: &'static str,
    took: Duration,
}

tokio::task_local! {
    static FOLLOWED: Trail;
}

impl Trail {
    /// More than this are not kept.
    const MOST: usize = 16;

    /// Takes note of whom `work` asks.
    pub async fn follow<F: Future>(&self, work: F) -> F::Output {
        FOLLOWED.scope(self.clone(), work).await
    }

    /// The same, where somebody wants to know.
    pub async fn follow_if<F: Future>(trail: Option<Self>, work: F) -> F::Output {
        // Once, however it goes on: what is waited for here can be large.
        let work = pin!(work);
        match trail {
            Some(trail) => trail.follow(work).await,
            None => work.await,
        }
    }

    /// The same for work that does not wait: what it begins may take the trail along.
    pub fn follow_now<T>(trail: Option<&Self>, work: impl FnOnce() -> T) -> T {
        match trail {
            Some(trail) => FOLLOWED.sync_scope(trail.clone(), work),
            None => work(),
        }
    }

    /// The trail of the operation that runs here, if somebody wants to know: for what goes on elsewhere.
    pub fn followed() -> Option<Self> {
        FOLLOWED.try_with(Self::clone).ok()
    }

    /// A storage was asked.
    pub(crate) fn note(&self, storage: SocketAddr, result: &'static str, took: Duration) {
        let mut steps = self.0.lock();
        if steps.len() < Self::MOST {
            steps.push(Step { storage, result, took });
        }
    }
}

/// `127.0.0.2:23000=refused/0.112,127.0.0.3:23000=ok/0.409`: storages, results and milliseconds; `-` where none was asked.
impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = self.0.lock();
        if steps.is_empty() {
            return f.write_str("-");
        }
        for (at, Step { storage, result, took }) in steps.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{storage}={result}/{:.3}", took.as_secs_f64() * 1000.0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_trail_tells_whom_the_work_asked_and_nothing_else() {
        let trail = Trail::default();
        assert_eq!(trail.to_string(), "-");
        assert!(Trail::followed().is_none());
        let storage = |last: u8| SocketAddr::from(([127, 0, 0, last], 23000));
        let work = async {
            let followed = Trail::followed().unwrap();
            followed.note(storage(2), "refused", Duration::from_micros(112));
            followed.note(storage(3), "ok", Duration::from_micros(409));
        };
        trail.follow(work).await;
        assert_eq!(trail.to_string(), "127.0.0.2:23000=refused/0.112,127.0.0.3:23000=ok/0.409");
        (0..100).for_each(|_| trail.note(storage(4), "ok", Duration::ZERO));
        assert_eq!(trail.to_string().split(',').count(), Trail::MOST);
    }
}
