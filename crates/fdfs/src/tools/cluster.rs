//! Which cluster a tool works with.

use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use fdfs_client::{Client, ClientOptions};
use fdfs_conf::{ClientConfig, Configuration, TrackerAddress};
use fdfs_proto::ServerAddress;

/// Where the cluster is found, and how results are told.
#[derive(Args, Clone, Debug)]
pub struct ClusterArgs {
    /// Address of a tracker; may be repeated.
    #[arg(short, long = "tracker", value_name = "HOST:PORT")]
    trackers: Vec<TrackerAddress>,
    /// A client.conf that names the trackers.
    #[arg(short, long, value_name = "FILE", conflicts_with = "trackers")]
    config: Option<PathBuf>,
    /// Print one JSON object per result.
    #[arg(long)]
    pub json: bool,
}

impl ClusterArgs {
    /// A client of the cluster. Nothing is asked yet.
    pub fn client(&self) -> anyhow::Result<Client> {
        let from_environment = std::env::var("FDFS_TRACKERS").ok().filter(|text| !text.trim().is_empty());
        let config = match (&self.config, from_environment) {
            (Some(path), _) => read(path)?,
            (None, _) if !self.trackers.is_empty() => ClientConfig::new(self.trackers.clone()),
            (None, Some(text)) => ClientConfig::new(parse_list(&text).context("FDFS_TRACKERS")?),
            (None, None) if Path::new(DEFAULT_CONFIG).exists() => read(Path::new(DEFAULT_CONFIG))?,
            (None, None) => anyhow::bail!(
                "no tracker is known: give -t HOST:PORT or -c client.conf, or set FDFS_TRACKERS"
            ),
        };
        Ok(Client::new(options(&config)?))
    }
}

/// The options that a client.conf stands for. Names of trackers are looked up.
pub fn options(config: &ClientConfig) -> io::Result<ClientOptions> {
    let trackers = config.trackers.iter().map(resolve).collect::<io::Result<Vec<_>>>()?;
    let mut options = ClientOptions::new(trackers);
    options.pool.connect_timeout = config.connect_timeout;
    options.pool.network_timeout = config.network_timeout;
    options.pool.max_idle_time = config.connection_pool_max_idle_time;
    Ok(options)
}

/// The addresses of a tracker.
fn resolve(tracker: &TrackerAddress) -> io::Result<ServerAddress> {
    let mut ips = Vec::new();
    for host in &tracker.hosts {
        for address in lookup(host, tracker.port)? {
            if !ips.contains(&address.ip()) && ips.len() < ServerAddress::MAX_IPS {
                ips.push(address.ip());
            }
        }
    }
    Ok(ServerAddress { ips, port: tracker.port })
}

/// The addresses of a host; at least one.
pub fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("cannot find host {host}: {error}"));
    let found: Vec<_> = (host, port).to_socket_addrs().map_err(failed)?.collect();
    if found.is_empty() { Err(failed(io::ErrorKind::NotFound.into())) } else { Ok(found) }
}

fn read(path: &Path) -> anyhow::Result<ClientConfig> {
    let loaded = ClientConfig::read(path, &mut |path| fs::read(path))?;
    for warning in loaded.warnings.iter().filter(|warning| !warning.is_harmless()) {
        eprintln!("fdfs: {warning}");
    }
    Ok(loaded.config)
}

fn parse_list(text: &str) -> anyhow::Result<Vec<TrackerAddress>> {
    text.split_whitespace().map(|one| one.parse().with_context(|| format!("{one:?}"))).collect()
}

const DEFAULT_CONFIG: &str = "/etc/fdfs/client.conf";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_trackers_is_separated_by_spaces() {
        let list = parse_list(" 127.0.8.1:22122\t[::1]:1 ").unwrap();
        let texts: Vec<_> = list.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["127.0.8.1:22122", "[::1]:1"]);
        assert!(parse_list("127.0.8.1:0").is_err());
    }

    #[test]
    fn both_addresses_of_a_tracker_are_kept() {
        let address = "127.0.8.1,127.0.8.2:7".parse().unwrap();
        let resolved = resolve(&address).unwrap();
        assert_eq!(resolved.to_string(), "127.0.8.1,127.0.8.2:7");
    }
}
