//! One line in a minute for each peer and topic, however often it gives cause for one.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

/// What was said, of whom, and when.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<HashMap<(IpAddr, &'static str), Instant>>);

impl Complaints {
    /// Whether it is time to complain about this peer in this matter; who asks does so then.
    pub(super) fn is_due(&self, about: (IpAddr, &'static str), now: Instant) -> bool {
        let mut said = self.0.lock().expect("no holder of this lock panics");
        if said.get(&about).is_some_and(|last| now.saturating_duration_since(*last) < PAUSE) {
            return false;
        }
        if said.len() >= MAX_PEERS {
            said.retain(|_, last| now.saturating_duration_since(*last) < PAUSE);
        }
        // Of more peers than that nothing is said: counters tell of them.
        let is_due = said.len() < MAX_PEERS;
        if is_due {
            said.insert(about, now);
        }
        is_due
    }
}

const PAUSE: Duration = Duration::from_secs(60);
const MAX_PEERS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_is_complained_about_once_a_minute() {
        let (complaints, now) = (Complaints::default(), Instant::now());
        let one = (IpAddr::from([10, 0, 0, 1]), "command");
        assert!(complaints.is_due(one, now));
        assert!(!complaints.is_due(one, now + PAUSE / 2));
        assert!(complaints.is_due((one.0, "proof"), now));
        assert!(complaints.is_due(([10, 0, 0, 2].into(), "command"), now));
        assert!(complaints.is_due(one, now + PAUSE));
    }

    #[test]
    fn many_peers_take_no_more_room_than_some() {
        let (complaints, now) = (Complaints::default(), Instant::now());
        let peer = |number: u32| (IpAddr::from(number.to_be_bytes()), "command");
        let told = (0..5000).filter(|number| complaints.is_due(peer(*number), now)).count();
        assert_eq!(told, MAX_PEERS);
        assert!(complaints.is_due(peer(5000), now + PAUSE), "the old ones make room");
    }
}
