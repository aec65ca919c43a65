//! Files that others have and this storage lacks: a store path that was wiped, and what a join has missed.

mod verification;

pub(crate) use self::verification::Verification;
