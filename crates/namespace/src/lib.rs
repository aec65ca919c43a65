//! Access to names: tree, attributes, buckets, engines.
