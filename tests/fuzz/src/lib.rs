//! What several targets share.

use fdfs_proto::{Command, Header, fuzzing};
use http::request::Parts;

/// A frame as a request of the family: an error, or a request that is written and read as itself. A command of
/// another family stands for one of this.
pub fn request(frame: &[u8], family: &[Command]) {
    let Some((head, body)) = frame.split_first_chunk::<{ Header::LEN }>() else { return };
    if let Ok(header) = Header::decode(head) {
        let header = Header { command: one_of(family, header.command), length: body.len() as u64, ..header };
        drop(fuzzing::request(&header, body));
    }
}

/// The number of a command of the family, then the body of an answer to it: an error, or an answer that is written
/// and read as itself.
pub fn answer(input: &[u8], families: &[&[Command]]) {
    let [command, body @ ..] = input else { return };
    let family = families.iter().find(|family| family.contains(&Command(*command)));
    let family = family.unwrap_or(&families[usize::from(*command) % families.len()]);
    drop(fuzzing::response(one_of(family, Command(*command)), body));
}

fn one_of(family: &[Command], command: Command) -> Command {
    if family.contains(&command) { command } else { family[usize::from(command.0) % family.len()] }
}

/// The head of an HTTP request: `METHOD TARGET`, then lines of `name: value`.
pub fn head(input: &[u8]) -> Option<Parts> {
    let mut lines = input.split(|byte| *byte == b'\n');
    let mut words = lines.next()?.splitn(2, |byte| *byte == b' ');
    let mut head = http::Request::builder().method(words.next()?).uri(words.next()?);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        head = head.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    Some(head.body(()).ok()?.into_parts().0)
}
