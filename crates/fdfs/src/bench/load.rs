//! The load: connections that repeat an operation until time is up, on half as many threads as there are cores.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::FuturesUnordered;
use hdrhistogram::Histogram;

use super::report::Measured;
use super::server_cpu::ServerCpu;
use super::target::Target;
use super::wire::{Wire, within};
use super::{Operation, Reading};

/// What to do, and against whom.
pub struct Load {
    pub operation: Operation,
    pub size: usize,
    pub connections: usize,
    pub duration: Duration,
    pub files: usize,
    pub reading: Reading,
    pub clean: bool,
}

/// One connection's part of the load.
struct Worker<'a, T: Target> {
    load: &'a Load,
    target: T,
    content: Vec<u8>,
    files: Vec<T::Name>,
    uploaded: Vec<T::Name>,
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
    /// Prepares, runs and cleans up. `connect` makes the connection of a number.
    pub fn run<T: Target>(
        &self,
        cpu: Option<ServerCpu>,
        connect: impl AsyncFn(usize) -> anyhow::Result<T> + Sync,
    ) -> anyhow::Result<Measured> {
        let connect = &connect;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.div_ceil(2).min(self.connections);
        let ready = Barrier::new(threads + 1);
        let done = Barrier::new(threads + 1);
        std::thread::scope(|scope| {
            let run = |thread| {
                let (ready, done) = (&ready, &done);
                let connections = (thread..self.connections).step_by(threads);
                scope.spawn(move || self.run_thread(connections, connect, ready, done))
            };
            let threads: Vec<_> = (0..threads).map(run).collect();
            let clock = || (Instant::now(), own_time(), cpu.as_ref().and_then(ServerCpu::used));
            ready.wait();
            let before = clock();
            done.wait();
            let after = clock();
            let mut measured = Measured::new(self, after.0 - before.0, after.1.saturating_sub(before.1));
            measured.server_cpu = before.2.zip(after.2).map(|(before, after)| after.saturating_sub(before));
            for thread in threads {
                for tally in thread.join().map_err(|_| anyhow::anyhow!("a bench thread panicked"))?? {
                    measured.add(tally);
                }
            }
            Ok(measured)
        })
    }

    /// The connections of one thread.
    fn run_thread<T: Target>(
        &self,
        connections: impl Iterator<Item = usize>,
        connect: &impl AsyncFn(usize) -> anyhow::Result<T>,
        ready: &Barrier,
        done: &Barrier,
    ) -> anyhow::Result<Vec<Tally>> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        // A server that is to run on this core does so first: waking the load up for each answer would be at its cost.
        let runtime = runtime.enable_all().on_thread_park(std::thread::yield_now).build();
        let prepared = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
            let workers = runtime.block_on(try_join_all(
                connections.map(async |index| Worker::prepare(self, index, connect(index).await?).await),
            ))?;
            Ok((runtime, workers))
        });
        ready.wait();
        let finished = prepared.and_then(|(runtime, mut workers)| {
            // Of the connections those are asked that have something, not all whenever one has.
            let repeat = workers.iter_mut().map(Worker::repeat).collect::<FuturesUnordered<_>>();
            let repeat = repeat.collect::<()>();
            let limit = self.duration + Wire::TIMEOUT;
            runtime
                .block_on(async { tokio::time::timeout(limit, repeat).await })
                .context("a request was not answered in time")?;
            Ok((runtime, workers))
        });
        done.wait();
        let (runtime, workers) = finished?;
        runtime.block_on(try_join_all(workers.into_iter().map(Worker::finish)))
    }
}

impl<'a, T: Target> Worker<'a, T> {
    async fn prepare(load: &'a Load, index: usize, target: T) -> anyhow::Result<Self> {
        let content = (0..load.size).map(|at| (at * 31 + at / 256 + index) as u8).collect();
        let tally = Tally {
            latency: Histogram::new_with_bounds(1, MAX_LATENCY_NS, 3)?,
            bytes: 0,
            errors: 0,
            first_error: String::new(),
        };
        let mut worker = Self { load, target, content, files: Vec::new(), uploaded: Vec::new(), tally };
        let prepared = match load.operation {
            Operation::Upload => 0,
            _ => load.files.div_ceil(load.connections).max(1),
        };
        for _ in 0..prepared {
            let id = within(worker.target.upload(&worker.content)).await?;
            worker.files.push(id);
        }
        Ok(worker)
    }

    async fn repeat(&mut self) {
        let until = Instant::now() + self.load.duration;
        let mut started = Instant::now();
        while started < until {
            match self.once().await {
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
    async fn once(&mut self) -> anyhow::Result<Option<u64>> {
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
                let id = self.target.upload(&self.content).await?;
                if self.load.clean || self.load.operation == Operation::Mixed {
                    self.uploaded.push(id);
                }
                Ok(Some(self.load.size as u64))
            }
            Operation::Download => self.download().await.map(Some),
            Operation::List => self.target.list().await.map(Some),
            Operation::Info => {
                let size = self.target.info(&self.any_file()?).await?;
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
                    Some(id) => self.target.delete(&id).await.map(|()| Some(0)),
                    None => Ok(None),
                }
            }
        }
    }

    async fn download(&mut self) -> anyhow::Result<u64> {
        let id = self.any_file()?;
        let content = &self.content;
        let mut equal = true;
        let length = match self.load.reading {
            Reading::Drain => self.target.drain(&id).await?,
            Reading::Copy => self.target.download(&id, |_, _| ()).await?,
            Reading::Verify => {
                let compare = |at, piece: &[u8]| {
                    let at = usize::try_from(at).unwrap_or(usize::MAX);
                    equal &= content.get(at..at + piece.len()) == Some(piece);
                };
                self.target.download(&id, compare).await?
            }
        };
        ensure!(length == content.len() as u64, "a file has {length} bytes");
        ensure!(equal, "a file came back with other bytes");
        Ok(length)
    }

    fn any_file(&self) -> anyhow::Result<T::Name> {
        self.files.get(fastrand::usize(..self.files.len().max(1))).cloned().context("no file prepared")
    }

    async fn finish(mut self) -> anyhow::Result<Tally> {
        if self.load.clean {
            for id in self.files.iter().chain(&self.uploaded) {
                within(self.target.delete(id)).await?;
            }
        }
        Ok(self.tally)
    }
}

/// CPU time of this process so far.
fn own_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// A connection gives up after this many failures.
const MAX_ERRORS: u64 = 100;

/// Longer requests count as this long, in nanoseconds.
const MAX_LATENCY_NS: u64 = 60_000_000_000;
