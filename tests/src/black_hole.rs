//! An address that takes no connection and refuses none.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::net::{AddressFamily, SocketType, bind, listen, socket_with, sockopt};

/// An address where packets get no answer, as behind a firewall that drops them: a listener whose queue is full.
#[derive(Debug)]
pub struct BlackHole {
    _listener: rustix::fd::OwnedFd,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    /// Takes the address, which nobody may listen on.
    ///
    /// # Errors
    ///
    /// When it cannot be taken, or still answers.
    pub fn at(address: SocketAddr) -> Result<Self> {
        let flags = rustix::net::SocketFlags::CLOEXEC;
        let listener = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&listener, true)?;
        bind(&listener, &address)?;
        listen(&listener, 0)?;
        let mut queued = Vec::new();
        for _ in 0..MOST {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => queued.push(stream),
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                    return Ok(Self { _listener: listener, _queued: queued });
                }
                Err(error) => return Err(error.into()),
            }
        }
        ensure!(queued.is_empty(), "{address} takes every connection");
        Ok(Self { _listener: listener, _queued: queued })
    }
}

const MOST: usize = 16;
const PATIENCE: Duration = Duration::from_millis(500);
