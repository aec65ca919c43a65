//! Commits that a thread puts off until it has answered.
//!
//! A thread that has committed its own change finds what others asked for meanwhile. It answers first: who waits for that answer may
//! hold up others, as the kernel does that makes one file of a directory at a time.

use std::cell::RefCell;
use std::sync::Arc;

/// For as long as this lives, this thread puts off what others have asked for.
pub struct PutOff(());

/// An engine where others wait for a commit.
pub(super) trait Rest {
    /// Commits once.
    fn go_on(self: Arc<Self>);
    /// Has it done by somebody else.
    fn hand_over(&self);
}

impl PutOff {
    /// From here on.
    #[must_use]
    pub fn begin() -> Self {
        REST.set(Some(Vec::new()));
        Self(())
    }

    /// Commits once what was put off; false where nothing was.
    pub fn go_on(&self) -> bool {
        let rest = REST.with_borrow_mut(|rest| rest.as_mut().and_then(Vec::pop));
        rest.map(Rest::go_on).is_some()
    }
}

impl Drop for PutOff {
    fn drop(&mut self) {
        REST.take().into_iter().flatten().for_each(|rest| rest.hand_over());
    }
}

/// Leaves what others wait for until this thread has answered, if that is how it works.
pub(super) fn put_off(rest: Arc<dyn Rest>) -> bool {
    REST.with_borrow_mut(|scope| scope.as_mut().map(|all| all.push(rest)).is_some())
}

thread_local! {
    static REST: RefCell<Option<Vec<Arc<dyn Rest>>>> = const { RefCell::new(None) };
}
