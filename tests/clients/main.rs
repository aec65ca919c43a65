//! Unchanged clients of other makers do their whole API against a cluster of ours.
