//! `storage_changelog.dat`: what became of identities, for storages that were away.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// The changelog, which only grows.
#[derive(Debug)]
pub(crate) struct Changelog {
    file: File,
    length: u64,
}

impl Changelog {
    /// Longest piece that an original storage is sure to take.
    const PIECE: usize = 8182;

    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().append(true).read(true).create(true).mode(0o644).open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }

    pub(super) fn append(&mut self, line: &str) -> io::Result<()> {
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()?;
        self.length = self.file.metadata()?.len();
        Ok(())
    }

    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Whole lines from `offset` on. The original cuts anywhere; a storage loses such a line.
    pub(super) fn read_from(&self, offset: u64) -> io::Result<Vec<u8>> {
        let left = self.length.saturating_sub(offset);
        let mut piece = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(Self::PIECE)];
        self.file.read_exact_at(&mut piece, offset)?;
        if (piece.len() as u64) < left
            && let Some(end) = piece.iter().rposition(|byte| *byte == b'\n')
        {
            piece.truncate(end + 1);
        }
        Ok(piece)
    }

    pub(super) fn read_all(&self) -> io::Result<Vec<u8>> {
        let mut all = vec![0; usize::try_from(self.length).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut all, 0)?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_backlog_is_cut_at_the_end_of_a_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let mut log = Changelog::open(&path).expect("a new file");
        let line = "1795323623 group1 127.0.0.5 4 \n";
        for _ in 0..300 {
            log.append(line).expect("room");
        }
        let mut offset = 0;
        let mut lines = 0;
        loop {
            let piece = log.read_from(offset).expect("a good offset");
            if piece.is_empty() {
                break;
            }
            assert!(piece.len() <= 8182 && piece.ends_with(b"\n"), "{} bytes", piece.len());
            lines += piece.len() / line.len();
            offset += piece.len() as u64;
        }
        assert_eq!(lines, 300);
        assert_eq!(Changelog::open(&path).expect("the file").length(), offset);
        assert_eq!(log.read_from(offset + 1).expect("nothing there"), b"");
    }
}
