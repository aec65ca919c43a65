//! Lending open files between processes of one machine.
//!
//! A storage listens on a socket of the machine beside each of its addresses, under a name that is made of that address. A
//! reader asks there for a file by its ID; the storage opens it, as it would to send it, and passes the descriptor on. The
//! content is then read, or sent on by `sendfile`, without going through TCP to the reader first.
//!
//! The name stands in the network namespace of the machine and not in its file system: who sees it and is told the address by a
//! tracker is on the storage's machine. Names have no permissions, so each side looks who the other is: a storage lends to
//! processes of its own user and of root, and a reader believes those alone.
//!
//! ```text
//!  Borrower (tokio) ──  header, LEND_FILE  ──►  Lender (a thread for each connection)
//!                   ◄─  header, where; descriptor  ──
//! ```

mod borrower;
mod lender;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net;

pub use borrower::{Borrower, Lent};
pub use lender::{Lender, Loan};

/// The name of the socket beside a storage's address.
fn name_of(address: SocketAddr) -> io::Result<net::SocketAddr> {
    let (ip, port) = (address.ip().to_canonical(), address.port());
    net::SocketAddr::from_abstract_name(format!("fdfs-storage {}", SocketAddr::new(ip, port)))
}

/// Whether a process of this user is the one to lend to, or to borrow from.
fn is_trusted(user: u32) -> bool {
    user == 0 || user == rustix::process::geteuid().as_raw()
}
