//! `.fastdfs_vars`: the mark that says whose a store path is.

use fdfs_types::base64;
use tracing::warn;

use crate::{InitFlag, OpenError, StoreOptions, layout::StorePath, state_file};

impl StorePath {
    /// Compares the mark of this path with what the init flag says, and makes it where there is none.
    /// Whether the flag was changed.
    pub(crate) fn check_mark(
        &self,
        flag: &mut InitFlag,
        options: &StoreOptions,
        now: u32,
    ) -> Result<bool, OpenError> {
        let path = self.data_path.join(".fastdfs_vars");
        let foreign = |reason| OpenError::ForeignPath { path: self.data_path.clone(), reason };
        let text = state_file::read(&path).map_err(OpenError::doing("reading", &path))?;
        let present = text.as_deref().and_then(|text| state_file::value_of::<String>(text, MARK_KEY));
        let present = present.filter(|mark| !mark.is_empty());
        let write = |mark: &str| {
            let text = format!("{MARK_KEY}={mark}\n");
            state_file::replace(&path, text.as_bytes()).map_err(OpenError::doing("writing", &path))
        };
        match (flag.store_path_marks.get(&self.index), present) {
            (None, None) => {
                let mark = path_mark(&options.ip_addr, options.port, self.index, now);
                write(&mark)?;
                flag.store_path_marks.insert(self.index, mark);
                Ok(true)
            }
            (None, Some(_)) => Err(foreign("it has a mark that this base path does not know")),
            (Some(ours), Some(present)) if *ours == present => Ok(false),
            (Some(_), Some(_)) => Err(foreign("its mark is not the one this base path knows")),
            (Some(ours), None) => {
                if !self.created {
                    warn!(path = %self.data_path.display(), "the mark of the store path was missing");
                }
                write(ours)?;
                Ok(false)
            }
        }
    }
}

/// The text of a mark: a structure of the original, in base64.
///
/// ```text
///  0                 46     48      49  52       56
///  | ip, 0-padded    | port | index | 0 | time   |     numbers little endian
/// ```
fn path_mark(ip_addr: &str, port: u16, index: u8, now: u32) -> String {
    let mut bytes = [0; 56];
    let ip_addr = ip_addr.as_bytes();
    let length = ip_addr.len().min(45);
    bytes[..length].copy_from_slice(&ip_addr[..length]);
    bytes[46..48].copy_from_slice(&port.to_le_bytes());
    bytes[48] = index;
    bytes[52..].copy_from_slice(&now.to_le_bytes());
    base64::encode(&bytes)
}

const MARK_KEY: &str = "store_path_mark";

#[cfg(test)]
mod tests {
    use std::{fs, net::Ipv4Addr};

    use fdfs_types::Source;

    use super::*;

    #[test]
    fn the_captured_marks_are_made_byte_for_byte() {
        let flag = InitFlag::parse(&crate::tests::vector("data_init_flag.first_member")).unwrap();
        assert_eq!(path_mark("127.0.0.2", 23401, 0, 0x6B02_7BD6), flag.store_path_marks[&0]);
        assert_eq!(path_mark("127.0.0.2", 23401, 1, 0x6B02_7BD6), flag.store_path_marks[&1]);
        assert_eq!(
            format!("{MARK_KEY}={}\n", flag.store_path_marks[&0]),
            crate::tests::vector("fastdfs_vars")
        );
    }

    #[test]
    fn a_path_with_a_foreign_mark_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let mut options = StoreOptions::new(base.path(), Source::Ip(Ipv4Addr::LOCALHOST));
        options.subdir_count = 1;
        let path = StorePath::open(0, &options, None).unwrap();
        let mut flag = InitFlag::default();
        assert!(path.check_mark(&mut flag, &options, 1).unwrap());
        assert!(!path.check_mark(&mut flag, &options, 2).unwrap());

        let unknown = path.check_mark(&mut InitFlag::default(), &options, 2);
        assert!(matches!(unknown, Err(OpenError::ForeignPath { .. })));
        let mut other = flag.clone();
        other.store_path_marks.insert(0, "x".into());
        assert!(matches!(path.check_mark(&mut other, &options, 2), Err(OpenError::ForeignPath { .. })));

        fs::remove_file(base.path().join("data/.fastdfs_vars")).unwrap();
        assert!(!path.check_mark(&mut flag, &options, 3).unwrap());
        assert!(base.path().join("data/.fastdfs_vars").exists());
    }
}
