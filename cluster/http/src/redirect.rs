//! Sending a client to the member that has a file.

use std::net::{IpAddr, SocketAddr};

use http::header::{CONTENT_LENGTH, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{Body, Target};

/// A redirection of `target`, with its raw query, to a member.
pub(crate) fn redirect(target: &Target, query: Option<&str>, member: IpAddr, port: u16) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    // Everything in it is encoded; the query came in a request target.
    if let Ok(location) = HeaderValue::from_str(&location(target, query, member, port)) {
        headers.insert(LOCATION, location);
    }
    response
}

/// The query of a request that is passed on: it tells that it is not to be passed on again.
pub(crate) fn marked(query: Option<&str>) -> String {
    match query {
        None => String::from("?redirect=1"),
        Some(query) => format!("?{query}&redirect=1"),
    }
}

fn location(target: &Target, query: Option<&str>, member: IpAddr, port: u16) -> String {
    let host = match port {
        80 if member.is_ipv6() => format!("[{member}]"),
        80 => member.to_string(),
        port => SocketAddr::new(member, port).to_string(),
    };
    format!("http://{host}{}{}", utf8_percent_encode(&target.path(), ENCODED), marked(query))
}

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[cfg(test)]
mod tests {
    use fdfs_conf::UrlForm;

    use super::location;
    use crate::{Query, Target};

    const PATH: &str = "/group1/M00/00/00/fwAAAmsCerOAdPnaAAAF3A1msXo%20%0a.txt";

    #[test]
    fn a_location_is_encoded_and_its_marker_is_understood() {
        for (query, expected) in
            [(None, "?redirect=1"), (Some("abc"), "?abc&redirect=1"), (Some("a=b"), "?a=b&redirect=1")]
        {
            let target = Target::parse(PATH, query, UrlForm::WithGroup).unwrap();
            let to = location(&target, query, "127.0.0.2".parse().unwrap(), 8888);
            let path = "http://127.0.0.2:8888/group1/M00/00/00/fwAAAmsCerOAdPnaAAAF3A1msXo%20%0A.txt";
            assert_eq!(to, format!("{path}{expected}"));
            assert!(Query::parse(to.split_once('?').unwrap().1).redirect);
        }
        let target = Target::parse(PATH, None, UrlForm::WithGroup).unwrap();
        assert!(
            location(&target, None, "fd00::1".parse().unwrap(), 80).starts_with("http://[fd00::1]/group1/")
        );
    }
}
