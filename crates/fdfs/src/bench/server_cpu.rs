//! CPU time of the server, where it runs on this machine.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Processes whose CPU time is summed.
pub struct ServerCpu(Vec<u32>);

impl ServerCpu {
    /// One process.
    pub fn of(pid: u32) -> Self {
        Self(vec![pid])
    }

    /// The processes that listen on the ports of `addresses`; `None` if none does here.
    pub fn listening_on(addresses: &[SocketAddr]) -> Option<Self> {
        let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .filter_map(|path| fs::read_to_string(path).ok())
            .flat_map(|table| listeners(&table, addresses))
            .collect();
        let pids =
            fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let pids: Vec<u32> = pids.filter(|pid| holds(*pid, &inodes)).collect();
        (!pids.is_empty()).then_some(Self(pids))
    }

    /// User and system time so far; `None` once a process is gone.
    pub fn used(&self) -> Option<Duration> {
        self.0.iter().map(|pid| process_time(*pid)).sum()
    }
}

/// Socket inodes in state LISTEN on one of the ports.
fn listeners(table: &str, addresses: &[SocketAddr]) -> Vec<String> {
    let is_ours = |local: &str| {
        let port = local.rsplit(':').next().and_then(|port| u16::from_str_radix(port, 16).ok());
        port.is_some_and(|port| addresses.iter().any(|address| address.port() == port))
    };
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.len() > 9 && row[3] == LISTEN && is_ours(row[1]))
        .map(|row| row[9].to_owned())
        .collect()
}

fn holds(pid: u32, inodes: &[String]) -> bool {
    let Ok(entries) = fs::read_dir(PathBuf::from(format!("/proc/{pid}/fd"))) else { return false };
    entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()).any(|target| {
        let target = target.to_string_lossy();
        let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inode.is_some_and(|inode| inodes.iter().any(|ours| ours == inode))
    })
}

fn process_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold blanks; utime and stime are fields 14 and 15 of the line.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

const LISTEN: &str = "0A";

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::ServerCpu;

    #[test]
    fn the_listening_process_is_found_by_its_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let found = ServerCpu::listening_on(&[listener.local_addr().unwrap()]).unwrap();
        assert_eq!(found.0, [std::process::id()]);
        assert!(found.used().is_some());
    }
}
