//! `trunk_server_change.log`: who held the office of trunk server.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use fdfs_rules::TrunkChange;
use jiff::Zoned;

pub(super) fn append(path: &Path, change: &TrunkChange) -> io::Result<()> {
    let mut file = File::options().append(true).create(true).mode(0o644).open(path)?;
    let time = Zoned::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
    file.write_all(line(&time, change).as_bytes())
}

fn line(time: &str, change: &TrunkChange) -> String {
    let TrunkChange { group, before, now } = change;
    format!("[{time}] {group}  {before}  =>  {now}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_original() {
        let sample = include_str!("../../../../tests/vectors/disk/tracker/07-logs/trunk_server_change.log");
        let change = TrunkChange {
            group: "group1".parse().expect("a name"),
            before: "-/-".into(),
            now: "100001/127.0.0.4:23301".into(),
        };
        assert!(sample.starts_with(&line("2026-11-22 05:04:00", &change)), "{sample}");
    }
}
