//! The FastDFS wire protocol, sans-io.
