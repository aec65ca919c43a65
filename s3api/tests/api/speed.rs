//! How fast lists are. A measurement, to be run alone in a release build:
//! `cargo test --release -p fdfs-s3 --test api -- --ignored --nocapture lists_are_measured`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fdfs_objects::testing::MemoryFiles;
use fdfs_objects::{Defaults, Kind, Namespace, NewInode, Objects, Settings};
use fdfs_s3::{Config, Credentials, KeyPair, S3Server};

use crate::support::{ACCESS_KEY_ID, SECRET, Signed, Wire};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn lists_are_measured() {
    let keys: usize = std::env::var("KEYS").map_or(1_000_000, |keys| keys.parse().unwrap());
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let names = Namespace::open_lmdb(directory.path(), Defaults::default()).unwrap();
    let objects = Objects::new(names.clone(), Arc::new(MemoryFiles::default()), Settings::default());
    objects.refresh_groups().await.unwrap();
    let root = objects.create_bucket("pets", Default::default()).await.unwrap().root;
    let made = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..64_usize {
        let names = names.clone();
        tasks.spawn(async move {
            for number in (writer..keys).step_by(64) {
                let file = fdfs_namespace::NewFile {
                    etag: Some(fdfs_objects::ETag { digest: (number as u128).to_be_bytes(), parts: None }),
                    size: 4096,
                    ..Default::default()
                };
                let key = format!("dir-{:03}/object-{number:09}.bin", number / 5_000);
                names.put(root, key.as_bytes(), file, Default::default()).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    println!("{keys} keys put in {:?}", made.elapsed());
    assert_eq!(objects.attributes(root).await.unwrap().kind, Kind::Directory);
    let _ = NewInode::default();

    let pair = KeyPair { access_key_id: ACCESS_KEY_ID.into(), secret_access_key: SECRET.into() };
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), Arc::new(Credentials::new([pair])));
    config.threads = 2;
    let server = S3Server::bind(config, Arc::clone(&objects)).await.unwrap();
    let mut wire = Wire::connect(server.address()).await;
    for round in 0..5 {
        let (mut listed, mut token, mut slowest) = (0, String::new(), Duration::ZERO);
        let began = Instant::now();
        loop {
            let target = match token.as_str() {
                "" => "/pets?encoding-type=url&list-type=2".to_owned(),
                token => format!("/pets?continuation-token={token}&encoding-type=url&list-type=2"),
            };
            let asked = Instant::now();
            let answer = wire.send(Signed::new("GET", &target)).await;
            slowest = slowest.max(asked.elapsed());
            // Counted without reading the whole text over and over: the client is not what is measured.
            let head = String::from_utf8_lossy(&answer.body[..600.min(answer.body.len())]).into_owned();
            let field = |name: &str| {
                let (_, rest) = head.split_once(&format!("<{name}>"))?;
                rest.split_once('<').map(|(text, _)| text.to_owned())
            };
            listed += field("KeyCount").unwrap().parse::<usize>().unwrap();
            match field("NextContinuationToken") {
                Some(next) => token = next,
                None => break,
            }
        }
        let took = began.elapsed();
        let pages = listed.div_ceil(1_000) as u32;
        println!(
            "round {round}: {listed} keys in {took:?}: {:.0} keys/s, {:?} a page, slowest {slowest:?}",
            listed as f64 / took.as_secs_f64(),
            took / pages
        );
        assert_eq!(listed, keys);
    }
    drop(wire);
    server.shutdown(Duration::from_secs(1)).await;
}
