//! `mount.fdfs`: what mount(8) calls for `mount -t fdfs` and for fstab.
//!
//! ```text
//! mount.fdfs TRACKERS DIR [-fnrsvw] [-N NAMESPACE] [-t TYPE] [-o OPTIONS]
//! ```

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::background;
use super::options::MountOptions;

/// A call of the helper.
#[derive(Debug, Default, Eq, PartialEq)]
struct Call {
    trackers: String,
    directory: PathBuf,
    options: Vec<String>,
    /// Everything but the mounting is done.
    is_fake: bool,
}

/// True if this program is called as the helper.
pub fn is_called() -> bool {
    let name = std::env::args_os().next();
    name.is_some_and(|name| Path::new(&name).file_name().is_some_and(|name| name == "mount.fdfs"))
}

/// Does what mount(8) asks for, and ends as it wants its helpers to.
pub fn run() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let call = match Call::parse(&arguments) {
        Ok(call) => call,
        Err(error) => {
            eprintln!("mount.fdfs: {error:#}");
            return ExitCode::from(WRONG_CALL);
        }
    };
    match call.mount() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mount.fdfs: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

impl Call {
    fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let (mut call, mut plain) = (Self::default(), Vec::new());
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let Some(flags) = argument.strip_prefix('-').filter(|flags| !flags.is_empty()) else {
                plain.push(argument.clone());
                continue;
            };
            for (at, flag) in flags.char_indices() {
                let value = &flags[at + flag.len_utf8()..];
                match flag {
                    'f' => call.is_fake = true,
                    // The mount table is the kernel's, and what is not known is refused, sloppy or not.
                    'n' | 's' | 'v' | 'w' => {}
                    'r' => call.options.push("ro".to_owned()),
                    'o' | 'N' | 't' => {
                        let value = match value {
                            "" => rest.next().with_context(|| format!("-{flag} wants a value"))?,
                            value => value,
                        };
                        if flag == 'o' {
                            call.options.extend(value.split(',').map(str::to_owned));
                        }
                        break;
                    }
                    flag => bail!("-{flag} is not known"),
                }
            }
        }
        match <[String; 2]>::try_from(plain) {
            Ok([trackers, directory]) => {
                // In fstab a name may be written with its type before it.
                let trackers = trackers.strip_prefix("fdfs#").unwrap_or(&trackers).to_owned();
                (call.trackers, call.directory) = (trackers, directory.into());
            }
            Err(_) => bail!("usage: mount.fdfs TRACKER[:PORT][,TRACKER...] DIR [-o OPTIONS]"),
        }
        MountOptions::parse(&call.options)?;
        Ok(call)
    }

    fn mount(&self) -> anyhow::Result<()> {
        if self.is_fake {
            return Ok(());
        }
        let directory = std::path::absolute(&self.directory)?;
        let mut arguments: Vec<OsString> = vec![self.trackers.clone().into(), directory.clone().into()];
        if !self.options.is_empty() {
            arguments.extend(["-o".into(), self.options.join(",").into()]);
        }
        background::start(&arguments, &directory)
    }
}

/// What mount(8) takes for a wrong call.
const WRONG_CALL: u8 = 1;
/// What mount(8) takes for a failed mount.
const FAILED: u8 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<Call> {
        Call::parse(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_helper_is_called_as_mount_calls_helpers() {
        let call = parse("one:22122,two /mnt/fdfs -sv -o rw,_netdev,allow_other -t fdfs").unwrap();
        assert_eq!((call.trackers.as_str(), call.directory), ("one:22122,two", PathBuf::from("/mnt/fdfs")));
        assert_eq!(call.options, ["rw", "_netdev", "allow_other"]);
        let call = parse("-rfn fdfs#one /mnt -ocache=1").unwrap();
        assert!(call.is_fake && call.trackers == "one" && call.options == ["ro", "cache=1"]);
        for wrong in ["one", "one /mnt more", "one /mnt -o", "one /mnt -o acl", "one /mnt -x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
