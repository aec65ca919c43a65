//! What one client may take: connections at one time, and requests in a second.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fdfs_types::Network;
use lru::LruCache;
use parking_lot::Mutex;

/// How much one client may take. Addresses of IPv6 that agree in their first 64 bits are one client.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientLimitSettings {
    /// Most connections at one time; 0 for any number.
    pub connections: u32,
    /// Most requests in a second, on the average; 0 for any number.
    pub requests: u32,
    /// Most requests at once, after a pause; 0 for as many as in a second.
    pub burst: u32,
    /// Those whose connections are for many clients, and are not counted.
    pub proxies: Vec<Network>,
}

/// Counts what clients take. Clients whose last request is longest ago are forgotten first.
#[derive(Debug, Default)]
pub struct ClientLimits {
    /// Whether there is a limit, so that nobody waits for a lock where there is none.
    counts_connections: AtomicBool,
    counts_requests: AtomicBool,
    state: Mutex<State>,
}

/// The place of a connection; it is free again when this goes.
#[derive(Debug)]
pub struct ConnectionPlace(Option<(Arc<ClientLimits>, IpAddr)>);

#[derive(Debug)]
struct State {
    settings: ClientLimitSettings,
    /// As many entries as there are connections at most.
    connections: HashMap<IpAddr, u32>,
    buckets: LruCache<IpAddr, Bucket>,
}

/// Requests that a client may still send at once, and since when.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl ClientLimits {
    /// Limits from now on.
    pub fn new(settings: ClientLimitSettings) -> Arc<Self> {
        let limits = Self::default();
        limits.set(settings);
        Arc::new(limits)
    }

    /// Other limits from now on; connections that there are stay.
    pub fn set(&self, settings: ClientLimitSettings) {
        let mut state = self.state.lock();
        self.counts_connections.store(settings.connections > 0, Ordering::Relaxed);
        self.counts_requests.store(settings.requests > 0, Ordering::Relaxed);
        state.settings = settings;
    }

    /// A client connects; `None` if it has as many connections as it may have.
    pub fn connect(self: &Arc<Self>, client: IpAddr) -> Option<ConnectionPlace> {
        if !self.counts_connections.load(Ordering::Relaxed) {
            return Some(ConnectionPlace(None));
        }
        let mut state = self.state.lock();
        let address = client.to_canonical();
        if state.settings.proxies.iter().any(|network| network.contains(address)) {
            return Some(ConnectionPlace(None));
        }
        let (key, most) = (key_of(client), state.settings.connections);
        let count = state.connections.entry(key).or_default();
        if *count >= most && most > 0 {
            metrics::counter!("fdfs_http_client_limits_total", "limit" => "connections").increment(1);
            return None;
        }
        *count += 1;
        Some(ConnectionPlace(Some((Arc::clone(self), key))))
    }

    /// A client sends a request at this time; the time after which it may, if it may not now.
    pub fn request(&self, client: IpAddr, now: impl FnOnce() -> Instant) -> Result<(), Duration> {
        if !self.counts_requests.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut state = self.state.lock();
        let rate = f64::from(state.settings.requests.max(1));
        let burst = if state.settings.burst > 0 { f64::from(state.settings.burst) } else { rate };
        let now = now();
        let full = Bucket { left: burst, at: now };
        let bucket = state.buckets.get_or_insert_mut(key_of(client), || full);
        let gained = now.saturating_duration_since(bucket.at).as_secs_f64() * rate;
        *bucket = Bucket { left: (bucket.left + gained).min(burst), at: now.max(bucket.at) };
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        metrics::counter!("fdfs_http_client_limits_total", "limit" => "requests").increment(1);
        Err(Duration::from_secs_f64((1.0 - bucket.left) / rate))
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            settings: ClientLimitSettings::default(),
            connections: HashMap::new(),
            buckets: LruCache::new(MOST_CLIENTS),
        }
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let Some((limits, key)) = self.0.take() else { return };
        let mut state = limits.state.lock();
        if let Some(count) = state.connections.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                state.connections.remove(&key);
            }
        }
    }
}

/// What a client is told by: a whole network of IPv6 is usually one's.
fn key_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

/// Clients whose requests are remembered.
const MOST_CLIENTS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_that_has_used_its_burst_may_go_on_at_its_rate() {
        let limits = ClientLimits::new(ClientLimitSettings { requests: 2, burst: 3, ..Default::default() });
        let (client, began) = (ip("192.0.2.1"), Instant::now());
        let at = |ms| move || began + Duration::from_millis(ms);
        for _ in 0..3 {
            assert_eq!(limits.request(client, at(0)), Ok(()));
        }
        assert_eq!(limits.request(client, at(0)), Err(Duration::from_millis(500)));
        assert_eq!(limits.request(ip("192.0.2.2"), at(0)), Ok(()), "others have their own");
        assert_eq!(limits.request(client, at(500)), Ok(()));
        assert!(limits.request(client, at(600)).is_err());
        // No more is saved up than the burst.
        let later = (0..10).filter(|_| limits.request(client, at(60_000)).is_ok()).count();
        assert_eq!(later, 3);
        limits.set(ClientLimitSettings::default());
        assert!((0..1000).all(|_| limits.request(client, at(60_000)).is_ok()), "no limit any more");
    }

    #[test]
    fn what_is_remembered_of_clients_is_bounded() {
        let limits = ClientLimits::new(ClientLimitSettings { requests: 1, ..Default::default() });
        let now = Instant::now();
        for number in 0..70_000_u32 {
            assert_eq!(limits.request(IpAddr::V4(number.into()), || now), Ok(()));
        }
        assert_eq!(limits.state.lock().buckets.len(), MOST_CLIENTS.get());
        let place = limits.connect(ip("192.0.2.1"));
        assert!(place.is_some() && limits.state.lock().connections.is_empty(), "nothing to count");
    }

    #[test]
    fn a_client_has_as_many_connections_as_it_may_and_a_proxy_any_number() {
        let proxies = vec!["10.0.0.0/8".parse().unwrap()];
        let limits = ClientLimits::new(ClientLimitSettings { connections: 2, proxies, ..Default::default() });
        // One network of IPv6 is one client.
        let first = limits.connect(ip("2001:db8::1"));
        let second = limits.connect(ip("2001:db8::2"));
        assert!(first.is_some() && second.is_some());
        assert!(limits.connect(ip("2001:db8::3")).is_none());
        assert!(limits.connect(ip("2001:db8:0:1::1")).is_some());
        drop(second);
        assert!(limits.connect(ip("2001:db8::3")).is_some());
        let proxied: Vec<_> = (0..9).filter_map(|_| limits.connect(ip("::ffff:10.1.2.3"))).collect();
        assert_eq!(proxied.len(), 9);
        drop((first, proxied));
        assert!(limits.state.lock().connections.is_empty());
    }
}
