//! What every old tool does first: it reads client.conf and finds a tracker.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use fdfs_client::{Client, ClientOptions};
use fdfs_conf::{AntiSteal, ClientConfig, Configuration, Loaded};
use fdfs_proto::ServerAddress;
use fdfs_types::{FileId, Timestamp};
use md5::{Digest as _, Md5};
use tokio::runtime::Runtime;

use super::errno;
use crate::tools::cluster;

/// A client of the cluster that a client.conf names.
pub struct Session {
    anti_steal: Option<AntiSteal>,
    pub options: ClientOptions,
    pub client: Client,
    pub runtime: Runtime,
}

impl Session {
    /// Reads a client.conf. A failure is told on standard error; its number is the exit code.
    pub fn open(path: &Path) -> Result<Self, i32> {
        Self::try_open(path).map_err(|error| {
            errno::log(&error);
            errno::of(&error)
        })
    }

    /// Reads a client.conf, and connects to a tracker.
    pub fn connect(path: &Path) -> Result<Self, i32> {
        let session = Self::open(path)?;
        session.tracker()?;
        Ok(session)
    }

    /// The first tracker that answers.
    pub fn tracker(&self) -> Result<(ServerAddress, SocketAddr), i32> {
        for tracker in &self.options.trackers {
            for address in tracker.sockets() {
                match self.runtime.block_on(self.client.active_test(address)) {
                    Ok(()) => return Ok((tracker.clone(), address)),
                    Err(error) => {
                        let error = anyhow::Error::from(error);
                        errno::log(&error.context(format!("connect to server {address} fail")));
                    }
                }
            }
        }
        Err(NO_TRACKER)
    }

    /// Where a file is found by HTTP, with a token if client.conf asks for one.
    pub fn url(&self, storage: SocketAddr, id: &FileId) -> String {
        let url = format!("http://{}/{id}", storage.ip());
        match &self.anti_steal {
            None => url,
            Some(anti_steal) => {
                let now = Timestamp::from(std::time::SystemTime::now());
                format!("{url}?{}", token(id, &anti_steal.secret_key, now))
            }
        }
    }

    fn try_open(path: &Path) -> anyhow::Result<Self> {
        let Loaded { config, warnings } = ClientConfig::read(path, &mut |path| fs::read(path))?;
        for warning in warnings.iter().filter(|warning| !warning.is_harmless()) {
            errno::log_line("WARNING", warning);
        }
        let options = cluster::options(&config).with_context(|| path.display().to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = Client::new(options.clone());
        Ok(Self { anti_steal: config.anti_steal, options, client, runtime })
    }
}

/// The original's exit code when no tracker can be reached: EINPROGRESS, whatever the reason.
const NO_TRACKER: i32 = 115;

/// The token of a URL. As with the original's test programs it is made over the whole ID.
fn token(id: &FileId, secret: &str, now: Timestamp) -> String {
    let digest: [u8; 16] = Md5::digest(format!("{id}{secret}{now}")).into();
    format!("token={:032x}&ts={now}", u128::from_be_bytes(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_that_of_the_original() {
        let id = "group1/M00/00/00/fwAIAmsCpmWAct93AAAACw1KEYU786_big.txt".parse().unwrap();
        let text = token(&id, "abc", Timestamp(1_795_335_781));
        assert_eq!(text, "token=a15cd3ae9c7c028b629850657cd9041a&ts=1795335781");
    }
}
