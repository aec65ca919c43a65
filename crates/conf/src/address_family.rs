//! `address_family`: which IP versions a daemon uses.

use std::str::FromStr;

/// Which IP versions a daemon uses.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AddressFamily {
    /// By the addresses it binds and has.
    #[default]
    Auto,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
    /// Both.
    Both,
}

impl AddressFamily {
    /// Whether IPv6 is asked for.
    #[must_use]
    pub const fn wants_ipv6(self) -> bool {
        matches!(self, Self::Ipv6 | Self::Both)
    }
}

impl FromStr for AddressFamily {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match &*text.to_ascii_lowercase() {
            "auto" => Self::Auto,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "both" => Self::Both,
            _ => return Err("one of auto, IPv4, IPv6, both is needed"),
        })
    }
}
