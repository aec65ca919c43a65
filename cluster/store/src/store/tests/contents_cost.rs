//! What it costs to keep equal uploads once: `cargo test --release -p fdfs-store cost -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::*;
use crate::SignatureMethod;

#[test]
#[ignore = "a measurement, for release builds"]
fn cost_of_uploads_that_are_kept_once() {
    let (hash, md5) = (Some(SignatureMethod::Hash), Some(SignatureMethod::Md5));
    println!("| size | not sought | new, hash | equal, hash | new, md5 | equal, md5 | µs of CPU per upload");
    for (size, count) in [(4 << 10, 20_000), (64 << 10, 5_000), (1 << 20, 600)] {
        let mut best = [Duration::MAX; 5];
        for _ in 0..ROUNDS {
            let cases = [(None, true), (hash, true), (hash, false), (md5, true), (md5, false)];
            for (best, (method, is_new)) in best.iter_mut().zip(cases) {
                *best = (*best).min(cost(method, is_new, size, count));
            }
        }
        let cells: Vec<String> = best.iter().map(|cost| format!("{:.1}", cost.as_secs_f64() * 1e6)).collect();
        println!("| {size} | {} |", cells.join(" | "));
    }
}

/// CPU time of one upload.
fn cost(method: Option<SignatureMethod>, is_new: bool, size: usize, count: u32) -> Duration {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions { deduplicate: method, ..options(base.path()) }).unwrap();
    let mut content = vec![7; size];
    let new = NewFile { size: Some(size as u64), ..new_file("bin") };
    let (begun, wall) = (cpu(), Instant::now());
    for number in 0..count {
        if is_new {
            content[..4].copy_from_slice(&number.to_be_bytes());
        }
        let mut upload = store.create(&new).unwrap();
        content.chunks(256 << 10).for_each(|chunk| upload.write(chunk).unwrap());
        upload.finish().unwrap();
    }
    assert!(wall.elapsed() > Duration::ZERO);
    (cpu() - begun) / count
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

const ROUNDS: usize = 3;
