//! One recorded request with its answer.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::peer::Answer;

/// One recorded request with its answer.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) setup: String,
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) request_headers: Vec<(String, String)>,
    pub(crate) status: u16,
    pub(crate) response_headers: Vec<(String, String)>,
    pub(crate) body_sha256_or_text: String,
    pub(crate) body_with_boundary_replaced_hex: Option<String>,
    pub(crate) observed_upstream_request: Option<Vec<String>>,
    pub(crate) scripted_upstream_response: Option<String>,
    pub(crate) ours: Option<Ours>,
}

/// What is answered instead of what was recorded.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Ours {
    pub(crate) rule: String,
    pub(crate) status: u16,
}

/// Headers that a file is described by.
const DESCRIPTION: &[&str] = &[
    "content-type",
    "content-length",
    "content-range",
    "content-disposition",
    "last-modified",
    "accept-ranges",
];

/// Pairs whose type differs because one map of media types serves here for all uses (section 8): the module takes nginx's
/// types for files, and FastDFS's for parts.
pub(crate) const ONE_MAP: &[&str] = &[
    "url/ok-app",
    "range/app",
    "range/upperext-multi",
    "range/webp-multi",
    "range/m4a-multi",
    "flv/disabled",
    "remote/proxy-app",
    "trunk/local-tkapp",
    "replica-lag/appender-fresh-on-source",
];

