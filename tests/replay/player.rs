//! Sends recorded requests again and compares the answers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use fdfs_tests::{Answer, Wire};

use crate::differences::{Difference, Differences};
use crate::names::{Free, Names, check_same_kind};
use crate::recording::{Exchange, HEADER_LEN};
use crate::varying::{
    self, GROUP_LEN, QUERY_FETCH_ALL, QUERY_FETCH_ONE, QUERY_STORE_ALL, QUERY_STORE_ONE, QUERY_UPDATE,
};

/// One run of exchanges against one cluster.
pub(crate) struct Player {
    tracker: SocketAddr,
    differences: Differences,
    names: Names,
    /// Open connections that several exchanges share.
    connections: BTreeMap<String, Wire>,
    /// The storage the tracker named last: where a tool goes next.
    named_storage: Option<SocketAddr>,
    faults: Vec<String>,
    played: usize,
}

/// What came back: the answer, and whether the connection was closed after it, where that was looked at.
struct Outcome {
    answer: Answer,
    closes: Option<bool>,
}

impl Outcome {
    fn summary(&self) -> String {
        let answer = match &self.answer {
            Answer::Frame { status, body, .. } => format!("status {status}, {} bytes", body.len()),
            Answer::Closed => "no answer".to_owned(),
        };
        match self.closes {
            Some(true) => format!("{answer}, closed"),
            Some(false) => format!("{answer}, kept"),
            None => answer,
        }
    }
}

impl Player {
    /// A player for a cluster with this tracker.
    pub(crate) fn new(tracker: SocketAddr) -> Result<Self> {
        Ok(Self {
            tracker,
            differences: Differences::load()?,
            names: Names::default(),
            connections: BTreeMap::new(),
            named_storage: None,
            faults: Vec::new(),
            played: 0,
        })
    }

    /// Plays one exchange; a difference is noted and shown by [`Self::finish`].
    pub(crate) fn play(&mut self, exchange: &Exchange) {
        self.played += 1;
        if let Err(error) = self.try_play(exchange) {
            self.faults.push(format!("{}: {error:#}", exchange.name));
        }
    }

    /// Whether a difference is expected of `exchange`.
    pub(crate) fn expects_difference(&self, exchange: &str) -> bool {
        self.differences.get(exchange).is_some()
    }

    /// The answer to `exchange` at this moment, not compared with anything.
    pub(crate) fn probe(&mut self, exchange: &Exchange) -> Result<Answer> {
        let mut wire = Wire::connect(self.address(exchange)?)?;
        wire.send(&self.request(exchange)?)?;
        wire.read_answer()
    }

    /// Ends the run.
    ///
    /// # Panics
    ///
    /// When an exchange differed, with all that did.
    pub(crate) fn finish(self) {
        let (count, played) = (self.faults.len(), self.played);
        assert!(self.faults.is_empty(), "{count} of {played} exchanges differ:\n{}", self.faults.join("\n"));
    }

    fn try_play(&mut self, exchange: &Exchange) -> Result<()> {
        let mut outcome = self.exchange(exchange)?;
        // Which group is next in turn may vary, and with it the length of the list.
        let mut tries = 0;
        while exchange.varies_in("which server") && self.length_differs(exchange, &outcome)? && tries < 4 {
            outcome = self.exchange(exchange)?;
            tries += 1;
        }
        self.note_storage(exchange, &outcome.answer);
        self.note_name(exchange, &outcome.answer);
        let recorded = self.compare(exchange, &outcome);
        match (self.differences.get(&exchange.name), recorded) {
            (None, Ok(())) => Ok(()),
            (None, Err(error)) => Err(error).context(outcome.summary()),
            (Some(difference), Ok(())) => bail!("no longer differs ({})", difference.reason),
            (Some(difference), Err(_)) => {
                self.compare_difference(difference, &outcome).context("differs otherwise than the table says")
            }
        }
    }

