//! `100 Continue` before the answer to a request that asks for it and brings nothing.
//!
//! hyper says it when a body is read, and never where there is none. Clients that asked are owed it all the same: botocore, which sends `Expect` with every upload,
//! takes the next answer on the connection for a continuation of one that came without, and waits for its end for ever.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is owed to the client of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct GoAhead(Arc<AtomicBool>);

impl GoAhead {
    /// The request that is being answered is to be told to go on.
    pub(crate) fn owe(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// What has to be sent before these bytes: they are the beginning of an answer, unless `is_within` says that one was sent in part.
    pub(super) fn before(&self, slices: &[IoSlice<'_>], is_within: bool) -> &'static [u8] {
        if !self.0.swap(false, Ordering::AcqRel) {
            return b"";
        }
        // Of requests that were sent without waiting for each other's answers none may get this in the middle of another's. Nobody has to get it.
        let begins =
            slices.iter().find(|slice| !slice.is_empty()).is_some_and(|slice| slice.starts_with(HEAD));
        if begins && !is_within { INTERIM } else { b"" }
    }
}

const HEAD: &[u8] = b"HTTP/1.1 ";
const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_and_before_an_answer_only() {
        let (go_ahead, answer) =
            (GoAhead::default(), [IoSlice::new(b""), IoSlice::new(b"HTTP/1.1 200 OK\r\n")]);
        assert_eq!(go_ahead.before(&answer, false), b"");
        go_ahead.owe();
        assert_eq!(go_ahead.before(&answer, false), INTERIM);
        assert_eq!(go_ahead.before(&answer, false), b"");
        for (slices, is_within) in [(&answer[..], true), (&[IoSlice::new(b"the rest of another")], false)] {
            go_ahead.owe();
            assert_eq!(go_ahead.before(slices, is_within), b"");
            assert_eq!(go_ahead.before(&answer, false), b"");
        }
    }
}
