//! The `fdfs` binary.

fn main() {}
