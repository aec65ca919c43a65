//! `fdfs_crc32`.

use std::fs::File;
use std::io::{self, Read as _};

use super::arguments::{Arguments, say};
use super::errno::meaning;

/// Prints the checksum of a local file.
pub fn run(arguments: &Arguments) -> i32 {
    let [path] = match arguments.first("<filename>") {
        Ok(first) => first,
        Err(code) => return code,
    };
    match checksum(path) {
        Ok(crc32) => {
            say(format_args!("{crc32:x}"));
            0
        }
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or(5);
            say(format_args!("read file {path} fail, errno: {errno}, error info: {}", meaning(errno)));
            errno
        }
    }
}

fn checksum(path: &str) -> io::Result<u32> {
    let mut file = File::open(path)?;
    let mut crc32 = crc32fast::Hasher::new();
    let mut piece = vec![0; 256 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(crc32.finalize()),
            length => crc32.update(&piece[..length]),
        }
    }
}
