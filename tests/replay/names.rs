//! File names of the recording and of this run, and what both must have in common.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

/// Which recorded name stands for which name of this run.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<(String, String)>);

/// Parts of a name that may differ for one exchange beside the usual ones.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Free {
    /// Which store path was chosen.
    pub(crate) store_path: bool,
    /// Which server stored the file.
    pub(crate) source: bool,
    /// The CRC32 (random in links).
    pub(crate) crc32: bool,
}

/// A name taken apart.
struct Parts {
    store_path: String,
    source: u32,
    timestamp: u32,
    size: u64,
    crc32: u32,
    /// File id, offset and allocated size of a trunk slot.
    trunk: Option<[u32; 3]>,
    extension: String,
}

impl Names {
    /// Remembers that `ours` was created where the recording has `recorded`. Names derived from them
    /// (slaves) follow.
    pub(crate) fn learn(&mut self, recorded: &str, ours: &str) {
        let (recorded, ours) = (stem(recorded), stem(ours));
        self.0.push((recorded.to_owned(), ours.to_owned()));
        // Names of old were without the store path.
        self.0.push((recorded[STORE_PATH_LEN..].to_owned(), ours[STORE_PATH_LEN..].to_owned()));
        // A stem may begin with another one (slaves of files without extension).
        self.0.sort_by_key(|(recorded, _)| std::cmp::Reverse(recorded.len()));
    }

    /// Replaces every recorded name in `bytes` by ours.
    pub(crate) fn substitute(&self, bytes: &[u8]) -> Vec<u8> {
        let mut result = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let [first, after @ ..] = rest {
            let found = self.0.iter().find(|(recorded, _)| rest.starts_with(recorded.as_bytes()));
            if let Some((recorded, ours)) = found {
                result.extend_from_slice(ours.as_bytes());
                rest = &rest[recorded.len()..];
            } else {
                result.push(*first);
                rest = after;
            }
        }
        result
    }
}

/// Checks that a new name has in common with a recorded one what does not vary.
pub(crate) fn check_same_kind(recorded: &str, ours: &str, free: Free) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let (recorded, ours) = (Parts::of(recorded)?, Parts::of(ours).with_context(|| ours.to_owned())?);
    ensure!(free.store_path || recorded.store_path == ours.store_path, "store path {}", ours.store_path);
    ensure!(free.source || recorded.source == ours.source, "source {:08x}", ours.source);
    ensure!(u64::from(ours.timestamp).abs_diff(now) <= CLOCK_TOLERANCE, "timestamp {}", ours.timestamp);
    ensure!((recorded.size & !RANDOM_BITS) == (ours.size & !RANDOM_BITS), "size field {:016x}", ours.size);
    ensure!(free.crc32 || recorded.crc32 == ours.crc32, "CRC32 {:08x}", ours.crc32);
    ensure!(
        recorded.trunk.map(|[_, _, allocated]| allocated) == ours.trunk.map(|[_, _, allocated]| allocated),
        "trunk part {:?} for {:?}",
        ours.trunk,
        recorded.trunk
    );
    ensure!(recorded.extension == ours.extension, "extension {:?}", ours.extension);
    Ok(())
}

impl Parts {
    fn of(name: &str) -> Result<Self> {
        ensure!(name.is_ascii() && name.len() >= PLAIN_LEN, "a short name");
        let (path, rest) = name.split_at(PATH_LEN);
        let [b'M', p1, p2, b'/', h1, h2, b'/', l1, l2, b'/'] = *path.as_bytes() else { bail!("path {path}") };
        for digit in [p1, p2, h1, h2, l1, l2] {
            ensure!(matches!(digit, b'0'..=b'9' | b'A'..=b'F'), "path {path}");
        }
        let (text, rest) = rest.split_at(BASE64_LEN);
        let fields = decode_base64(text)?;
        let (trunk, tail) = match rest.len() {
            TAIL_LEN => (None, rest),
            TRUNK_TAIL_LEN => {
                let (text, tail) = rest.split_at(TRUNK_TAIL_LEN - TAIL_LEN);
                let bytes = decode_base64(text)?;
                (Some([word(&bytes, 0)?, word(&bytes, 4)?, word(&bytes, 8)?]), tail)
            }
            _ => bail!("{} bytes after the fields", rest.len()),
        };
        let digits = tail.find('.').unwrap_or(tail.len());
        ensure!(tail[..digits].bytes().all(|byte| byte.is_ascii_digit()), "padding of {tail}");
        Ok(Self {
            store_path: path[..4].to_owned(),
            source: word(&fields, 0)?,
            timestamp: word(&fields, 4)?,
            size: u64::from(word(&fields, 8)?) << 32 | u64::from(word(&fields, 12)?),
            crc32: word(&fields, 16)?,
            trunk,
            extension: tail[digits..].to_owned(),
        })
    }
}

/// The part of a name that slave names begin with: all before the first dot of its last 7 bytes.
fn stem(name: &str) -> &str {
    let tail = name.len().saturating_sub(TAIL_LEN);
    name[tail..].find('.').map_or(name, |dot| &name[..tail + dot])
}

/// Big-endian word at `offset`.
fn word(bytes: &[u8], offset: usize) -> Result<u32> {
    let bytes = bytes.get(offset..offset + 4).context("too few bytes")?;
    Ok(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

/// Decodes unpadded base64 of the names' alphabet.
fn decode_base64(text: &str) -> Result<Vec<u8>> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => bail!("{text} is no base64"),
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Ok(bytes)
}

/// Random bits of the size field.
const RANDOM_BITS: u64 = 0x007F_FFFF_0000_0000;
/// How far a name's time may be from now, in seconds.
const CLOCK_TOLERANCE: u64 = 120;
/// `M00/`
const STORE_PATH_LEN: usize = 4;
/// `M00/00/00/`
const PATH_LEN: usize = 10;
const BASE64_LEN: usize = 27;
const TAIL_LEN: usize = 7;
const TRUNK_TAIL_LEN: usize = 16 + TAIL_LEN;
const PLAIN_LEN: usize = PATH_LEN + BASE64_LEN + TAIL_LEN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_name_is_taken_apart() -> Result<()> {
        let parts = Parts::of("M00/01/00/fwAAAmsCd4KAdfy9AAAACw1KEYU657.txt")?;
        assert_eq!((parts.source, parts.crc32), (0x7F00_0002, 0x0D4A_1185));
        assert_eq!((parts.size & !RANDOM_BITS, parts.extension.as_str()), (0x8000_0000_0000_000B, ".txt"));
        Ok(())
    }

    #[test]
    fn slaves_follow_their_master() {
        let mut names = Names::default();
        names.learn(
            "M00/01/00/fwAAAmsCd4KAdfy9AAAACw1KEYU657.txt",
            "M01/02/03/aaaaAmsCd4KAdfy9AAAACw1KEYU001.txt",
        );
        assert_eq!(
            names.substitute(b"..M00/01/00/fwAAAmsCd4KAdfy9AAAACw1KEYU657_big.jpg"),
            b"..M01/02/03/aaaaAmsCd4KAdfy9AAAACw1KEYU001_big.jpg"
        );
    }
}
