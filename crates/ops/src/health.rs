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

/// Answers how a part is. It must be quick: no disk, no network.
type Check = Arc<dyn Fn() -> PartState + Send + Sync>;

/// How a part of a daemon is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PartState {
    /// It can do its work.
    Ok,
    /// It can do some of its work, and somebody should look at it: the daemon still counts as healthy.
    Degraded(String),
    /// It cannot do its work.
    Failing(String),
}

/// The state of one part, set by that part. It begins as not ready.
#[derive(Clone, Debug)]
pub struct HealthSwitch {
    state: Arc<Mutex<PartState>>,
}

impl Health {
    /// A daemon without parts is healthy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part that is asked at every probe. A part of the same name is replaced.
    pub fn register<S: Into<PartState>>(&self, name: &str, check: impl Fn() -> S + Send + Sync + 'static) {
        let check = move || check().into();
        let mut checks = self.checks.lock();
        checks.retain(|(known, _)| known != name);
        checks.push((name.to_owned(), Arc::new(check)));
    }

    /// Adds a part that says itself when its state changes.
    pub fn switch(&self, name: &str) -> HealthSwitch {
        let state = Arc::new(Mutex::new(PartState::Failing("starting".to_owned())));
        let switch = HealthSwitch { state: Arc::clone(&state) };
        self.register(name, move || state.lock().clone());
        switch
    }

    /// Whether every part can do its work, and what each says, as JSON.
    #[must_use]
    pub fn report(&self) -> (bool, Value) {
        let checks = self.checks.lock().clone(); // a check may be slow, or register another
        let answers: Vec<_> = checks.iter().map(|(name, check)| (name, check())).collect();
        let healthy = !answers.iter().any(|(_, state)| matches!(state, PartState::Failing(_)));
        let status = match answers.iter().all(|(_, state)| *state == PartState::Ok) {
            _ if !healthy => "failing",
            true => "ok",
            false => "degraded",
        };
        let parts: Map<_, _> =
            answers.into_iter().map(|(name, state)| (name.clone(), state.into())).collect();
        (healthy, json!({ "status": status, "checks": parts }))
    }
}

impl HealthSwitch {
    /// The part can do its work.
    pub fn ok(&self) {
        self.set(PartState::Ok);
    }

    /// The part cannot do its work.
    pub fn failing(&self, reason: impl Into<String>) {
        self.set(PartState::Failing(reason.into()));
    }

    /// How the part is.
    pub fn set(&self, state: PartState) {
        *self.state.lock() = state;
    }
}

impl From<Result<(), String>> for PartState {
    fn from(result: Result<(), String>) -> Self {
        result.map_or_else(Self::Failing, |()| Self::Ok)
    }
}

impl From<PartState> for Value {
    fn from(state: PartState) -> Self {
        match state {
            PartState::Ok => "ok".into(),
            PartState::Degraded(reason) => format!("degraded: {reason}").into(),
            PartState::Failing(reason) => reason.into(),
        }
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
    fn a_degraded_part_is_told_and_the_daemon_counts_as_healthy() {
        let health = Health::new();
        health.register("disk", || PartState::Degraded("10 MB free".to_owned()));
        let expected = json!({"status": "degraded", "checks": {"disk": "degraded: 10 MB free"}});
        assert_eq!(health.report(), (true, expected));
        health.register("tracker", || Err("away".to_owned()));
        assert_eq!((health.report().0, &health.report().1["status"]), (false, &json!("failing")));
    }

    #[test]
    fn a_part_registered_again_counts_once() {
        let health = Health::new();
        health.register("disk", || Err("full".to_owned()));
        health.register("disk", || Ok(()));
        assert_eq!(health.report(), (true, json!({"status": "ok", "checks": {"disk": "ok"}})));
    }
}
