//! Our client against our daemons.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use fdfs_client::{ByteRange, Client, ClientError, ClientOptions, UploadKind, UploadSpec, Uploaded};
use fdfs_proto::ServerAddress;
use fdfs_proto::ours::{ForgetOwnedRequest, JoinFilesRequest, OwnerToken, WriteConcern};
use fdfs_proto::storage::MetadataMode;
use fdfs_tests::{Addresses, Cluster, ClusterConfig, StorageConfig};
use fdfs_types::{Extension, FileKind, Metadata};

const MIB: usize = 1 << 20;

/// A cluster of one group with so many storages, and a client of it.
fn start(storages: usize) -> Result<(Cluster, Client)> {
    let mut config = ClusterConfig::new(SocketAddr::new(Addresses::next()?.into(), 22122));
    for _ in 0..storages {
        let address = SocketAddr::new(Addresses::next()?.into(), 23000);
        // The usual 256 × 256 directories per path take minutes on a slow disk, and nobody looks at them here.
        let lines = "subdir_count_per_path=4\n".to_owned();
        config.storages.push(StorageConfig { lines, ..StorageConfig::new(address, "group1", 2) });
    }
    let tracker = ServerAddress { ips: vec![config.tracker().ip()], port: config.tracker().port() };
    Ok((Cluster::start(config)?, Client::new(ClientOptions::new(vec![tracker]))))
}

fn spec() -> Result<UploadSpec> {
    Ok(UploadSpec::new("dat".parse::<Extension>()?))
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 31 + index / 257) as u8).collect()
}

