//! How fast lists are. A measurement, to be run alone in a release build:
//! `cargo test --release -p fdfs-s3 --test api -- --ignored --nocapture lists_are_measured`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fdfs_objects::testing::MemoryFiles;
use fdfs_objects::{Defaults, Kind, Namespace, NewInode, Objects, Settings};
use fdfs_s3::{Config, Credentials, KeyPair, S3Server};

use crate::support::{ACCESS_KEY_ID, SECRET, Signed, Wire, assert_ok, complete, upload_id};

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

/// What moves no byte takes no time: Complete of 1,000 parts and a copy of 1 GiB, over names on a disk.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn completes_and_copies_are_measured() {
    let directory = tempfile::tempdir().unwrap();
    let names = Namespace::open_lmdb(directory.path(), Defaults::default()).unwrap();
    let settings = Settings { min_part: 1, ..Settings::default() };
    let files = Arc::new(MemoryFiles::default());
    let objects = Objects::new(names.clone(), files.clone(), settings);
    objects.refresh_groups().await.unwrap();
    let root = objects.create_bucket("pets", Default::default()).await.unwrap().root;
    let pair = KeyPair { access_key_id: ACCESS_KEY_ID.into(), secret_access_key: SECRET.into() };
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), Arc::new(Credentials::new([pair])));
    config.threads = 2;
    let server = S3Server::bind(config, Arc::clone(&objects)).await.unwrap();
    let mut wire = Wire::connect(server.address()).await;
    for round in 0..5 {
        let id = upload_id(&mut wire, Signed::new("POST", "/pets/big?uploads")).await;
        let mut etags = Vec::new();
        for number in 1..=1_000_u16 {
            let target = format!("/pets/big?partNumber={number}&uploadId={id}");
            let part = wire.send(Signed::new("PUT", &target).body(format!("part {number}"))).await;
            etags.push(part.header("etag").unwrap().to_owned());
        }
        let parts: Vec<_> = (1..).zip(&etags).map(|(number, etag)| (number, etag.as_str(), "")).collect();
        let request = complete(&format!("/pets/big?uploadId={id}"), &parts);
        let asked = Instant::now();
        let done = wire.send(request).await;
        println!("round {round}: Complete of 1,000 parts in {:?}", asked.elapsed());
        assert_ok(&done);
    }
    let file = files.add(b"", "bin");
    let extents = vec![fdfs_namespace::Extent::whole(file, 1 << 30)];
    let etag = Some(fdfs_objects::ETag { digest: [1; 16], parts: None });
    let large = fdfs_namespace::NewFile { extents, size: 1 << 30, etag, ..Default::default() };
    names.put(root, b"large", large, Default::default()).await.unwrap();
    for (round, source) in (0..).zip(["/pets/large", "/pets/large", "/pets/big", "/pets/big"]) {
        let target = format!("/pets/copy-{round}");
        let request = Signed::new("PUT", &target).header("x-amz-copy-source", source);
        let asked = Instant::now();
        let done = wire.send(request).await;
        println!("copy of {source} in {:?}", asked.elapsed());
        assert_ok(&done);
    }
}
