//! What a client may have signed as the host where proxies stand between.

use http::HeaderMap;

use crate::target::bucket_of_host;

/// Other names for the host of a request than the one that came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OtherHosts<'a> {
    /// The name under which `BUCKET.suffix` reaches this server.
    pub(crate) suffix: Option<&'a str>,
    /// The bucket that the host names: none of the others may name another one, or any where it names none.
    pub(crate) bucket: Option<&'a str>,
}

impl OtherHosts<'_> {
    /// The host's name without or with another port, and what `X-Forwarded-Host` says.
    pub(super) fn of(&self, headers: &HeaderMap) -> Vec<String> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let first = |name: &str| header(name).and_then(|value| value.split(',').next()).map(str::trim);
        let scheme_port =
            first("x-forwarded-proto").map(|scheme| if scheme == "https" { "443" } else { "80" });
        let ports: Vec<_> = first("x-forwarded-port").into_iter().chain(scheme_port).collect();
        let mut hosts = Vec::new();
        for name in first("x-forwarded-host").into_iter().chain(header("host")) {
            let bare = match name.rsplit_once(':') {
                Some((bare, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => bare,
                _ => name,
            };
            hosts.extend(ports.iter().map(|port| format!("{bare}:{port}")));
            hosts.extend([name.to_owned(), bare.to_owned()]);
        }
        if let Some(suffix) = self.suffix {
            hosts.retain(|host| bucket_of_host(host, suffix).as_deref() == self.bucket);
        }
        hosts
    }
}
