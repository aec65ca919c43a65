//! FastDFS configuration files: grammar and typed keys.
