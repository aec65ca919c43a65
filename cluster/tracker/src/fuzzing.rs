//! Decoders of the data files, for fuzzers.

use crate::disk;

/// A data file, as each of the kinds. What makes no sense is left out.
pub fn data_file(bytes: &[u8]) {
    disk::read_as_each(bytes);
}