impl Pair {
    pub(crate) fn load() -> Vec<Self> {
        let text = std::fs::read(vectors().join("http.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    pub(crate) fn group(&self) -> &str {
        self.name.split('/').next().unwrap()
    }

    /// The value of a word such as `instance=base` in the description of the set-up.
    pub(crate) fn word(&self, key: &str) -> &str {
        let words = self.setup.split([' ', ';']);
        let mut values = words.filter_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        values.next().expect("a word of the set-up")
    }

    /// The request target.
    pub(crate) fn target(&self) -> String {
        if let Some((_, form)) = self.setup.split_once("absolute form ") {
            return form.to_owned();
        }
        let rest = self.url.split_once("//").unwrap().1;
        rest.find('/').map_or("/", |at| &rest[at..]).to_owned()
    }

    /// The same request for another target.
    pub(crate) fn with_target(&self, target: &str) -> Self {
        let host = self.url.split('/').nth(2).unwrap();
        Self { url: format!("http://{host}{target}"), request_headers: Vec::new(), ..self.clone() }
    }

    pub(crate) fn is_http10(&self) -> bool {
        self.name.contains("http10")
    }

    /// When it was recorded.
    pub(crate) fn time(&self) -> Option<std::time::SystemTime> {
        httpdate::parse_http_date(recorded(&self.response_headers, "date")?).ok()
    }

    pub(crate) fn check(&self, answer: &Answer) -> Result<(), String> {
        let expected = self.ours.as_ref().map_or(self.status, |ours| ours.status);
        let is_root = rustix::process::geteuid().is_root();
        let expected = if self.name == "symlink/mode-000" && !is_root { 500 } else { expected };
        same("status", &answer.status, &expected)?;
        if expected == 304 {
            same("a body with 304", &answer.body.len(), &0)?;
            let is_passed_on = self.scripted_upstream_response.is_some();
            return if is_passed_on { Ok(()) } else { some(answer, "etag") };
        }
        match &self.ours {
            Some(ours) => self.check_ours(&ours.rule, answer),
            None if expected >= 400 || self.name == "symlink/mode-000" => Ok(()),
            None => self.check_recorded(answer),
        }
    }

    /// What passes a request on asks as the module asks.
    pub(crate) fn check_passed_on(&self, asked: Option<&str>) -> Result<(), String> {
        let Some(observed) = self.observed_upstream_request.as_ref().and_then(|all| all.first()) else {
            return Ok(());
        };
        let asked = asked.ok_or("was not passed on")?;
        let line = |text: &str| {
            let mut words = text.split_ascii_whitespace();
            (words.next().map(str::to_owned), words.next().map(str::to_owned))
        };
        same("request line", &line(asked), &line(observed))?;
        for header in observed.split("\r\n").skip(1).filter(|line| !line.is_empty()) {
            let name = header.split(':').next().unwrap().to_ascii_lowercase();
            let is_there = asked.lines().any(|line| line.eq_ignore_ascii_case(header));
            if !["connection", "expect", "host", "user-agent", "accept"].contains(&&*name) && !is_there {
                return Err(format!("{header} was not passed on"));
            }
        }
        Ok(())
    }

    fn check_recorded(&self, answer: &Answer) -> Result<(), String> {
        let multipart = self.body_with_boundary_replaced_hex.as_ref();
        let is_multipart = |kind: &str| kind.starts_with("multipart/byteranges; boundary=");
        for name in DESCRIPTION {
            let (ours, theirs) = (answer.header(name), recorded(&self.response_headers, name));
            let of_one_kind = ours.is_some_and(is_multipart) && theirs.is_some_and(is_multipart);
            if *name == "content-type" && (of_one_kind || ONE_MAP.contains(&&*self.name)) {
                continue;
            }
            // Parts name their types, which are those of the one map; nginx's own boundary is longer.
            let is_of_another_length = ONE_MAP.contains(&&*self.name) || self.group() == "front";
            if *name == "content-length" && multipart.is_some() && is_of_another_length {
                continue;
            }
            // A server that is asked over HTTP need not say that it takes ranges.
            if *name == "accept-ranges" && theirs.is_none() {
                continue;
            }
            same(name, &ours, &theirs)?;
        }
        if let Some(hex) = multipart.filter(|_| self.method != "HEAD") {
            let kind = answer.header("content-type").unwrap_or_default();
            let boundary = kind.split_once("boundary=").ok_or("no boundary")?.1;
            let text = String::from_utf8_lossy(&answer.body).replace(boundary, "BOUNDARY");
            let recorded = unhex(hex);
            let untyped = |text: &str| {
                let is_kept = |line: &&str| {
                    !(ONE_MAP.contains(&&*self.name) && line.to_ascii_lowercase().starts_with("content-type"))
                };
                text.split("\r\n").filter(is_kept).collect::<Vec<_>>().join("\r\n")
            };
            let recorded = String::from_utf8_lossy(&recorded);
            // The tutorials' front writes the headers of parts as nginx does, not as the module.
            if self.group() == "front" {
                let (ours, theirs) = (untyped(&text).to_lowercase(), untyped(&recorded).to_lowercase());
                return same("parts", &ours, &theirs);
            }
            return same("parts", &untyped(&text), &untyped(&recorded));
        }
        self.check_body(answer)
    }

    fn check_body(&self, answer: &Answer) -> Result<(), String> {
        let recorded = &self.body_sha256_or_text;
        if let Some(text) = recorded.strip_prefix("text:") {
            return same("body", &String::from_utf8_lossy(&answer.body).as_ref(), &text);
        }
        if let Some((sum, _)) = recorded.strip_prefix("sha256:").and_then(|rest| rest.split_once(' ')) {
            return same("sha256", &answer.sha256().as_str(), &sum);
        }
        if recorded.starts_with("multipart") {
            Ok(())
        } else {
            same("body", &answer.body.len(), &recorded.len())
        }
    }

    fn check_ours(&self, rule: &str, answer: &Answer) -> Result<(), String> {
        match (rule, answer.status) {
            (_, 416) => {
                let range = answer.header("content-range").unwrap_or_default();
                let is_size = range.starts_with("bytes ");
                if is_size { Ok(()) } else { Err(format!("content-range {range:?}")) }
            }
            ("D21", 200) => {
                same("cache-control", &answer.header("cache-control"), &Some("no-store"))?;
                same("last-modified", &answer.header("last-modified"), &None)?;
                same("accept-ranges", &answer.header("accept-ranges"), &None)?;
                let is_picture = self.method == "HEAD" || answer.body == crate::site::PICTURE;
                if is_picture { Ok(()) } else { Err(String::from("not the picture")) }
            }
            ("D11" | "D12", 302) => {
                same("content-length", &answer.header("content-length"), &Some("0"))?;
                same("range", &answer.header("range"), &None)?;
                let location = answer.header("location").ok_or("no location")?;
                let is_marked = location.starts_with("http://127.0.0.") && location.ends_with("redirect=1");
                if is_marked && !location.contains(' ') { Ok(()) } else { Err(location.to_owned()) }
            }
            ("D1", 206) if self.name.ends_with("0-0") && !self.name.contains("multi") => {
                same("content-length", &answer.header("content-length"), &Some("1"))
            }
            ("D15", 200) if self.name.ends_with("short-body") => same("cut off", &answer.is_cut, &true),
            ("D15", 200) => same("body", &answer.body.as_slice(), &&b"hello"[..]),
            ("D24", 200) => same("length", &answer.body.len(), &1200),
            ("D9", 200) => {
                same("x-injected", &answer.header("x-injected"), &None)?;
                some(answer, "content-disposition")
            }
            ("D12" | "D13" | "D14" | "D6" | "D7" | "D2", 200) => some(answer, "etag"),
            ("F7.12", 200) => {
                same("cache-control", &answer.header("cache-control"), &Some("no-store"))?;
                same("body", &answer.body.as_slice(), &crate::site::PICTURE)
            }
            ("13.4" | "13.1" | "F5.5, F5.1", 200) => some(answer, "etag"),
            ("F4.2", 503) => some(answer, "retry-after"),
            _ => Ok(()),
        }
    }
}

/// Where the recordings are.
pub(crate) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors")
}

fn recorded<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: &T, theirs: &T) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{what}: {ours:?} instead of {theirs:?}")) }
}

fn some(answer: &Answer, name: &str) -> Result<(), String> {
    answer.header(name).map(drop).ok_or_else(|| format!("no {name}"))
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}
