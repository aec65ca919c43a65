//! Names and files together: open, read, write, commit, copy, join, free.
