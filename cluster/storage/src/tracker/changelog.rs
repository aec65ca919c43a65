//! The trackers' log of identities: members that were removed or have a new address.

use fdfs_types::StorageStatus;
use tracing::warn;

use crate::membership::Gone;

/// The lines of the log that came so far; an answer may end inside of one.
#[derive(Debug, Default)]
pub(crate) struct Changelog {
    rest: Vec<u8>,
}

impl Changelog {
    /// Takes an answer and returns the changes that it completes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Gone> {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            self.rest.truncate(MAX_LINE);
            return Vec::new();
        };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).filter_map(parse).collect()
    }
}

/// `time group old status new`, with nothing behind the last blank for a removed member.
fn parse(line: &[u8]) -> Option<Gone> {
    let gone = || {
        let line = std::str::from_utf8(line).ok()?;
        let mut words = line.split(' ');
        let (_time, _group, old, status) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let new = words.next().filter(|word| !word.is_empty());
        let old = old.parse().ok()?;
        match status.parse().ok().and_then(StorageStatus::from_wire)? {
            StorageStatus::Deleted => Some(Gone { old, new: None }),
            StorageStatus::IpChanged => Some(Gone { old, new: Some(new?.parse().ok()?) }),
            _ => None,
        }
    };
    let gone = gone();
    if gone.is_none() {
        warn!(line = %String::from_utf8_lossy(line), "a line of the tracker's changelog is left out");
    }
    gone
}

const MAX_LINE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cut_between_two_answers_is_put_together() {
        let mut changelog = Changelog::default();
        assert_eq!(
            changelog.push(b"1795324899 group1 127.0.0.5 4 \n1795324900 group1 127.0.0"),
            [Gone { old: "127.0.0.5".parse().expect("id"), new: None }]
        );
        assert_eq!(
            changelog.push(b".6 3 127.0.0.7\n"),
            [Gone { old: "127.0.0.6".parse().expect("id"), new: Some("127.0.0.7".parse().expect("id")) }]
        );
        assert_eq!(changelog.push(b""), []);
    }

    #[test]
    fn a_damaged_line_is_left_out() {
        let lines = b"1 group1 127.0.0.5\n1 group1 127.0.0.5 7 x\n1 group1 a 3 \n1 group1 b 4 \n";
        assert_eq!(Changelog::default().push(lines).len(), 1);
    }
}
