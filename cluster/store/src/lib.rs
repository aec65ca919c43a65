//! One storage server's disk: files, binlog, marks, recovery.
