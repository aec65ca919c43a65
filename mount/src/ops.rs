//! The operations of the file system. They know nothing of the kernel's requests and replies.

pub(crate) mod attributes;
pub(crate) mod content;
pub(crate) mod directories;
pub(crate) mod extended;
pub(crate) mod locks;
pub(crate) mod names;
pub(crate) mod ranges;
pub(crate) mod space;
pub(crate) mod stats;
