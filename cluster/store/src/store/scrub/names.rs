//! Names that tell size and CRC32 of their content, by directory.

use fdfs_types::{Extension, FileKind, RemoteFilename, Subdir};

use crate::{
    Store, StoreError,
    store::listing::{open_directory, smallest_names},
};

/// What a name tells of its content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::store) struct Told {
    pub(in crate::store) size: u64,
    pub(in crate::store) crc32: u32,
}

impl Store {
    /// The names in a directory that tell size and CRC32 of their content, sorted, those behind `after`, at most
    /// `limit`; and whether there are more. Nothing where there is no such directory. Links have such names, too.
    pub fn names_with_content(
        &self,
        store_path: u8,
        subdir: Subdir,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Option<(Vec<RemoteFilename>, bool)>, StoreError> {
        let path = self.0.paths.get(usize::from(store_path));
        let path = path.ok_or(StoreError::NoSuchStorePath { index: store_path })?;
        let local = format!("{:02X}/{:02X}", subdir.high, subdir.low);
        let Some(directory) = open_directory(&path.data, &local)? else { return Ok(None) };
        let parse = |name: &str| format!("M{store_path:02X}/{local}/{name}").parse::<RemoteFilename>().ok();
        let is_wanted = |name: &str| parse(name).is_some_and(|name| told_by(&name).is_some());
        let (names, more) = smallest_names(&directory, after, limit, is_wanted)?;
        Ok(Some((names.iter().filter_map(|name| parse(name)).collect(), more)))
    }
}

/// What a name tells of its content: normal names do, whose last seven bytes are digits and extension. A short slave's
/// name may have the length of a normal one, and tells of its master.
pub(in crate::store) fn told_by(name: &RemoteFilename) -> Option<Told> {
    if name.kind() != Ok(FileKind::Normal) || name.local_path().len() != LOCAL_LEN {
        return None;
    }
    let fields = name.fields().ok()?;
    let tail = name.tail();
    let extension = tail.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_plain = extension.is_empty() || extension.starts_with('.');
    let is_in_trunk = fields.size.has_trunk_bit();
    if !is_plain || is_in_trunk || tail.len() != Extension::TAIL_LEN {
        return None;
    }
    Some(Told { size: fields.size.size()?, crc32: fields.crc32 })
}

/// Length of a normal name without its store path.
const LOCAL_LEN: usize = RemoteFilename::NORMAL_LEN - 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_names_alone_tell_size_and_crc32_of_their_content() {
        let told = |name: &str| told_by(&name.parse().unwrap());
        let normal = Some(Told { size: 70_000, crc32: 0x559b_4cd3 });
        assert_eq!(told("M00/02/04/fwAAAmsCeAuAM1qQAAERcFWbTNM960.png"), normal);
        let archive = Some(Told { size: 18, crc32: 0xabfe_3c99 });
        assert_eq!(told("M01/07/04/fwAAA2sCeAaAGCkRAAAAEqv-PJk.tar.gz"), archive);
        let without_extension = Some(Told { size: 18, crc32: 0x2e16_3b30 });
        assert_eq!(told("M00/05/05/fwAAA2sCeAaAK_x6AAAAEi4WOzA9350471"), without_extension);
        let large = Some(Told { size: 4_294_967_301, crc32: 0xb1c2_a1a3 });
        assert_eq!(told("M00/03/01/fwAAAmsCeMwAAAABAAAABbHCoaM146.bin"), large);
        for other in [
            // A slave, a slave of the length of a normal name, a short one, an appender file, metadata, a file in a trunk
            // file, its slave, the trunk file.
            "M00/02/04/fwAAAmsCeAuAM1qQAAERcFWbTNM960_150x150.png",
            "M00/02/04/fwAAAmsCeAuAM1qQAAERcFWbTNM960_abc",
            "M00/02/04/fwAAAmsCeAuAM1qQAAERcFWbTNM960_z",
            "M01/04/01/fwAAA2sCeAaEHQsoAAAAAATYspk939.log",
            "M00/02/04/fwAAAmsCeAuAM1qQAAERcFWbTNM960.png-m",
            "M01/00/00/oYYBAGsCeX2IG0eRAAAACw1KEYUAAAAAgAAAQAAAAEA520.txt",
            "M00/00/00/oYYBAGsCeYCIbxWpAAAADKDhBDgAAAAAQAAAgAAAAEA452_x",
            "M00/00/00/000001",
        ] {
            assert_eq!(told(other), None, "{other}");
        }
    }
}
