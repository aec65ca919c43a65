//! `fdfs_monitor`.

use std::path::Path;

use fdfs_client::{Client, ClientOptions, Group};
use fdfs_conf::{TrackerAddress, TrackerConfig};
use fdfs_proto::ServerAddress;
use fdfs_types::{GroupName, StorageId};

use super::arguments::{Arguments, say};
use super::errno;
use super::listing::Listing;
use super::session::Session;

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Call {
    config: String,
    /// Ask this tracker.
    tracker: Option<String>,
    /// The command and what it is about.
    command: Vec<String>,
}

/// Shows groups and storages, or changes a few things about them.
pub fn run(arguments: &Arguments) -> i32 {
    let call = match Call::parse(&arguments.rest) {
        Ok(call) => call,
        Err(code) => return usage(&arguments.program, code),
    };
    match call.run(&arguments.program) {
        Ok(()) => 0,
        Err(code) => code,
    }
}

impl Call {
    /// The exit code of the original where the arguments make no sense.
    fn parse(arguments: &[String]) -> Result<Self, i32> {
        let Some((config, mut rest)) = arguments.split_first() else {
            return Ok(Self { config: DEFAULT_CONFIG.to_owned(), tracker: None, command: Vec::new() });
        };
        if config == "-h" && rest.is_empty() {
            return Err(0);
        }
        let mut tracker = None;
        if rest.first().is_some_and(|first| first == "-h") {
            tracker = Some(rest.get(1).ok_or(1)?.clone());
            rest = &rest[2..];
        }
        let call = Self { config: config.clone(), tracker, command: rest.to_vec() };
        // The original crashes here.
        if matches!(&call.command[..], [delete] if delete == "delete") { Err(1) } else { Ok(call) }
    }

    fn run(&self, program: &str) -> Result<(), i32> {
        let mut session = Session::open(Path::new(&self.config))?;
        let trackers = &mut session.options.trackers;
        let count = trackers.len();
        let mut index = 0;
        if let Some(wanted) = &self.tracker {
            let Some(found) = position(trackers, wanted) else {
                say(format_args!("tracker server: {wanted} not exists!"));
                return Err(2);
            };
            index = found;
            *trackers = vec![trackers.swap_remove(found)];
        }
        say(format_args!("tracker server count={count}, current server index={index}"));
        let (tracker, address) = session.tracker()?;
        say(format_args!("\ntracker server is {address}\n"));
        // What is listed is this tracker's view; what is changed, is changed at all of them.
        let one = Client::new(ClientOptions { trackers: vec![tracker], ..session.options.clone() });
        let words: Vec<&str> = self.command.iter().map(String::as_str).collect();
        match &words[..] {
            [] | ["list"] => list(&session, &one, None),
            ["list", group, ..] => list(&session, &one, Some(group)),
            ["delete", group, rest @ ..] => delete(&session, group, rest.first().copied()),
            ["set_trunk_server", group, rest @ ..] => {
                set_trunk_server(&session, group, rest.first().copied());
            }
            ["set_trunk_server"] => return Err(usage(program, 1)),
            [unknown, ..] => {
                say(format_args!("Invalid command {unknown}\n"));
                usage(program, 0);
            }
        }
        Ok(())
    }
}

fn list(session: &Session, client: &Client, group: Option<&str>) {
    let groups = session.runtime.block_on(async {
        let mut groups: Vec<Group> = client.topology().await?.groups.values().cloned().collect();
        if let Some(group) = group {
            groups.retain(|one| one.record.group.as_str() == group);
        }
        Ok(groups)
    });
    match groups {
        Ok(groups) => Listing::new(&groups, group.is_none()).print(),
        Err(error) => errno::log(&error),
    }
}

fn delete(session: &Session, group: &str, storage: Option<&str>) {
    let (what, done) = match storage {
        None => {
            let done = names(group, None)
                .and_then(|(group, _)| Ok(session.runtime.block_on(session.client.delete_group(group))?));
            (format!("delete group: {group}"), done)
        }
        Some(storage) => {
            let done = names(group, Some(storage)).and_then(|(group, storage)| {
                let Some(storage) = storage else { return Ok(()) };
                Ok(session.runtime.block_on(session.client.delete_storage(group, storage))?)
            });
            (format!("delete storage server {group}::{storage}"), done)
        }
    };
    tell(&what, done.map(|()| String::new()));
}

fn set_trunk_server(session: &Session, group: &str, storage: Option<&str>) {
    let done = names(group, storage).and_then(|(group, storage)| {
        let chosen = session.runtime.block_on(session.client.set_trunk_server(group, storage))?;
        Ok(format!(", new trunk server: {chosen}"))
    });
    tell(&format!("set trunk server {group}::{}", storage.unwrap_or_default()), done);
}

/// Prints how it went. The exit code is 0 in any case, as with the original.
fn tell(what: &str, done: anyhow::Result<String>) {
    match done {
        Ok(more) => say(format_args!("{what} success{more}")),
        Err(error) => {
            errno::log(&error);
            say(errno::failed(what, errno::of(&error)));
        }
    }
}

/// What is no name does not exist.
fn names(group: &str, storage: Option<&str>) -> anyhow::Result<(GroupName, Option<StorageId>)> {
    let unknown = || anyhow::Error::from(fdfs_client::ClientError::NotFound);
    let group = group.parse().map_err(|_| unknown())?;
    let storage = storage.map(|id| id.parse().map_err(|_| unknown())).transpose()?;
    Ok((group, storage))
}

fn position(trackers: &[ServerAddress], wanted: &str) -> Option<usize> {
    let wanted: TrackerAddress = wanted.parse().ok()?;
    let same = |tracker: &ServerAddress| {
        tracker.port == wanted.port
            && tracker.ips.iter().any(|ip| wanted.hosts.iter().any(|host| *host == ip.to_string()))
    };
    trackers.iter().position(same)
}

fn usage(program: &str, code: i32) -> i32 {
    say(format_args!(
        "\nUsage: {program} <client_cfg_file> [-h <tracker_server>] \
         [list|delete|set_trunk_server <group_name> [storage_id]]\n\n\
         <tracker_server> is one of the configuration, host[:port]; the usual port is {}.\n\
         Without arguments {DEFAULT_CONFIG} is used.\n",
        TrackerConfig::DEFAULT_PORT
    ));
    code
}

const DEFAULT_CONFIG: &str = "/etc/fdfs/client.conf";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Call, i32> {
        Call::parse(&text.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_arguments_are_those_of_the_original() {
        assert_eq!(parse("").unwrap().config, DEFAULT_CONFIG);
        let call = parse("c.conf -h 127.0.8.1 list group1").unwrap();
        assert_eq!((call.config.as_str(), call.tracker.as_deref()), ("c.conf", Some("127.0.8.1")));
        assert_eq!(call.command, ["list", "group1"]);
        assert_eq!(parse("-h"), Err(0));
        assert_eq!(parse("c.conf -h"), Err(1));
        assert_eq!(parse("c.conf delete"), Err(1));
    }

    #[test]
    fn a_tracker_is_found_by_any_of_its_addresses() {
        let trackers = ["127.0.8.1:5", "127.0.8.2,127.0.8.3:22122"]
            .map(|text| ServerAddress::parse(text, TrackerConfig::DEFAULT_PORT).unwrap());
        assert_eq!(position(&trackers, "127.0.8.3"), Some(1));
        assert_eq!(position(&trackers, "127.0.8.1:5"), Some(0));
        assert_eq!(position(&trackers, "127.0.8.1:6"), None);
    }
}
