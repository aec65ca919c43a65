//! What the process uses of the machine.

use std::fmt::{Display, Write};
use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Appends the figures of the process in the text format of Prometheus. What cannot be found out is left out.
pub(crate) fn write_metrics(text: &mut String) {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu = Duration::try_from(cpu).map(|time| time.as_secs_f64()).ok();
    let started = START.duration_since(UNIX_EPOCH).map(|time| time.as_secs()).ok();
    let (resident, threads) = status();
    write(text, "process_cpu_seconds_total", "counter", "CPU time, user and system", cpu);
    write(text, "process_resident_memory_bytes", "gauge", "memory in use", resident);
    write(text, "process_open_fds", "gauge", "open file descriptors", open_files());
    let max_files = getrlimit(Resource::Nofile).current;
    write(text, "process_max_fds", "gauge", "most open file descriptors", max_files);
    write(text, "process_threads", "gauge", "threads", threads);
    write(text, "process_start_time_seconds", "gauge", "start, seconds since 1970", started);
}

fn write(text: &mut String, name: &str, kind: &str, help: &str, value: Option<impl Display>) {
    if let Some(value) = value {
        let line = format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
        text.write_fmt(line).expect("a string takes everything");
    }
}

/// Resident memory in bytes, and the number of threads.
fn status() -> (Option<u64>, Option<u64>) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let number = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    (number("VmRSS:").map(|kib| kib * 1024), number("Threads:"))
}

/// Linux 6.2 and later know the number without a walk over the list.
fn open_files() -> Option<u64> {
    let known = fs::metadata("/proc/self/fd").ok()?.len();
    if known > 0 {
        return Some(known);
    }
    let listed = fs::read_dir("/proc/self/fd").ok()?.count();
    Some((listed as u64).saturating_sub(1)) // not the list itself
}

/// When metrics were first asked for or installed; near enough to the start of the process.
pub(crate) static START: LazyLock<SystemTime> = LazyLock::new(SystemTime::now);

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, name: &str) -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.expect(name).parse().expect("a number")
    }

    #[test]
    fn an_opened_file_is_counted() {
        let count = || {
            let mut text = String::new();
            write_metrics(&mut text);
            value(&text, "process_open_fds")
        };
        // Other tests open files in between: many at once stand out.
        let before = count();
        let files: Vec<_> = (0..100).map(|_| fs::File::open("/dev/null").expect("open")).collect();
        assert!(count() >= before + 50.0, "{before} and {} more", files.len());
    }

    #[test]
    fn every_figure_is_there_and_sane() {
        let mut text = String::new();
        write_metrics(&mut text);
        assert!(value(&text, "process_cpu_seconds_total") > 0.0);
        assert!(value(&text, "process_resident_memory_bytes") > 1e6);
        assert!(value(&text, "process_threads") >= 1.0);
        assert!(value(&text, "process_max_fds") >= 64.0);
        assert!(value(&text, "process_start_time_seconds") > 1.6e9);
    }
}
