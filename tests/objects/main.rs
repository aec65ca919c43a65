//! Names and files together, over running trackers and storages.

use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use fdfs_client::{Client, ClientOptions};
use fdfs_objects::{
    CommitOptions, CompleteOptions, CompletePart, Defaults, ExtendedAttributes, Files, JoinMultipart, Kind,
    ListFrom, ListItem, ListQuery, Namespace, NewInode, ObjectInfo, Objects, Piece, Preconditions,
    PutOptions, ROOT, Settings, ShareOptions, UploadOptions,
};
use fdfs_proto::ServerAddress;
use fdfs_tests::{Addresses, Cluster, ClusterConfig, StorageConfig};
use futures_util::StreamExt as _;

/// A cluster of one storage with two store paths, and objects over it.
struct Setup {
    objects: Arc<Objects>,
    client: Client,
    // Ended after what uses it.
    _cluster: Cluster,
    _names: tempfile::TempDir,
}

impl Setup {
    async fn start() -> Result<Self> {
        let tracker: SocketAddr = (Addresses::next()?, 22_122).into();
        let storage = (Addresses::next()?, 23_000).into();
        let mut config = ClusterConfig::new(tracker);
        let mut storage = StorageConfig::new(storage, "group1", 2);
        storage.lines.push_str("subdir_count_per_path=4\n");
        config.storages.push(storage);
        let cluster = tokio::task::spawn_blocking(move || Cluster::start(config)).await??;
        let client = Client::new(ClientOptions::new(vec![ServerAddress {
            ips: vec![tracker.ip()],
            port: tracker.port(),
        }]));
        let names = tempfile::tempdir()?;
        let namespace = Namespace::open_lmdb(names.path(), Defaults::default())?;
        let settings = Settings {
            free_after: Duration::ZERO,
            join_multipart: JoinMultipart::Background,
            min_part: 1,
            ..Settings::default()
        };
        let objects = Objects::new(namespace, Arc::new(client.clone()), settings);
        objects.refresh_groups().await?;
        Ok(Self { objects, client, _cluster: cluster, _names: names })
    }

    async fn put(&self, key: &str, content: Bytes, length: Option<u64>) -> Result<ObjectInfo> {
        let extended = ExtendedAttributes::from([(b"user.kind".to_vec(), b"test".to_vec())]);
        let options = PutOptions { length, extended, ..PutOptions::default() };
        let mut writer = self.objects.writer("group1", key.as_bytes(), options).await?;
        for start in (0..content.len()).step_by(100_000) {
            writer.write(content.slice(start..content.len().min(start + 100_000))).await?;
        }
        Ok(writer.commit(CommitOptions::default()).await?)
    }

