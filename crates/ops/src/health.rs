//! Whether a daemon can do its work, as its parts see it.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};

/// Whether a daemon can do its work. Clones are the same.
#[derive(Clone, Default)]
pub struct Health {
    checks: Arc<Mutex<Vec<(String, Check)>>>,
}

/// Answers with the reason when a part cannot do its work. It must be quick: no disk, no network.
type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The state of one part, set by that part. It begins as not ready.
#[derive(Clone, Debug)]
pub struct HealthSwitch {
    state: Arc<Mutex<Result<(), String>>>,
}

impl Health {
    /// A daemon without parts is healthy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part that is asked at every probe. A part of the same name is replaced.
    pub fn register(&self, name: &str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        let mut checks = self.checks.lock();
        checks.retain(|(known, _)| known != name);
        checks.push((name.to_owned(), Arc::new(check)));
    }

    /// Adds a part that says itself when its state changes.
    pub fn switch(&self, name: &str) -> HealthSwitch {
        let state = Arc::new(Mutex::new(Err("starting".to_owned())));
        let switch = HealthSwitch { state: Arc::clone(&state) };
        self.register(name, move || state.lock().clone());
        switch
    }

    /// Whether every part can do its work, and what each says, as JSON.
    #[must_use]
    pub fn report(&self) -> (bool, Value) {
        let checks = self.checks.lock().clone(); // a check may be slow, or register another
        let answers: Vec<_> = checks.iter().map(|(name, check)| (name, check())).collect();
        let healthy = answers.iter().all(|(_, answer)| answer.is_ok());
        let parts: Map<_, _> = answers
            .into_iter()
            .map(|(name, answer)| (name.clone(), answer.map_or_else(Value::from, |()| "ok".into())))
            .collect();
        (healthy, json!({ "status": if healthy { "ok" } else { "failing" }, "checks": parts }))
    }
}

impl HealthSwitch {
    /// The part can do its work.
    pub fn ok(&self) {
        *self.state.lock() = Ok(());
    }

    /// The part cannot do its work.
    pub fn failing(&self, reason: impl Into<String>) {
        *self.state.lock() = Err(reason.into());
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks = self.checks.lock();
        f.debug_list().entries(checks.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failing_part_makes_the_whole_fail() {
        let health = Health::new();
        assert!(health.report().0);
        health.register("disk", || Ok(()));
        let tracker = health.switch("tracker");
        let expected = json!({"status": "failing", "checks": {"disk": "ok", "tracker": "starting"}});
        assert_eq!(health.report(), (false, expected));
        tracker.ok();
        assert!(health.report().0);
        tracker.failing("no tracker answers");
        assert_eq!(health.report().1["checks"]["tracker"], "no tracker answers");
    }

    #[test]
    fn a_part_registered_again_counts_once() {
        let health = Health::new();
        health.register("disk", || Err("full".to_owned()));
        health.register("disk", || Ok(()));
        assert_eq!(health.report(), (true, json!({"status": "ok", "checks": {"disk": "ok"}})));
    }
}
