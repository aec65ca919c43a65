//! The side that lends.

use std::fs::File;
use std::io::{self, IoSlice, Read as _};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use fdfs_proto::ours::{LendFileRequest, LendFileResponse};
use fdfs_proto::{Command, Decode as _, Encode as _, Header, Status};
use parking_lot::Mutex;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, sendmsg, shutdown};
use tracing::{debug, warn};

use super::{is_trusted, name_of};

/// A file that is lent.
#[derive(Clone, Debug)]
pub struct Loan {
    /// What is passed on.
    pub file: Arc<File>,
    /// Where the content lies in it.
    pub place: LendFileResponse,
}

/// Lends files to processes of this machine until it is dropped.
#[derive(Debug)]
pub struct Lender {
    listener: Arc<UnixListener>,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_stopping: AtomicBool,
    count: AtomicUsize,
    /// The connections, to end them by.
    connections: Mutex<Vec<Arc<UnixStream>>>,
}

impl Lender {
    /// Lends beside `address` what `open` opens; it is called on a thread that may wait.
    pub fn start(
        address: SocketAddr,
        open: impl Fn(&LendFileRequest) -> Result<Loan, Status> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = Arc::new(UnixListener::bind_addr(&name_of(address)?)?);
        let shared = Arc::new(Shared::default());
        let (accepted, state) = (Arc::clone(&listener), Arc::clone(&shared));
        let open = Arc::new(open);
        let accepting = std::thread::Builder::new()
            .name("lend-accept".to_owned())
            .spawn(move || accept(&accepted, &state, &open))?;
        Ok(Self { listener, shared, accepting: Some(accepting) })
    }
}

impl Drop for Lender {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::Release);
        // Wakes the thread that waits in `accept`, and those that wait for a request.
        let _ = shutdown(&*self.listener, Shutdown::Both);
        for connection in self.shared.connections.lock().drain(..) {
            let _ = shutdown(&*connection, Shutdown::Both);
        }
        if let Some(thread) = self.accepting.take()
            && thread.join().is_err()
        {
            warn!("the thread that lends files has panicked");
        }
    }
}

fn accept<F>(listener: &UnixListener, shared: &Arc<Shared>, open: &Arc<F>)
where
    F: Fn(&LendFileRequest) -> Result<Loan, Status> + Send + Sync + 'static,
{
    loop {
        let accepted = listener.accept();
        if shared.is_stopping.load(Ordering::Acquire) {
            return;
        }
        let stream = match accepted {
            Ok((stream, _)) => Arc::new(stream),
            Err(error) => {
                debug!(%error, "cannot accept a reader of this machine");
                std::thread::sleep(PAUSE);
                continue;
            }
        };
        if let Err(error) = serve(&stream, shared, open) {
            metrics::counter!("fdfs_lending_connections_refused_total").increment(1);
            debug!(%error, "a reader of this machine is turned away");
        }
    }
}

/// Begins to serve a connection on a thread of its own.
fn serve<F>(stream: &Arc<UnixStream>, shared: &Arc<Shared>, open: &Arc<F>) -> io::Result<()>
where
    F: Fn(&LendFileRequest) -> Result<Loan, Status> + Send + Sync + 'static,
{
    if !is_trusted(socket_peercred(&**stream)?.uid.as_raw()) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    if shared.count.load(Ordering::Relaxed) >= MOST {
        return Err(io::ErrorKind::QuotaExceeded.into());
    }
    stream.set_write_timeout(Some(TIME))?;
    let (stream, shared, open) = (Arc::clone(stream), Arc::clone(shared), Arc::clone(open));
    shared.count.fetch_add(1, Ordering::Relaxed);
    shared.connections.lock().push(Arc::clone(&stream));
    let state = Arc::clone(&shared);
    let spawned = std::thread::Builder::new().name("lend".to_owned()).stack_size(STACK).spawn(move || {
        if let Err(error) = converse(&stream, &*open) {
            debug!(%error, "a conversation with a reader of this machine ended");
        }
        shared.connections.lock().retain(|other| !Arc::ptr_eq(other, &stream));
        shared.count.fetch_sub(1, Ordering::Relaxed);
    });
    spawned.map(drop).inspect_err(|_| {
        state.count.fetch_sub(1, Ordering::Relaxed);
    })
}

/// Answers requests until the reader leaves or says something else.
fn converse(stream: &UnixStream, open: impl Fn(&LendFileRequest) -> Result<Loan, Status>) -> io::Result<()> {
    let mut buffer = [0; Header::LEN + LendFileRequest::MAX_LEN];
    let mut filled = 0;
    loop {
        let read = (&mut &*stream).read(&mut buffer[filled..])?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let Some(head) = buffer.first_chunk::<{ Header::LEN }>().filter(|_| filled >= Header::LEN) else {
            continue;
        };
        let invalid = |_| io::Error::from(io::ErrorKind::InvalidData);
        let header = Header::decode(head).map_err(invalid)?;
        if header.command != Command::LEND_FILE || header.length > LendFileRequest::MAX_LEN as u64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let end = Header::LEN + usize::try_from(header.length).unwrap_or(LendFileRequest::MAX_LEN);
        if filled < end {
            continue;
        }
        let request =
            LendFileRequest::decode(&buffer[Header::LEN..end]).map_err(|_| io::ErrorKind::InvalidData)?;
        buffer.copy_within(end..filled, 0);
        filled -= end;
        match open(&request) {
            Ok(loan) => {
                metrics::counter!("fdfs_lending_files_total").increment(1);
                lend(stream, &loan)?;
            }
            Err(status) => answer(stream, &Header::answer(status).encode(), None)?,
        }
    }
}

fn lend(stream: &UnixStream, loan: &Loan) -> io::Result<()> {
    let place = loan.place.encode();
    let mut bytes = Header::response(place.len() as u64).encode().to_vec();
    bytes.extend_from_slice(&place);
    answer(stream, &bytes, Some(&loan.file))
}

fn answer(stream: &UnixStream, bytes: &[u8], file: Option<&File>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    let descriptors = file.map(|file| [file.as_fd()]);
    if let Some(descriptors) = &descriptors {
        beside.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    // So few bytes go whole or not at all.
    match sendmsg(stream, &[IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL)? {
        sent if sent == bytes.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Most connections; further readers are served over TCP.
const MOST: usize = 128;
/// How long a reader may leave its answer lying.
const TIME: Duration = Duration::from_secs(10);
/// Pause after an error of `accept` that does not go away at once.
const PAUSE: Duration = Duration::from_millis(100);
/// Such a thread opens files and nothing else.
const STACK: usize = 256 * 1024;