async fn stream(client: &Client, spec: UploadSpec, content: &[u8]) -> Result<Uploaded, ClientError> {
    let chunks: Vec<_> = content.chunks(70_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    client.upload_stream(spec, futures_util::stream::iter(chunks)).await
}

#[tokio::test]
async fn what_is_stored_is_read_described_and_removed() -> Result<()> {
    let (_cluster, client) = start(1)?;
    for length in [0, 1, 100_000, 3 * MIB] {
        let uploaded = client.upload(spec()?, &content(length)).await?;
        let read = client.read(&uploaded.file_id, ByteRange::ALL, length).await?;
        assert_eq!(read, content(length));
        let (told, asked) =
            (client.file_info(&uploaded.file_id).await?, client.stat(&uploaded.file_id).await?);
        assert_eq!((told.size, told.crc32), (length as u64, crc32fast::hash(&content(length))));
        assert_eq!((asked.size, asked.crc32, asked.source), (told.size, told.crc32, told.source));
        client.delete(&uploaded.file_id).await?;
        for gone in [client.delete(&uploaded.file_id).await, client.stat(&uploaded.file_id).await.map(drop)] {
            assert!(matches!(gone, Err(ClientError::NotFound)), "{gone:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_range_is_read_and_one_behind_the_end_refused() -> Result<()> {
    let (_cluster, client) = start(1)?;
    let file_id = client.upload(spec()?, &content(MIB)).await?.file_id;
    let part = client.read(&file_id, ByteRange::of(500_000, 300_000), MIB).await?;
    assert_eq!(part, content(MIB)[500_000..800_000]);
    let refused = client.download(&file_id, ByteRange::from(MIB as u64)).await.err();
    assert!(matches!(refused, Some(ClientError::OutOfRange { size }) if size == MIB as u64), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn streams_and_files_are_stored_whether_their_length_is_known_or_not() -> Result<()> {
    let (_cluster, client) = start(1)?;
    let known = stream(&client, spec()?.of_size(3 * MIB as u64), &content(3 * MIB)).await?;
    let unknown = stream(&client, spec()?, &content(3 * MIB)).await?;
    let mut file = tempfile::tempfile()?;
    file.write_all(&content(3 * MIB))?;
    let local = client.upload_file(spec()?, file, 3 * MIB as u64).await?;
    for uploaded in [known, unknown, local] {
        assert_eq!(client.read(&uploaded.file_id, ByteRange::ALL, 3 * MIB).await?, content(3 * MIB));
        assert_eq!(client.stat(&uploaded.file_id).await?.crc32, crc32fast::hash(&content(3 * MIB)));
    }
    Ok(())
}

#[tokio::test]
async fn an_appender_file_grows_changes_shrinks_and_becomes_a_normal_one() -> Result<()> {
    let (_cluster, client) = start(1)?;
    let file_id = client.upload(spec()?.of_kind(UploadKind::Appender), b"hello").await?.file_id;
    client.append(&file_id, &content(MIB)).await?;
    client.modify(&file_id, 0, b"J").await?;
    client.truncate(&file_id, 1000).await?;
    let expected = [b"Jello", &content(MIB)[..995]].concat();
    assert_eq!(client.read(&file_id, ByteRange::ALL, MIB).await?, expected);
    let normal = client.regenerate(&file_id).await?;
    assert_eq!(normal.filename.kind(), Ok(FileKind::Normal));
    assert_eq!(client.read(&normal, ByteRange::ALL, MIB).await?, expected);
    Ok(())
}

#[tokio::test]
async fn slaves_and_metadata_belong_to_their_files() -> Result<()> {
    let (_cluster, client) = start(1)?;
    let master = client.upload(spec()?, b"master").await?.file_id;
    let kind = UploadKind::Slave { master: master.clone(), prefix: "_small".parse()? };
    let slave = client.upload(spec()?.of_kind(kind.clone()), b"slave").await?.file_id;
    assert_eq!(client.read(&slave, ByteRange::ALL, 5).await?, &b"slave"[..]);
    let again = client.upload(spec()?.of_kind(kind), b"slave").await;
    assert!(matches!(again, Err(ClientError::Exists)), "{again:?}");

    let pairs = Metadata::decode(b"width\x021024")?;
    client.set_metadata(&master, MetadataMode::Overwrite, pairs.clone()).await?;
    assert_eq!(client.metadata(&master).await?, pairs);
    let none = client.metadata(&slave).await;
    assert!(matches!(none, Err(ClientError::NotFound)), "{none:?}");
    Ok(())
}

#[tokio::test]
async fn uploads_go_on_at_once_when_a_storage_is_killed() -> Result<()> {
    let (mut cluster, client) = start(2)?;
    for _ in 0..4 {
        client.upload(spec()?, b"before").await?;
    }
    cluster.kill_storage(0)?;
    let left: IpAddr = cluster.config().storages[1].address.ip();
    for _ in 0..4 {
        let uploaded = client.upload(spec()?, b"after").await?;
        assert_eq!(uploaded.storage.ip(), left);
        assert_eq!(client.read(&uploaded.file_id, ByteRange::ALL, 5).await?, &b"after"[..]);
    }
    Ok(())
}

#[tokio::test]
async fn a_file_whose_only_storage_is_killed_is_unavailable_and_comes_back_with_it() -> Result<()> {
    let (mut cluster, client) = start(2)?;
    let named = UploadSpec { storage: Some(cluster.config().storages[0].address), ..spec()? };
    let file_id = client.upload(named, b"kept").await?.file_id;
    cluster.kill_storage(0)?;
    match client.read(&file_id, ByteRange::ALL, 4).await {
        // A peer may have got it already.
        Ok(content) => assert_eq!(content, &b"kept"[..]),
        Err(error) => assert!(error.is_transient(), "{error:?}"),
    }
    cluster.start_storage(0)?;
    assert_eq!(client.read(&file_id, ByteRange::ALL, 4).await?, &b"kept"[..]);
    Ok(())
}

#[tokio::test]
async fn the_cluster_is_described() -> Result<()> {
    let (cluster, client) = start(1)?;
    let groups = client.list_groups().await?;
    let group = groups.first().context("there is one group")?;
    assert_eq!((group.group.as_str(), group.writable_count), ("group1", 1));
    let storages = client.list_storages(group.group, None).await?;
    assert_eq!(
        storages.first().and_then(|storage| storage.ip),
        Some(cluster.config().storages[0].address.ip())
    );
    // A lone tracker elects itself within some seconds after its first storage has joined.
    let leader = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            match client.leader().await {
                Err(ClientError::NotFound) => tokio::time::sleep(Duration::from_millis(100)).await,
                other => return other,
            }
        }
    });
    assert_eq!(leader.await??, cluster.config().tracker());
    client.active_test(cluster.config().tracker()).await?;
    client.active_test(cluster.config().storages[0].address).await?;
    Ok(())
}

#[tokio::test]
async fn storages_of_ours_keep_tokens_list_raw_files_and_join_parts() -> Result<()> {
    let (cluster, client) = start(1)?;
    let (storage, group) = (cluster.config().storages[0].address, "group1".parse()?);
    let session = NonZeroU64::new(7).context("seven is not zero")?;
    let mut parts = Vec::new();
    for sequence in 1..=3 {
        let spec = UploadSpec { store_path: Some(1), storage: Some(storage), ..spec()? };
        let uploaded =
            stream(&client, spec.for_owner(OwnerToken { session, sequence }), &content(MIB)).await?;
        assert!(uploaded.has_owner);
        parts.push(uploaded.file_id.filename);
    }
    let owned = client.list_owned(storage, group, session, 1, 10).await?;
    let sequences: Vec<_> = owned.files.iter().map(|file| (file.sequence, file.filename.clone())).collect();
    assert_eq!(sequences, [(2, parts[1].clone()), (3, parts[2].clone())]);

    let owner = Some(OwnerToken { session, sequence: 4 });
    let request = JoinFilesRequest {
        group,
        extension: "dat".parse()?,
        owner,
        write_concern: WriteConcern::Storage,
        private: false,
        parts: parts.clone(),
    };
    let joined = client.join_files(storage, &request).await?;
    assert_eq!(joined.filename.kind(), Ok(FileKind::Normal));
    assert_eq!(client.read(&joined, ByteRange::ALL, 3 * MIB).await?, content(MIB).repeat(3));
    assert_eq!(client.file_info(&joined).await?.crc32, crc32fast::hash(&content(MIB).repeat(3)));

    let mut expected = parts;
    expected.push(joined.filename.clone());
    expected.sort();
    let mut listed = Vec::new();
    loop {
        let page = client.list_raw(group, 1, listed.last().cloned(), 3).await?;
        listed.extend(page.files.into_iter().map(|file| file.filename));
        if !page.has_more {
            break;
        }
    }
    assert_eq!(listed, expected);

    client.forget_owned(storage, &ForgetOwnedRequest { group, session, sequences: vec![1, 2, 4] }).await?;
    let left = client.list_owned(storage, group, session, 0, 10).await?;
    assert_eq!(left.files.iter().map(|file| file.sequence).collect::<Vec<_>>(), [3]);
    Ok(())
}
