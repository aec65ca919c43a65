//! `fdfs bench`: load on a FastDFS-compatible cluster, and what it took.
//!
//! Connections share half as many threads as there are cores: the generator spends as little as it can beside
//! the server that it measures, and says how much. Only standard commands are used, so the peer may be any FastDFS, or
//! any server of S3.

mod load;
mod report;
mod s3;
mod server_cpu;
mod target;
mod wire;

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use self::load::Load;
use self::s3::{S3Connection, S3Site};
use self::server_cpu::ServerCpu;
use self::wire::{Wire, within};

/// What to measure.
#[derive(Args, Clone)]
pub struct BenchArgs {
    /// Address of a tracker, HOST:PORT.
    #[arg(short, long, default_value = "127.0.0.1:22122")]
    tracker: String,
    /// Storages to load, HOST:PORT, instead of those that the tracker offers.
    #[arg(long)]
    storage: Vec<String>,
    /// Address of an S3 server to load instead, HOST:PORT; without TLS.
    #[arg(long)]
    s3: Option<String>,
    /// Bucket that is loaded there; it must exist.
    #[arg(long, default_value = "bench")]
    bucket: String,
    /// Credentials for it, a file as AWS's tools share it.
    #[arg(long, default_value = "credentials")]
    credentials: PathBuf,
    /// Region for it.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// What each request does.
    #[arg(value_enum)]
    operation: Operation,
    /// Bytes of each file; K, M and G are allowed.
    #[arg(short, long, default_value = "4K", value_parser = parse_size)]
    size: usize,
    /// Connections, each with one request at a time.
    #[arg(short, long, default_value_t = 16)]
    connections: usize,
    /// Seconds of load; deleting ends earlier when every prepared file is gone.
    #[arg(short = 'd', long, default_value_t = 5.0)]
    seconds: f64,
    /// Files uploaded beforehand for operations that need some.
    #[arg(short = 'n', long, default_value_t = 1000)]
    files: usize,
    /// What becomes of downloaded bytes.
    #[arg(long, value_enum, default_value_t = Reading::Copy)]
    reading: Reading,
    /// Delete what was uploaded.
    #[arg(long)]
    clean: bool,
    /// Process whose CPU time is counted; found by its listening port where the storage is on this machine.
    #[arg(long)]
    server_pid: Option<u32>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What a request does.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Operation {
    /// Store a new file.
    Upload,
    /// Read a whole file.
    Download,
    /// 70 downloads, 20 uploads, 5 queries and 5 deletions of 100.
    Mixed,
    /// Remove a file.
    Delete,
    /// Ask for size and time of a file.
    Info,
    /// Read a page of 1,000 names, of S3; the names count as bytes.
    List,
}

/// What becomes of downloaded bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Reading {
    /// They are read, as programs do.
    Copy,
    /// They are dropped in the kernel, which leaves more of the machine to the server.
    Drain,
    /// They are read and compared.
    Verify,
}

impl BenchArgs {
    /// Runs the load and prints what was measured.
    pub fn run(self) -> anyhow::Result<()> {
        let servers = match &self.s3 {
            Some(address) => vec![resolve(address)?],
            None => self.storages()?,
        };
        let cpu = match self.server_pid {
            Some(pid) => Some(ServerCpu::of(pid)),
            None => ServerCpu::listening_on(&servers),
        };
        let load = Load {
            operation: self.operation,
            size: self.size,
            connections: self.connections.max(1),
            duration: Duration::from_secs_f64(self.seconds),
            files: self.files,
            reading: self.reading,
            clean: self.clean,
        };
        let server = |index: usize| servers.get(index % servers.len()).copied().context("no server");
        let measured = if self.s3.is_some() {
            let site = S3Site::new(&self.bucket, &self.region, &self.credentials)?;
            load.run(cpu, async |index| S3Connection::open(server(index)?, &site, index).await)?
        } else {
            load.run(cpu, async |index| Wire::connect(server(index)?).await)?
        };
        if self.json {
            measured.print_json();
        } else {
            measured.print_text();
        }
        anyhow::ensure!(
            measured.errors == 0,
            "{} requests failed; the first: {}",
            measured.errors,
            measured.first_error
        );
        Ok(())
    }
}

impl BenchArgs {
    fn storages(&self) -> anyhow::Result<Vec<SocketAddr>> {
        if !self.storage.is_empty() {
            return self.storage.iter().map(|address| resolve(address)).collect();
        }
        let tracker = resolve(&self.tracker)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ask = async { Wire::connect(tracker).await?.storages().await };
        runtime.block_on(within(ask)).with_context(|| format!("tracker {tracker} names no storage"))
    }
}

fn resolve(address: &str) -> anyhow::Result<SocketAddr> {
    let found = address.to_socket_addrs().with_context(|| format!("{address} is not HOST:PORT"))?.next();
    found.with_context(|| format!("{address} has no address"))
}

fn parse_size(text: &str) -> Result<usize, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let number: usize = number.parse().map_err(|error| format!("{error}"))?;
    number.checked_mul(unit).ok_or_else(|| "too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_have_units() {
        let cases =
            [("0", Some(0)), ("4K", Some(4096)), ("1m", Some(1 << 20)), ("2G", Some(2 << 30)), ("K", None)];
        for (text, size) in cases {
            assert_eq!(parse_size(text).ok(), size, "{text}");
        }
    }
}
