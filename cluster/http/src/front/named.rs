//! Paths of names beside native ones.

use std::net::IpAddr;
use std::pin::Pin;

use http::{HeaderMap, Method, Response};

use crate::Body;

/// Answers paths that are no native ones: `/BUCKET/key`.
pub trait Named: Send + Sync + 'static {
    /// Answers `GET` and `HEAD`, and refuses the rest. The path is as the client wrote it, without a prefix; `client` is the
    /// one that is believed.
    fn answer<'a>(
        &'a self,
        method: &'a Method,
        path: &'a str,
        headers: &'a HeaderMap,
        client: IpAddr,
    ) -> Pin<Box<dyn Future<Output = Response<Body>> + Send + 'a>>;
}

/// Whether a path is a native one, right or wrong: its first or second component is a store path.
pub(super) fn is_native(path: &str) -> bool {
    let is_store_path = |component: &str| matches!(component.as_bytes(), [b'M', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    path.split('/').filter(|component| !component.is_empty()).take(2).any(is_store_path)
}

#[cfg(test)]
mod tests {
    use super::is_native;

    #[test]
    fn a_store_path_tells_native_paths_from_names() {
        for path in ["/group1/M00/00/00/x", "//group1//M0a/", "/M00/00", "/pictures/M00/cat.jpg"] {
            assert!(is_native(path), "{path}");
        }
        for path in ["/", "/group1/pets/cat.jpg", "/group1/m00/x", "/pictures/2026/M00/x", "/M0/M000"] {
            assert!(!is_native(path), "{path}");
        }
    }
}
