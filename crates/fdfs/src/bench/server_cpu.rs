//! CPU time of the server, where it runs on this machine.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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

/// Socket inodes in state LISTEN on one of the addresses, or on its port of every address.
fn listeners(table: &str, addresses: &[SocketAddr]) -> Vec<String> {
    let is_ours = |local: &str| {
        local_address(local).is_some_and(|(ip, port)| {
            let serves =
                |address: &SocketAddr| address.port() == port && (ip.is_unspecified() || address.ip() == ip);
            addresses.iter().any(serves)
        })
    };
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.len() > 9 && row[3] == LISTEN && is_ours(row[1]))
        .map(|row| row[9].to_owned())
        .collect()
}

/// An address of the table: words of hex digits, each a number of 32 bits in the machine's order, and the port.
fn local_address(text: &str) -> Option<(IpAddr, u16)> {
    let (ip, port) = text.split_once(':')?;
    let mut bytes = Vec::new();
    for word in ip.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let ip = match *bytes {
        [a, b, c, d] => Ipv4Addr::new(a, b, c, d).into(),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical(),
    };
    Some((ip, u16::from_str_radix(port, 16).ok()?))
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

    use super::{ServerCpu, local_address};

    #[test]
    fn the_listening_process_is_found_by_its_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let found = ServerCpu::listening_on(&[listener.local_addr().unwrap()]).unwrap();
        assert_eq!(found.0, [std::process::id()]);
        assert!(found.used().is_some());
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_process_on_the_same_port_of_another_address_is_not_counted() {
        let address = |text| local_address(text).map(|(ip, port)| format!("{ip} {port}"));
        assert_eq!(address("C808007F:59D8").as_deref(), Some("127.0.8.200 23000"));
        assert_eq!(address("00000000000000000000000000000000:59D8").as_deref(), Some(":: 23000"));
        assert_eq!(address("0000000000000000FFFF0000C808007F:59D8").as_deref(), Some("127.0.8.200 23000"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut elsewhere = listener.local_addr().unwrap();
        elsewhere.set_ip([127, 0, 0, 2].into());
        assert!(ServerCpu::listening_on(&[elsewhere]).is_none());
    }
}
