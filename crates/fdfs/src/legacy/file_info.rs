//! `fdfs_file_info`.

use std::path::Path;

use fdfs_client::FileInfo;
use fdfs_types::{FileId, FileKind, Source};

use super::arguments::{Arguments, complain, say};
use super::download::file_id;
use super::errno;
use super::session::Session;
use crate::tools::words::local_time;

/// Prints what is known about a file. As with the original the exit code is 0 even when nothing is.
pub fn run(arguments: &Arguments) -> i32 {
    let (flags, operands) = match split(&arguments.rest) {
        Ok(split) => split,
        Err(flag) => {
            complain(format_args!("{}: invalid option -- '{flag}'", arguments.program));
            return usage(&arguments.program);
        }
    };
    let [config, id, ..] = &operands[..] else { return usage(&arguments.program) };
    let session = match Session::open(Path::new(config)) {
        Ok(session) => session,
        Err(code) => return code,
    };
    let info = file_id(id).and_then(|id| {
        let info = session.runtime.block_on(session.client.file_info(&id))?;
        Ok((id, info))
    });
    match info {
        Ok((id, info)) => print(&id, &info, flags.contains('n')),
        Err(error) => {
            errno::log(&error);
            complain(errno::failed("query file info", errno::of(&error)));
        }
    }
    0
}

fn print(id: &FileId, info: &FileInfo, without_crc32: bool) {
    let kind = match id.filename.kind() {
        Ok(FileKind::Appender) => "appender",
        Ok(FileKind::Slave) => "slave",
        _ => "normal",
    };
    let storage_id = match id.filename.fields().map(|fields| fields.source) {
        Ok(Source::Id(id)) => id.get(),
        _ => 0,
    };
    let source = info.source.map_or_else(String::new, |ip| ip.to_string());
    say(format_args!("GET FROM SERVER: {}\n", !info.is_from_name));
    say(format_args!("file type: {kind}"));
    say(format_args!("source storage id: {storage_id}"));
    say(format_args!("source ip address: {source}"));
    say(format_args!("file create timestamp: {}", local_time(info.created)));
    say(format_args!("file size: {}", info.size));
    if info.is_from_name || !without_crc32 {
        // The original prints the checksum as a signed number.
        say(format_args!("file crc32: {} (0x{:08x})", info.crc32.cast_signed(), info.crc32));
    }
    say("");
}

/// Options may stand anywhere, as with getopt; after `--` there are none.
fn split(arguments: &[String]) -> Result<(String, Vec<String>), char> {
    let (mut flags, mut operands) = (String::new(), Vec::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix('-') {
            Some("-") => operands.extend(arguments.by_ref().cloned()),
            Some(letters) if !letters.is_empty() => match letters.chars().find(|c| !"snh".contains(*c)) {
                Some(unknown) => return Err(unknown),
                None => flags.push_str(letters),
            },
            _ => operands.push(argument.clone()),
        }
    }
    if flags.contains('h') {
        operands.clear();
    }
    Ok((flags, operands))
}

fn usage(program: &str) -> i32 {
    complain(format_args!("Usage: {program} [options] <config_file> <file_id>"));
    complain("  options: ");
    complain("    -s: do not let the storage log that the file does not exist");
    complain("    -n: leave out the CRC32 of an appender file or slave file");
    complain("");
    1
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn options_may_stand_together_and_anywhere() {
        let split = |text: &str| split(&text.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>());
        assert_eq!(split("-sn conf id"), Ok(("sn".to_owned(), vec!["conf".to_owned(), "id".to_owned()])));
        assert_eq!(split("conf -n id -- -s").map(|(_, operands)| operands.len()), Ok(3));
        assert_eq!(split("-x conf id"), Err('x'));
        assert_eq!(split("-h").map(|(_, operands)| operands.len()), Ok(0));
    }
}
