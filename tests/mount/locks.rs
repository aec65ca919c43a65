//! Locks of files across mounts: fcntl as programs take it, flock as the tool of that name does.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fdfs_tests::{Deadline, Mounting, Site};

use crate::can_mount;

/// A process that has a file open and takes locks on it when it is told to.
struct Locker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Locker {
    fn open(path: &Path) -> Result<Self> {
        let mut command = Command::new("python3");
        command.args(["-u", "-c", SCRIPT]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("python3")?;
        let input = child.stdin.take().context("an input")?;
        let output = BufReader::new(child.stdout.take().context("an output")?);
        Ok(Self { child, input, output })
    }

    /// Tells it to do something, without waiting for that.
    fn begin(&mut self, what: &str) -> Result<()> {
        Ok(writeln!(self.input, "{what}")?)
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    fn tell(&mut self, what: &str) -> Result<String> {
        self.begin(what)?;
        self.answer()
    }

    /// Waits until it rests in the kernel.
    fn wait_until_it_waits(&self) -> Result<()> {
        let stat = format!("/proc/{}/syscall", self.child.id());
        Deadline::after(PATIENCE).wait_for("a lock that is waited for", || {
            let call = fs::read_to_string(&stat)?;
            let number = call.split(' ').next().unwrap_or_default().to_owned();
            ensure!(number == FCNTL || number == FLOCK, "in {call}");
            Ok(())
        })
    }
}

impl Drop for Locker {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn locks_hold_across_mounts_and_go_with_their_holders() -> Result<()> {
    if !can_mount() {
        return Ok(());
    }
    let site = Site::start()?;
    let mut other_mount = Mounting::start(&site, "other", &[])?;
    let here = site.mounted("group1/file");
    fs::write(&here, vec![0; 100])?;
    let (mut one, mut two) = (Locker::open(&here)?, Locker::open(&here)?);
    let mut other = Locker::open(&other_mount.path("group1/file"))?;

    // Ranges: what does not overlap is free, readers stand beside readers.
    ensure!(one.tell("ex 0 10")? == "ok");
    ensure!(two.tell("ex 5 10")? == "no" && other.tell("ex 5 10")? == "no");
    ensure!(other.tell("sh 10 10")? == "ok" && two.tell("sh 10 10")? == "ok" && one.tell("ex 10 1")? == "no");
    ensure!(other.tell("get 0 20")? == format!("held 0 10 {}", one.child.id()));
    ensure!(one.tell("un 0 5")? == "ok" && other.tell("ex 0 5")? == "ok" && other.tell("ex 5 1")? == "no");
    for locker in [&mut one, &mut two, &mut other] {
        ensure!(locker.tell("un 0 0")? == "ok");
    }

    // Who waits goes on when the range is given back, on either mount.
    for (first, second) in [(0, 1), (1, 0)] {
        let lockers = [&mut one, &mut other];
        ensure!(lockers[first].tell("ex 0 0")? == "ok");
        lockers[second].begin("wait 0 0")?;
        lockers[second].wait_until_it_waits()?;
        ensure!(lockers[first].tell("un 0 0")? == "ok");
        ensure!(lockers[second].answer()? == "ok" && lockers[second].tell("un 0 0")? == "ok");
    }

    // flock and fcntl do not know one another; flock excludes flock.
    ensure!(one.tell("ex 0 0")? == "ok" && one.tell("flock")? == "ok" && other.tell("flock")? == "no");
    ensure!(two.tell("flock")? == "no" && one.tell("un 0 0")? == "ok" && other.tell("ex 0 0")? == "ok");
    ensure!(other.tell("un 0 0")? == "ok");

    // A signal ends the wait, and so does the end of who holds it.
    other.begin("wait-flock")?;
    other.wait_until_it_waits()?;
    kill(&other, rustix::process::Signal::USR1)?;
    ensure!(other.answer()? == "interrupted");
    other.begin("wait-flock")?;
    other.wait_until_it_waits()?;
    drop(one);
    ensure!(other.answer()? == "ok" && two.tell("flock")? == "no");
    ensure!(other.tell("ex 0 0")? == "ok");

    // What a mount held that died is free again when its session is over.
    other_mount.kill()?;
    let free = Deadline::after(SESSION_LIMIT);
    free.wait_for("locks of a dead mount to go", || match two.tell("ex 0 0")?.as_str() {
        "ok" => Ok(()),
        answer => anyhow::bail!("{answer}"),
    })?;
    ensure!(two.tell("flock")? == "ok");
    Ok(())
}

#[test]
fn a_process_that_waits_for_a_lock_can_be_killed() -> Result<()> {
    if !can_mount() {
        return Ok(());
    }
    let site = Site::start()?;
    let path = site.mounted("group1/file");
    fs::write(&path, b"content")?;
    let (mut holder, mut waiting) = (Locker::open(&path)?, Locker::open(&path)?);
    ensure!(holder.tell("ex 0 0")? == "ok");
    waiting.begin("wait 0 0")?;
    waiting.wait_until_it_waits()?;
    waiting.child.kill()?;
    Deadline::after(PATIENCE).wait_for("its end", || waiting.child.try_wait()?.context("it still waits"))?;
    ensure!(holder.tell("un 0 0")? == "ok");
    Ok(())
}

#[test]
fn what_is_written_under_a_lock_is_seen_by_the_next_who_takes_it() -> Result<()> {
    if !can_mount() {
        return Ok(());
    }
    let site = Site::start()?;
    let other_mount = Mounting::start(&site, "other", &[])?;
    let path = site.mounted("group1/counter");
    fs::write(&path, b"00000000")?;
    let mut counters = [path.clone(), other_mount.path("group1/counter"), path.clone()]
        .iter()
        .map(|path| Locker::open(path))
        .collect::<Result<Vec<_>>>()?;
    for counter in &mut counters {
        counter.begin(&format!("count {COUNTED}"))?;
    }
    for counter in &mut counters {
        ensure!(counter.answer()? == "ok");
    }
    let expected = format!("{:08}", COUNTED * counters.len());
    let found = fs::read_to_string(&path)?;
    ensure!(found == expected, "{found}, not {expected}");

    // Appended to what stays open all the time: each goes to the end as it is then.
    for counter in &mut counters {
        counter.begin(&format!("append {COUNTED}"))?;
    }
    for counter in &mut counters {
        ensure!(counter.answer()? == "ok");
    }
    let found = fs::read_to_string(&path)?;
    ensure!(found == expected + &"line\n".repeat(COUNTED * counters.len()), "{found}");
    Ok(())
}

fn kill(locker: &Locker, signal: rustix::process::Signal) -> Result<()> {
    let pid = i32::try_from(locker.child.id())?;
    let pid = rustix::process::Pid::from_raw(pid).context("a process ID")?;
    Ok(rustix::process::kill_process(pid, signal)?)
}

/// Reads what to do line by line and answers each with a line. Counting never closes the file: that would give back the locks.
const SCRIPT: &str = r#"
import fcntl, os, signal, struct, sys
class Woken(Exception): pass
def woken(*_): raise Woken()
signal.signal(signal.SIGUSR1, woken)
fd = os.open(sys.argv[1], os.O_RDWR)
def lock(kind, start, length, waits=False):
    command = fcntl.F_SETLKW if waits else fcntl.F_SETLK
    fcntl.fcntl(fd, command, struct.pack('hhqqi4x', kind, 0, start, length, 0))
for line in sys.stdin:
    what, *numbers = line.split()
    numbers = [int(number) for number in numbers]
    try:
        if what == 'ex': lock(fcntl.F_WRLCK, *numbers)
        elif what == 'sh': lock(fcntl.F_RDLCK, *numbers)
        elif what == 'un': lock(fcntl.F_UNLCK, *numbers)
        elif what == 'wait': lock(fcntl.F_WRLCK, *numbers, waits=True)
        elif what == 'flock': fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif what == 'wait-flock': fcntl.flock(fd, fcntl.LOCK_EX)
        elif what == 'count':
            for _ in range(numbers[0]):
                lock(fcntl.F_WRLCK, 0, 0, waits=True)
                count = int(os.pread(fd, 8, 0)) + 1
                os.pwrite(fd, b'%08d' % count, 0)
                lock(fcntl.F_UNLCK, 0, 0)
        elif what == 'append':
            end = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
            for _ in range(numbers[0]):
                lock(fcntl.F_WRLCK, 0, 0, waits=True)
                os.write(end, b'line\n')
                lock(fcntl.F_UNLCK, 0, 0)
        elif what == 'get':
            asked = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, *numbers, 0)
            kind, _, start, length, pid = struct.unpack('hhqqi4x', fcntl.fcntl(fd, fcntl.F_GETLK, asked))
            print('free' if kind == fcntl.F_UNLCK else f'held {start} {length} {pid}')
            continue
        print('ok')
    except BlockingIOError: print('no')
    except Woken: print('interrupted')
    except OSError as error: print(error)
"#;
/// The numbers of the system calls, as /proc tells them.
const FCNTL: &str = "72";
const FLOCK: &str = "73";
const COUNTED: usize = 25;
const PATIENCE: Duration = Duration::from_secs(30);
const SESSION_LIMIT: Duration = Duration::from_secs(120);
