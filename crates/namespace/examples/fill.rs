//! Makes a namespace in LMDB with a bucket of many objects, for benches: `fill DIRECTORY BUCKET COUNT`.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use fdfs_namespace::testing::filler;
use fdfs_namespace::{Defaults, Namespace, NewBucket};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, bucket, count] = arguments.as_slice() else {
        return Err("usage: fill DIRECTORY BUCKET COUNT".into());
    };
    let count: u64 = count.parse()?;
    let names = Namespace::open_lmdb(Path::new(directory), Defaults::default())?;
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut out = std::io::stdout();
    let mut next = 0;
    runtime.block_on(async {
        let root = names.create_bucket(bucket, NewBucket::default()).await?.root;
        let progress = &mut |objects: u64| {
            if objects >= next {
                next += 1_000_000;
                // Who does not want to see it does not look.
                let _ = writeln!(out, "{objects} objects in {:.1} s", begun.elapsed().as_secs_f64());
            }
        };
        filler::fill(&names, root, count, progress).await
    })?;
    writeln!(out, "{count} objects in {:.1} s", begun.elapsed().as_secs_f64())?;
    Ok(())
}