    /// Sends the request and reads what comes.
    fn exchange(&mut self, exchange: &Exchange) -> Result<Outcome> {
        let request = self.request(exchange)?;
        let shared = exchange.same_connection.clone().or_else(|| {
            exchange.connection.map(|number| format!("{} {number}", tool_session(&exchange.name)))
        });
        let Some(shared) = shared else {
            let mut wire = Wire::connect(self.address(exchange)?)?;
            wire.send(&request)?;
            let answer = wire.read_answer()?;
            let closes = match answer {
                Answer::Closed => true,
                Answer::Frame { .. } => wire.is_closed(self.expects_close(exchange))?,
            };
            return Ok(Outcome { answer, closes: Some(closes) });
        };
        let mut wire = match self.connections.remove(&shared) {
            Some(wire) => wire,
            None => Wire::connect(self.address(exchange)?)?,
        };
        wire.send(&request)?;
        let answer = wire.read_answer()?;
        if exchange.closes == Some(true) {
            return Ok(Outcome { answer, closes: Some(wire.is_closed(true)?) });
        }
        self.connections.insert(shared, wire);
        Ok(Outcome { answer, closes: None })
    }

    /// Whether the server is expected to close after its answer.
    fn expects_close(&self, exchange: &Exchange) -> bool {
        let ours = self.differences.get(&exchange.name).and_then(|difference| difference.closes);
        ours.or(exchange.closes).unwrap_or_default()
    }

    /// The request with the names of this run in it. Names of another length change the lengths around
    /// them.
    fn request(&self, exchange: &Exchange) -> Result<Vec<u8>> {
        let recorded = exchange.request()?;
        let mut request = self.names.substitute(&recorded);
        if request.len() != recorded.len() {
            let grown = (request.len() as u64).wrapping_sub(recorded.len() as u64);
            add(&mut request, 0, grown)?;
            if matches!(exchange.cmd, 13 | 21 | 24 | 34 | 36) {
                // The first field is the length of the name.
                add(&mut request, HEADER_LEN, grown)?;
            }
        }
        Ok(request)
    }

    fn address(&self, exchange: &Exchange) -> Result<SocketAddr> {
        match (&exchange.addr, exchange.server.as_str()) {
            (Some(address), _) => parse_address(address),
            (None, "tracker") => Ok(self.tracker),
            (None, _) => self.named_storage.context("no storage was named before"),
        }
    }

    fn length_differs(&self, exchange: &Exchange, outcome: &Outcome) -> Result<bool> {
        Ok(match &outcome.answer {
            Answer::Frame { body, .. } => body.len() != exchange.response_body()?.len(),
            Answer::Closed => false,
        })
    }

    /// Compares an outcome with the recorded one.
    fn compare(&self, exchange: &Exchange, outcome: &Outcome) -> Result<()> {
        if let (Some(expected), Some(closes)) = (exchange.closes, outcome.closes) {
            ensure!(expected == closes, "{}", if closes { "was closed" } else { "was kept" });
        }
        let Answer::Frame { command, status, body } = &outcome.answer else {
            ensure!(exchange.status.is_none(), "closed without an answer");
            return Ok(());
        };
        ensure!(*command == RESPONSE, "command byte {command}");
        ensure!(Some(*status) == exchange.status, "status {status}, recorded {:?}", exchange.status);
        let expected = exchange.response_body()?;
        if *status == 0 && names_new_file(exchange, &expected) {
            return compare_name(exchange, &expected, body);
        }
        let (mut expected, mut body) = (self.names.substitute(&expected), body.clone());
        varying::blank_varying(exchange, &mut expected);
        varying::blank_varying(exchange, &mut body);
        ensure!(
            expected == body,
            "body{}\n  {}\n  instead of\n  {}",
            place(&body, &expected),
            show(&body),
            show(&expected)
        );
        Ok(())
    }

    /// Compares an outcome with what the table says.
    fn compare_difference(&self, difference: &Difference, outcome: &Outcome) -> Result<()> {
        let (status, body) = match &outcome.answer {
            Answer::Frame { status, body, .. } => (Some(*status), body.as_slice()),
            Answer::Closed => (None, [].as_slice()),
        };
        ensure!(status == difference.status, "status {status:?}, not {:?}", difference.status);
        if let (Some(expected), Some(closes)) = (difference.closes, outcome.closes) {
            ensure!(expected == closes, "{}", if closes { "was closed" } else { "was kept" });
        }
        if let Some(expected) = difference.body()? {
            let expected = self.names.substitute(&expected);
            ensure!(expected == body, "body {}, not {}", show(body), show(&expected));
        }
        Ok(())
    }

