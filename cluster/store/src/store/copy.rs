//! Copying bytes between files without taking them out of the kernel.

use std::os::fd::AsFd;

use rustix::{
    fs::copy_file_range,
    io::{Errno, pread, pwrite},
};

/// Copies up to `length` bytes from a place of `from` to `offset` of `to`. Tells how many were
/// copied, and the error that ended it.
pub(super) fn copy(
    (from, start): (impl AsFd, u64),
    to: impl AsFd,
    offset: u64,
    length: u64,
) -> (u64, Result<(), Errno>) {
    let (mut source, mut target) = (0, offset);
    let mut in_kernel = true;
    let mut block = Vec::new();
    while source < length {
        let wanted = usize::try_from(length - source).unwrap_or(usize::MAX).min(LARGEST);
        let copied = if in_kernel {
            let (mut off_in, mut off_out) = (start + source, target);
            copy_file_range(&from, Some(&mut off_in), &to, Some(&mut off_out), wanted)
        } else {
            block.resize(BLOCK, 0);
            let wanted = wanted.min(BLOCK);
            pread(&from, &mut block[..wanted], start + source)
                .and_then(|read| pwrite(&to, &block[..read], target))
        };
        match copied {
            // The source has become shorter.
            Ok(0) => return (source, Err(Errno::IO)),
            Ok(copied) => {
                source += copied as u64;
                target += copied as u64;
            }
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::BADF) if in_kernel => {
                in_kernel = false;
            }
            Err(error) => return (source, Err(error)),
        }
    }
    (source, Ok(()))
}

const LARGEST: usize = 1 << 30;
const BLOCK: usize = 256 * 1024;
