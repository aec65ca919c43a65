//! Equal questions at the same time are asked once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;

/// Questions that wait for their answers, by what they are about.
pub(super) struct Flights<K, V: Clone>(Arc<Mutex<InFlight<K, V>>>);

type InFlight<K, V> = HashMap<K, Shared<BoxFuture<'static, Option<V>>>>;

impl<K, V: Clone> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Waits for the answer to the question about `key` that somebody has asked, or asks it. The question goes on when
    /// those who wait leave. `None` if it was broken off.
    pub(super) async fn ask<F>(&self, key: &K, question: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let answer = {
            let mut flights = self.0.lock();
            match flights.get(key) {
                Some(flight) => {
                    metrics::counter!("fdfs_front_collapsed_requests_total").increment(1);
                    flight.clone()
                }
                None => {
                    let (landing, landed, question) = (Arc::clone(&self.0), key.clone(), question());
                    let asking = tokio::spawn(async move {
                        // Also when the question panics: nobody is to wait for it for ever.
                        let _landing = Landing { flights: landing, key: landed };
                        question.await
                    });
                    let flight = asking.map(Result::ok).boxed().shared();
                    flights.insert(key.clone(), flight.clone());
                    flight
                }
            }
        };
        answer.await
    }
}

struct Landing<K: Eq + Hash, V: Clone> {
    flights: Arc<Mutex<InFlight<K, V>>>,
    key: K,
}

impl<K: Eq + Hash, V: Clone> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}
