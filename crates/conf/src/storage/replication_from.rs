//! `replication_from`: from whom a storage takes changes of peers. Ours.

use std::str::FromStr;

/// From whom a storage takes changes of peers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ReplicationFrom {
    /// From everybody who may connect, as the original does: its members may come from any address of theirs.
    #[default]
    Anyone,
    /// From the addresses of the group's members alone, as trackers and storage IDs tell them.
    Members,
}

impl FromStr for ReplicationFrom {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match &*text.to_ascii_lowercase() {
            "anyone" => Self::Anyone,
            "members" => Self::Members,
            _ => return Err("one of anyone, members is needed"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ReplicationFrom;

    #[test]
    fn there_are_two_words() {
        assert_eq!("members".parse(), Ok(ReplicationFrom::Members));
        assert_eq!("Anyone".parse(), Ok(ReplicationFrom::default()));
        assert!("peers".parse::<ReplicationFrom>().is_err());
    }
}
