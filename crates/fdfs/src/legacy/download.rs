//! `fdfs_download_file`.

use std::fmt::Display;
use std::path::Path;

use fdfs_client::ByteRange;
use fdfs_types::FileId;

use super::arguments::{Arguments, say};
use super::errno;
use super::session::Session;
use crate::tools::Part;

/// Fetches a file. As with the original the exit code is 0 even when that fails.
pub fn run(arguments: &Arguments) -> i32 {
    let usage = "<config_file> <file_id> [local_filename] [<download_offset> <download_bytes>]";
    let [config, id] = match arguments.first(usage) {
        Ok(first) => first,
        Err(code) => return code,
    };
    let session = match Session::connect(Path::new(config)) {
        Ok(session) => session,
        Err(code) => return code,
    };
    let target = arguments.get(2).unwrap_or_else(|| id.rsplit('/').next().unwrap_or(id));
    let range = match (arguments.get(3), arguments.get(4)) {
        (Some(offset), Some(length)) => range(offset, length),
        // Without a length the offset counts for nothing.
        _ => ByteRange::ALL,
    };
    let fetched = file_id(id).and_then(|id| fetch(&session, &id, range, Path::new(target)));
    if let Err(error) = fetched {
        errno::log(&error);
        say(errno::failed("download file", errno::of(&error)));
    }
    0
}

/// Reads the ID of a file. A text that no storage can have made is an invalid argument.
pub fn file_id(text: &str) -> anyhow::Result<FileId> {
    let invalid = |reason: &dyn Display| {
        let invalid = anyhow::Error::from(std::io::Error::from_raw_os_error(errno::EINVAL));
        invalid.context(format!("{text}: {reason}"))
    };
    let id: FileId = text.parse().map_err(|error| invalid(&error))?;
    match id.filename.fields() {
        Ok(_) => Ok(id),
        Err(error) => Err(invalid(&error)),
    }
}

/// Fetches into a file that is there only when it is whole, and tells its size.
pub fn fetch(session: &Session, id: &FileId, range: ByteRange, target: &Path) -> anyhow::Result<u64> {
    session.runtime.block_on(async {
        let mut download = session.client.download(id, range).await?;
        let mut part = Part::open(target, &format!("{id} {range:?}"))?;
        part.restart()?;
        loop {
            match download.next_chunk().await {
                Ok(Some(piece)) => part.write(&piece).inspect_err(|_| part.discard())?,
                Ok(None) => break,
                Err(error) => {
                    part.discard();
                    return Err(error.into());
                }
            }
        }
        let size = part.size();
        part.finish()?;
        Ok(size)
    })
}

fn range(offset: &str, length: &str) -> ByteRange {
    let number = |text: &str| text.parse().unwrap_or(0);
    // 0 is the wire's word for "to the end".
    ByteRange { offset: number(offset), length: Some(number(length)).filter(|length| *length > 0) }
}
