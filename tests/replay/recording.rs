//! The recorded exchanges, as `tests/vectors/wire-client.json` holds them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// One request and what the original answered to it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Exchange {
    /// Configuration, server, command and case, for example `A/s/append/missing`.
    pub(crate) name: String,
    /// `tracker` or `storage`.
    pub(crate) server: String,
    /// The cluster it was recorded on.
    pub(crate) config: String,
    /// Where it was sent to, unless recorded from a tool.
    pub(crate) addr: Option<String>,
    /// Command byte of the request.
    pub(crate) cmd: u8,
    /// Status byte of the answer; none if the connection was closed instead.
    pub(crate) status: Option<u8>,
    /// Whether the server closed the connection after its answer, where that was observed.
    pub(crate) closes: Option<bool>,
    /// What differs from run to run.
    #[serde(default)]
    pub(crate) varies: Vec<String>,
    /// Exchanges of one such value share a connection.
    pub(crate) same_connection: Option<String>,
    /// Number of the connection a tool used.
    pub(crate) connection: Option<u32>,
    request_hex: String,
    response_hex: Option<String>,
    request_len: Option<usize>,
    response_len: Option<usize>,
    request_fill: Option<String>,
}

impl Exchange {
    /// The recorded exchanges of each configuration, in their order; those of the original's tools under
    /// `tools`.
    pub(crate) fn load() -> Result<BTreeMap<String, Vec<Self>>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/wire-client.json");
        let text = fs::read(&path).with_context(|| path.display().to_string())?;
        let mut configs = BTreeMap::<_, Vec<Self>>::new();
        for exchange in serde_json::from_slice::<Vec<Self>>(&text)? {
            let config = if exchange.is_tool() { "tools" } else { &exchange.config };
            configs.entry(config.to_owned()).or_default().push(exchange);
        }
        Ok(configs)
    }

    /// Whether one of the original's tools sent this.
    pub(crate) fn is_tool(&self) -> bool {
        self.name.starts_with("tools/")
    }

    /// The whole request.
    pub(crate) fn request(&self) -> Result<Vec<u8>> {
        let mut request = hex::decode(&self.request_hex)?;
        if let Some(length) = self.request_len {
            let fill = self.request_fill.as_deref().and_then(|text| text.strip_suffix(" repeated"));
            let fill =
                fill.and_then(|text| text.strip_prefix("0x")).context("what the request goes on with")?;
            request.resize(length, u8::from_str_radix(fill, 16)?);
        }
        Ok(request)
    }

    /// The whole body of the recorded answer. Its cut part is the last byte repeated, which holds for
    /// the one answer that is cut.
    pub(crate) fn response_body(&self) -> Result<Vec<u8>> {
        let response = hex::decode(self.response_hex.as_deref().unwrap_or_default())?;
        let mut body = response.get(HEADER_LEN..).unwrap_or_default().to_vec();
        if let Some(length) = self.response_len {
            let Some(last) = body.last().copied() else { bail!("a cut answer without bytes") };
            body.resize(length - HEADER_LEN, last);
        }
        Ok(body)
    }

    /// Whether what varies is said to include `text`.
    pub(crate) fn varies_in(&self, text: &str) -> bool {
        self.varies.iter().any(|varies| varies.contains(text))
    }
}

/// Bytes before the body.
pub(crate) const HEADER_LEN: usize = 10;
