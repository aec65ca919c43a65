//! The client tools and the old names, tried with daemons of this very program.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod cluster;
mod daemons;
mod modern;
mod old_names;
