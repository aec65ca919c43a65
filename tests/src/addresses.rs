//! Loopback addresses of which each test process has its own.

use std::net::Ipv4Addr;
use std::process;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Result, bail};

/// Hands out loopback addresses that no other test process uses, so that every daemon can listen on its
/// usual port.
#[derive(Debug)]
pub struct Addresses;

impl Addresses {
    /// The next address, `127.64.0.2` or above.
    ///
    /// Never `127.0.0.1`: as in the original, a storage refuses a tracker of that address.
    ///
    /// # Errors
    ///
    /// When one process has taken all of its addresses.
    pub fn next() -> Result<Ipv4Addr> {
        let host = NEXT_HOST.fetch_add(1, Ordering::Relaxed);
        if !(FIRST_HOST..LAST_HOST).contains(&host) {
            bail!("this process has used up its loopback addresses");
        }
        let [.., middle, low] = process::id().to_be_bytes();
        Ok(Ipv4Addr::new(127, 64 + middle % 64, low, host))
    }
}

/// 0 and 1 are avoided: an address a.b.c.0 cannot be told from a storage id in a file name.
const FIRST_HOST: u8 = 2;
const LAST_HOST: u8 = 250;

static NEXT_HOST: AtomicU8 = AtomicU8::new(FIRST_HOST);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_loopback_and_differ() -> Result<()> {
        let (first, second) = (Addresses::next()?, Addresses::next()?);
        assert!(first.is_loopback() && second.is_loopback());
        assert_ne!(first, second);
        Ok(())
    }
}
