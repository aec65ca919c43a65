//! The load: threads that repeat an operation until time is up.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use fdfs_types::{Extension, FileId};
use hdrhistogram::Histogram;

use super::Operation;
use super::report::Measured;
use super::server_cpu::ServerCpu;
use super::wire::Wire;

/// What to do, and against whom.
pub struct Load {
    pub operation: Operation,
    pub storages: Vec<SocketAddr>,
    pub size: usize,
    pub connections: usize,
    pub duration: Duration,
    pub files: usize,
    pub verify: bool,
    pub clean: bool,
}

/// One connection's part of the load.
struct Worker<'a> {
    load: &'a Load,
    wire: Wire,
    content: Vec<u8>,
    files: Vec<FileId>,
    uploaded: Vec<FileId>,
    tally: Tally,
}

/// What one connection counted.
pub struct Tally {
    pub latency: Histogram<u64>,
    pub bytes: u64,
    pub errors: u64,
    pub first_error: String,
}

impl Load {
    /// Prepares, runs and cleans up.
    pub fn run(&self, cpu: Option<ServerCpu>) -> anyhow::Result<Measured> {
        let ready = Barrier::new(self.connections + 1);
        let done = Barrier::new(self.connections + 1);
        std::thread::scope(|scope| {
            let worker = |index| {
                let (ready, done) = (&ready, &done);
                scope.spawn(move || {
                    let prepared = Worker::prepare(self, index);
                    ready.wait();
                    let finished = prepared.map(|mut worker| {
                        worker.repeat();
                        worker
                    });
                    done.wait();
                    finished.and_then(Worker::finish)
                })
            };
            let threads: Vec<_> = (0..self.connections).map(worker).collect();
            ready.wait();
            let (started, cpu_before) = (Instant::now(), cpu.as_ref().and_then(ServerCpu::used));
            done.wait();
            let (elapsed, cpu_after) = (started.elapsed(), cpu.as_ref().and_then(ServerCpu::used));
            let mut measured = Measured::new(self, elapsed, cpu_before.zip(cpu_after));
            for thread in threads {
                measured.add(thread.join().map_err(|_| anyhow::anyhow!("a bench thread panicked"))??);
            }
            Ok(measured)
        })
    }
}

impl<'a> Worker<'a> {
    fn prepare(load: &'a Load, index: usize) -> anyhow::Result<Self> {
        let address = load.storages.get(index % load.storages.len()).context("no storage")?;
        let content = (0..load.size).map(|at| (at * 31 + at / 256 + index) as u8).collect();
        let tally = Tally {
            latency: Histogram::new_with_bounds(1, MAX_LATENCY_NS, 3)?,
            bytes: 0,
            errors: 0,
            first_error: String::new(),
        };
        let wire = Wire::connect(*address)?;
        let mut worker = Self { load, wire, content, files: Vec::new(), uploaded: Vec::new(), tally };
        let prepared = match load.operation {
            Operation::Upload => 0,
            _ => load.files.div_ceil(load.connections).max(1),
        };
        for _ in 0..prepared {
            let id = worker.wire.upload(&worker.content, extension())?;
            worker.files.push(id);
        }
        Ok(worker)
    }

    fn repeat(&mut self) {
        let until = Instant::now() + self.load.duration;
        let mut started = Instant::now();
        while started < until {
            match self.once() {
                Ok(Some(bytes)) => self.tally.bytes += bytes,
                Ok(None) => break,
                Err(error) => {
                    self.tally.errors += 1;
                    if self.tally.first_error.is_empty() {
                        self.tally.first_error = format!("{error:#}");
                    }
                    if self.tally.errors >= MAX_ERRORS {
                        break;
                    }
                }
            }
            let now = Instant::now();
            let taken = u64::try_from((now - started).as_nanos()).unwrap_or(u64::MAX);
            self.tally.latency.saturating_record(taken);
            started = now;
        }
    }

    /// One request; the content bytes that it moved, or `None` when nothing is left to do.
    fn once(&mut self) -> anyhow::Result<Option<u64>> {
        let operation = match self.load.operation {
            Operation::Mixed => match fastrand::u8(..100) {
                0..70 => Operation::Download,
                70..90 => Operation::Upload,
                90..95 => Operation::Info,
                _ if self.uploaded.is_empty() => Operation::Upload,
                _ => Operation::Delete,
            },
            other => other,
        };
        match operation {
            Operation::Upload | Operation::Mixed => {
                let id = self.wire.upload(&self.content, extension())?;
                if self.load.clean || self.load.operation == Operation::Mixed {
                    self.uploaded.push(id);
                }
                Ok(Some(self.load.size as u64))
            }
            Operation::Download => self.download().map(Some),
            Operation::Info => {
                let size = self.wire.info(&self.any_file()?)?;
                ensure!(size == self.load.size as u64, "file has {size} bytes");
                Ok(Some(0))
            }
            Operation::Delete => {
                let files = if self.load.operation == Operation::Mixed {
                    &mut self.uploaded
                } else {
                    &mut self.files
                };
                match files.pop() {
                    Some(id) => self.wire.delete(&id).map(|()| Some(0)),
                    None => Ok(None),
                }
            }
        }
    }

    fn download(&mut self) -> anyhow::Result<u64> {
        let id = self.any_file()?;
        let content = &self.content;
        let mut equal = true;
        let length = match self.load.verify {
            false => self.wire.drain(&id)?,
            true => self.wire.download(&id, |at, piece| {
                let at = usize::try_from(at).unwrap_or(usize::MAX);
                equal &= content.get(at..at + piece.len()) == Some(piece);
            })?,
        };
        ensure!(length == content.len() as u64, "{id} has {length} bytes");
        ensure!(equal, "{id} came back with other bytes");
        Ok(length)
    }

    fn any_file(&self) -> anyhow::Result<FileId> {
        self.files.get(fastrand::usize(..self.files.len().max(1))).cloned().context("no file prepared")
    }

    fn finish(mut self) -> anyhow::Result<Tally> {
        if self.load.clean {
            for id in self.files.iter().chain(&self.uploaded) {
                self.wire.delete(id)?;
            }
        }
        Ok(self.tally)
    }
}

fn extension() -> Extension {
    Extension::from_local_name("a.bin")
}

/// A connection gives up after this many failures.
const MAX_ERRORS: u64 = 100;

/// Longer requests count as this long, in nanoseconds.
const MAX_LATENCY_NS: u64 = 60_000_000_000;