    async fn get(&self, key: &str) -> Result<Bytes> {
        let reader = self.objects.open("group1", key.as_bytes()).await?;
        Ok(reader.read_bytes(0..u64::MAX).await?)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_object_of_this_machine_is_read_where_it_lies_and_on_when_it_is_freed() -> Result<()> {
    let setup = Setup::start().await?;
    let body = content(5 << 20);
    setup.put("large.bin", body.clone(), Some(5 << 20)).await?;
    // Only who knows the storages knows which are here.
    setup.client.topology().await?;
    let reader = setup.objects.open("group1", b"large.bin").await?;
    let mut pieces = reader.read_pieces(0..u64::MAX);
    let first = pieces.next().await.context("a first piece")??;
    ensure!(matches!(first, Piece::File(_)), "the first piece lies elsewhere: {first:?}");
    // The name goes, and the file with it.
    let file = reader.info().native_id().context("a file")?.clone();
    setup.client.delete(&file).await?;
    let mut read = Vec::new();
    let mut next = Some(Ok(first));
    while let Some(piece) = next.transpose()? {
        match piece {
            Piece::Bytes(bytes) => read.extend_from_slice(&bytes),
            Piece::File(piece) => {
                let mut bytes = vec![0; piece.length];
                piece.file.read_exact_at(&mut bytes, piece.offset)?;
                read.extend_from_slice(&bytes);
            }
        }
        next = pieces.next().await;
    }
    ensure!(read == body, "the bytes differ");
    Ok(())
}

/// Bytes that are unlike at every place.
fn content(length: usize) -> Bytes {
    let bytes = (0_u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes());
    bytes.take(length).collect::<Vec<u8>>().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_size_is_one_file_with_the_same_bytes_by_key_and_by_id() -> Result<()> {
    let setup = Setup::start().await?;
    for length in [0, 1, 4_096, 5 << 20] {
        for known in [true, false] {
            let key = format!("sizes/{length}-{known}.bin");
            let content = content(length);
            let info = setup.put(&key, content.clone(), known.then_some(length as u64)).await?;
            let file = info.file_id.with_context(|| format!("{key} has no file"))?;
            ensure!(file.to_string().ends_with(".bin"), "{file}");
            ensure!(setup.get(&key).await? == content, "{key} by key");
            let by_id = setup.client.read(&file, fdfs_client::ByteRange::ALL, usize::MAX).await?;
            ensure!(by_id == content, "{key} by ID");
            ensure!(setup.get(file.filename.as_str()).await? == content, "{key} by raw path");
            let metadata = setup.client.metadata(&file).await?;
            ensure!(metadata.get(b"kind") == Some(b"test"), "{key} metadata: {metadata:?}");
        }
    }
    let reader = setup.objects.open("group1", b"sizes/5242880-true.bin").await?;
    let middle = reader.read_bytes(1_000_000..3_000_000).await?;
    ensure!(middle == content(5 << 20).slice(1_000_000..3_000_000));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_are_joined_by_the_storage_and_freed() -> Result<()> {
    let setup = Setup::start().await?;
    let (objects, key) = (&setup.objects, b"big.bin");
    let whole = content(3 << 20);
    let upload_id = objects.create_upload("group1", key, UploadOptions::default()).await?;
    let mut parts = Vec::new();
    for number in 1..=3_u16 {
        let part = whole.slice((usize::from(number) - 1) << 20..usize::from(number) << 20);
        let mut writer = objects.part_writer("group1", key, upload_id, number, Some(1 << 20)).await?;
        writer.write(part).await?;
        let part = writer.commit(CommitOptions::default()).await?;
        parts.push(CompletePart { number, md5: Some(part.md5) });
    }
    let info = objects
        .complete_upload("group1", key, upload_id, CompleteOptions { parts, ..CompleteOptions::default() })
        .await?;
    ensure!(info.file_id.is_none() && setup.get("big.bin").await? == whole);
    ensure!(objects.join_due().await? == 1, "the parts are joined");
    let file = objects.head("group1", key).await?.file_id.context("the joined file")?;
    ensure!(setup.get("big.bin").await? == whole, "by key");
    ensure!(setup.client.read(&file, fdfs_client::ByteRange::ALL, usize::MAX).await? == whole, "by ID");
    ensure!(objects.free_due().await? == 3, "the parts are freed");
    let listed = Files::list(&setup.client, &file.group, file.filename.store_path(), None, 100).await?;
    ensure!(listed.files.len() == 1 && listed.files[0].filename == file.filename, "{listed:?}");

    // Pieces of it become a file of their own.
    let upload_id = objects.create_upload("group1", b"pieces", UploadOptions::default()).await?;
    let mut parts = Vec::new();
    for (number, range) in [(1, 1_000_000..2_500_000), (2, 0..7)] {
        let (source_version, source_preconditions) = (None, Preconditions::default());
        let share =
            ShareOptions { number, range, checksums: Vec::new(), source_version, source_preconditions };
        let shared = objects.share_part(("group1", key), ("group1", b"pieces"), upload_id, share).await?;
        parts.push(CompletePart { number, md5: Some(shared.context("a part")?.md5) });
    }
    let options = CompleteOptions { parts, ..CompleteOptions::default() };
    objects.complete_upload("group1", b"pieces", upload_id, options).await?;
    ensure!(objects.join_due().await? == 0 && objects.rewrite_due().await? == 1, "written anew");
    let pieces = [whole.slice(1_000_000..2_500_000), whole.slice(0..7)].concat();
    ensure!(
        setup.get("pieces").await? == pieces && objects.head("group1", b"pieces").await?.file_id.is_some()
    );
    objects.delete("group1", b"pieces", Preconditions::default()).await?;
    ensure!(objects.free_due().await? == 1, "the source's file is not freed with it");
    objects.delete("group1", key, Preconditions::default()).await?;
    ensure!(objects.free_due().await? == 1);
    let gone = setup.client.stat(&file).await;
    ensure!(matches!(gone, Err(fdfs_client::ClientError::NotFound)), "{gone:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_files_of_others_are_found_listed_and_read() -> Result<()> {
    let setup = Setup::start().await?;
    let spec = fdfs_client::UploadSpec::new("txt".parse()?);
    let legacy = setup.client.upload(spec, b"by an old client").await?.file_id;
    let mut inode = setup.objects.lookup(ROOT, b"group1").await?.inode;
    for name in legacy.filename.as_str().split('/') {
        inode = setup.objects.lookup(inode, name.as_bytes()).await?.inode;
    }
    let reader = setup.objects.open_inode(inode).await?;
    ensure!(reader.read_bytes(0..100).await? == "by an old client");
    let prefix = legacy.filename.as_str().as_bytes()[..4].to_vec();
    let query = ListQuery { prefix, limit: 10, from: ListFrom::Start, ..ListQuery::default() };
    let page = setup.objects.list("group1", query).await?;
    let [ListItem::Key { key, .. }] = &page.items[..] else { anyhow::bail!("{page:?}") };
    ensure!(key == legacy.filename.as_str().as_bytes());
    let absent = legacy.filename.as_str().replace(".txt", ".tyt");
    let missing = setup.objects.head("group1", absent.as_bytes()).await;
    ensure!(matches!(missing, Err(fdfs_objects::ObjectsError::NotFound)), "{missing:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_written_through_the_tree_is_one_file() -> Result<()> {
    let setup = Setup::start().await?;
    let objects = &setup.objects;
    let group = objects.lookup(ROOT, b"group1").await?.inode;
    let made = objects
        .make(group, b"movie.mp4", NewInode { kind: Kind::File, mode: 0o644, ..NewInode::default() })
        .await?;
    let whole = content(2 << 20);
    let mut writer = objects.write_inode(made.inode, None).await?;
    for chunk in 0..16 {
        writer.write(whole.slice(chunk << 17..(chunk + 1) << 17)).await?;
    }
    let info = writer.commit(CommitOptions::default()).await?;
    let file = info.file_id.context("one file")?;
    ensure!(setup.client.read(&file, fdfs_client::ByteRange::ALL, usize::MAX).await? == whole);
    ensure!(setup.get("movie.mp4").await? == whole);
    let space = objects.space(group).await?;
    ensure!(space.total > 0 && space.free > 0, "{space:?}");
    Ok(())
}
