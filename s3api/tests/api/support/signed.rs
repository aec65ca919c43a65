//! Requests with a signature of version 4, made independently of the server's verification.

use std::time::SystemTime;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use sha2::{Digest as _, Sha256};

use super::{ACCESS_KEY_ID, SECRET};

/// A request that is signed when it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    payload: Option<String>,
    /// Who signs; nobody where the id is empty.
    signer: (String, String),
    service: &'static str,
}

impl Signed {
    /// A request without body. `target` is the path, percent-encoded, and the query, sorted.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            headers: Vec::new(),
            body: Vec::new(),
            payload: None,
            signer: (ACCESS_KEY_ID.into(), SECRET.into()),
            service: "s3",
        }
    }

    /// With a body.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With another header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With another `x-amz-content-sha256` than the body's.
    pub(crate) fn payload(mut self, payload: &str) -> Self {
        self.payload = Some(payload.into());
        self
    }

    /// Signed by somebody else.
    pub(crate) fn by(mut self, access_key_id: &str, secret: &str) -> Self {
        self.signer = (access_key_id.into(), secret.into());
        self
    }

    /// Signed for another service.
    pub(crate) fn for_service(mut self, service: &'static str) -> Self {
        self.service = service;
        self
    }

    /// Signed by nobody.
    pub(crate) fn anonymous(self) -> Self {
        self.by("", "")
    }

    /// With this upload where the query names `UPLOAD`.
    pub(crate) fn with_upload(mut self, upload_id: &str) -> Self {
        self.query = self.query.replace("UPLOAD", upload_id);
        self
    }

    /// The method.
    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// The bytes of the request.
    pub(crate) fn to_bytes(&self, host: &str) -> Vec<u8> {
        let mut bytes = self.to_head(host).into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The bytes before the body.
    pub(crate) fn to_head(&self, host: &str) -> String {
        let now = SystemTime::now();
        let timestamp = basic(now);
        let date = &timestamp[..8];
        let payload = self.payload.clone().unwrap_or_else(|| hex::encode(Sha256::digest(&self.body)));
        let mut headers = self.headers.clone();
        headers.push(("host".into(), host.into()));
        if self.service == "s3" {
            headers.push(("x-amz-content-sha256".into(), payload.clone()));
        }
        headers.push(("x-amz-date".into(), timestamp.clone()));
        headers.sort();
        let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let query: Vec<String> = self
            .query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
            .collect();
        let canonical =
            format!("{}\n{}\n{}\n{lines}\n{names}\n{payload}", self.method, self.path, query.join("&"));
        let scope = format!("{date}/eu-test-1/{}/aws4_request", self.service);
        let hash = hex::encode(Sha256::digest(canonical));
        let to_sign = format!("AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{hash}");
        let key = generate_signing_key(&self.signer.1, now, "eu-test-1", self.service);
        let signature = calculate_signature(key, to_sign.as_bytes());

        let target =
            if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) };
        let mut head = format!("{} {target} HTTP/1.1\r\n", self.method);
        for (name, value) in &headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let access_key_id = &self.signer.0;
        let signed = !access_key_id.is_empty();
        let authorization = format!(
            "authorization: AWS4-HMAC-SHA256 Credential={access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}\r\n"
        );
        head.push_str(if signed { &authorization } else { "" });
        let length = self.body.len();
        if length > 0 || self.method == "PUT" || self.method == "POST" {
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        head.push_str("\r\n");
        head
    }
}

fn basic(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).unwrap().strftime("%Y%m%dT%H%M%SZ").to_string()
}