    /// Remembers the name a server gave to a new file.
    fn note_name(&mut self, exchange: &Exchange, answer: &Answer) {
        let Answer::Frame { status: 0, body, .. } = answer else { return };
        if exchange.status != Some(0)
            || !varying::answers_with_name(exchange.cmd)
            || exchange.varies.is_empty()
        {
            return;
        }
        let recorded = exchange.response_body().unwrap_or_default();
        if let (Ok(recorded), Ok(ours)) = (name_of(&recorded), name_of(body)) {
            self.names.learn(recorded, ours);
        }
    }

    /// Remembers which storage the tracker named.
    fn note_storage(&mut self, exchange: &Exchange, answer: &Answer) {
        const NAMING: [u8; 5] =
            [QUERY_STORE_ONE, QUERY_FETCH_ONE, QUERY_UPDATE, QUERY_FETCH_ALL, QUERY_STORE_ALL];
        let Answer::Frame { status: 0, body, .. } = answer else { return };
        if !exchange.is_tool() || !NAMING.contains(&exchange.cmd) {
            return;
        }
        let field = body.get(GROUP_LEN..GROUP_LEN + IP_LEN).unwrap_or_default();
        let text: String =
            field.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
        if let Ok(ip) = text.parse::<IpAddr>() {
            self.named_storage = Some(SocketAddr::new(ip, STORAGE_PORT));
        }
    }
}

/// Whether a recorded answer is a name that the server made up. The name of a slave follows from that of its
/// master.
fn names_new_file(exchange: &Exchange, body: &[u8]) -> bool {
    varying::answers_with_name(exchange.cmd)
        && !exchange.varies.is_empty()
        && matches!(body.len().saturating_sub(GROUP_LEN), PLAIN_NAME_LEN | TRUNK_NAME_LEN)
}

/// Compares an answer that names a new file.
fn compare_name(exchange: &Exchange, expected: &[u8], body: &[u8]) -> Result<()> {
    ensure!(expected.get(..GROUP_LEN) == body.get(..GROUP_LEN), "group in {}", show(body));
    let (recorded, ours) = (name_of(expected)?, name_of(body)?);
    let free = Free {
        store_path: exchange.is_tool()
            || exchange.varies_in("store path")
            || exchange.varies_in("trunk name"),
        source: exchange.is_tool(),
        crc32: exchange.cmd == varying::CREATE_LINK,
    };
    check_same_kind(recorded, ours, free).with_context(|| format!("{ours} where {recorded} was recorded"))
}

/// The name in an answer of group and name.
fn name_of(body: &[u8]) -> Result<&str> {
    Ok(str::from_utf8(body.get(GROUP_LEN..).context("an answer without a name")?)?)
}

/// Adds to the big-endian number at `offset`.
fn add(bytes: &mut [u8], offset: usize, grown: u64) -> Result<()> {
    let field = bytes.get_mut(offset..offset + 8).context("a short request")?;
    let value = field.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    field.copy_from_slice(&value.wrapping_add(grown).to_be_bytes());
    Ok(())
}

/// Addresses of the recording: `ip:port`, an address in brackets of either family.
fn parse_address(text: &str) -> Result<SocketAddr> {
    let (ip, port) = text.rsplit_once(':').context("an address without port")?;
    let ip: IpAddr = ip.trim_start_matches('[').trim_end_matches(']').parse()?;
    Ok(SocketAddr::new(ip, port.parse()?))
}

/// Two recording sessions numbered their connections from 1.
fn tool_session(name: &str) -> &str {
    if name.contains("_stat") { "statistics" } else { "tools" }
}

/// Where two bodies of one length begin to differ.
fn place(left: &[u8], right: &[u8]) -> String {
    let same = left.iter().zip(right).position(|(left, right)| left != right);
    same.filter(|_| left.len() == right.len())
        .map_or_else(String::new, |offset| format!(" from byte {offset} on"))
}

/// Bytes as text and escapes, cut after a while.
fn show(bytes: &[u8]) -> String {
    let cut = if bytes.len() > SHOWN { "..." } else { "" };
    format!("({}) {}{cut}", bytes.len(), bytes[..bytes.len().min(SHOWN)].escape_ascii())
}

/// Command byte of every answer.
const RESPONSE: u8 = 100;
/// Bytes of an address text in the tracker's answers of the tools' cluster.
const IP_LEN: usize = 15;
/// Port of every recorded storage.
const STORAGE_PORT: u16 = 23201;
const PLAIN_NAME_LEN: usize = 44;
const TRUNK_NAME_LEN: usize = 60;
/// Bytes of a body shown in a fault.
const SHOWN: usize = 1100;
