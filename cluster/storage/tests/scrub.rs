//! The search for damaged files, on a real disk, with members that play their part.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use fdfs_conf::ScrubSettings;
use fdfs_ops::Health;
use fdfs_proto::{
    Command, Decode,
    ours::{ScrubAction, ScrubRequest, ScrubResponse},
    storage::{DownloadRequest, UploadRequest},
};
use fdfs_storage::Storage;
use fdfs_types::{FileId, GroupName, RemoteFilename, StorageStatus};
use support::{Client, group::Group};

const FAST: ScrubSettings =
    ScrubSettings { rate: 1 << 30, interval: Duration::from_secs(3600), min_age: Duration::ZERO };

async fn start(group: &mut Group, scrub: ScrubSettings) -> Storage {
    let storage = group.start_with(1, |config| config.scrub = scrub).await;
    group.next(Command::BEAT).await;
    storage
}

fn group_name() -> GroupName {
    "group1".parse().expect("group")
}

fn upload(storage: &Storage, content: &[u8]) -> RemoteFilename {
    let extension = "bin".parse().expect("extension");
    let request = UploadRequest { store_path: None, size: content.len() as u64, extension };
    let answer = Client::connect(storage.addresses()[0]).ask(&request, content).expect("upload");
    FileId::decode(&answer).expect("answer").filename
}

fn scrub(storage: &Storage, action: ScrubAction) -> ScrubResponse {
    let request = ScrubRequest { group: group_name(), action };
    Client::connect(storage.addresses()[0]).get(&request).expect("answer")
}

/// Waits until something is so of the search, at most a minute or so.
async fn wait_for(storage: &Storage, what: &str, is_so: impl Fn(&ScrubResponse) -> bool) -> ScrubResponse {
    for _ in 0..6000 {
        let told = scrub(storage, ScrubAction::Tell);
        if is_so(&told) {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not in time: {what}: {:?}", scrub(storage, ScrubAction::Tell));
}

/// Has all files searched, to the end.
async fn search(storage: &Storage) -> ScrubResponse {
    let before = wait_for(storage, "the end of the first search", |told| !told.is_searching).await;
    // Times are told in seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    scrub(storage, ScrubAction::Search);
    wait_for(storage, "the end of the search", |told| !told.is_searching && told.begun > before.begun).await
}

fn path(group: &Group, name: &RemoteFilename) -> PathBuf {
    group.data().join(name.local_path())
}

fn kept(group: &Group, name: &RemoteFilename) -> Option<Vec<u8>> {
    fs::read(group.data().join("rs/damaged").join(name.local_path().replace('/', "_"))).ok()
}

fn flip(path: &Path) -> Vec<u8> {
    let mut content = fs::read(path).expect("file");
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(path, &content).expect("write");
    content
}

fn health(storage: &Storage) -> String {
    let health = Health::new();
    storage.register_health(&health);
    let (_, report) = health.report();
    report["checks"]["damaged files"].as_str().expect("a part").to_owned()
}

#[tokio::test]
async fn damaged_files_are_healed_from_the_member_that_has_a_sound_copy() {
    let mut group = Group::of(3);
    let storage = start(&mut group, FAST).await;
    // The search that a start begins finds nothing: what is damaged is left to the next.
    wait_for(&storage, "the end of the first search", |told| told.last_whole.0 > 0).await;
    let content: Vec<u8> = (0..100_000_u32).map(|at| (at / 3) as u8).collect();
    let [flipped, cut, empty] = [&content[..], &content[1..], b""].map(|content| upload(&storage, content));
    // The first does not have it, the second has nothing sound.
    group.members[1].tells(&flipped, &vec![0; content.len()]);
    group.members[1].tells(&cut, b"cut, too");
    group.members[2].tells(&flipped, &content);
    group.members[2].tells(&cut, &content[1..]);
    let damaged = flip(&path(&group, &flipped));
    fs::write(path(&group, &cut), &content[1..50_000]).expect("write");
    fs::write(path(&group, &empty), "not empty").expect("write");
    let told = search(&storage).await;
    assert_eq!((told.files, told.damaged, told.healed, told.left), (3, 3, 3, 0));
    assert_eq!(group.content(&flipped).as_deref(), Some(&content[..]));
    assert_eq!(group.content(&cut).as_deref(), Some(&content[1..]));
    assert_eq!(group.content(&empty).as_deref(), Some(&b""[..]));
    assert_eq!(kept(&group, &flipped), Some(damaged));
    assert_eq!(kept(&group, &cut).as_deref(), Some(&content[1..50_000]));
    assert_eq!(health(&storage), "ok");
    let file_id = FileId { group: group_name(), filename: flipped };
    let download = DownloadRequest { offset: 0, length: 0, file_id };
    let mut client = Client::connect(storage.addresses()[0]);
    assert_eq!(client.ask(&download, b"").expect("download"), content);
    drop(storage);
}

#[tokio::test]
async fn a_file_that_nobody_has_sound_stays_is_listed_and_is_healed_when_somebody_has_it() {
    let mut group = Group::of(1);
    let storage = start(&mut group, FAST).await;
    let (lost, restored, deleted) =
        (upload(&storage, b"content"), upload(&storage, b"from a backup"), upload(&storage, b"deleted"));
    group.members[0].tells(&lost, b"kontent");
    let damaged = flip(&path(&group, &lost));
    flip(&path(&group, &restored));
    flip(&path(&group, &deleted));
    let told = search(&storage).await;
    assert_eq!((told.damaged, told.healed, told.left, told.files_left.len()), (3, 0, 3, 3));
    assert_eq!(group.content(&lost), Some(damaged.clone()));
    assert_eq!(kept(&group, &lost), None);
    let why = &told.files_left.iter().find(|file| file.filename == lost).expect("listed").why;
    assert!(why.contains("its CRC32 is") && why.contains("has another content"), "{why}");
    let words = health(&storage);
    assert!(words.starts_with("degraded: 3 damaged files cannot be healed"), "{words}");
    // It is known after a restart, too.
    drop(storage);
    let storage = start(&mut group, FAST).await;
    assert_eq!(scrub(&storage, ScrubAction::Tell).left, 3);
    assert!(health(&storage).starts_with("degraded"));
    fs::write(path(&group, &restored), b"from a backup").expect("write");
    fs::remove_file(path(&group, &deleted)).expect("remove");
    group.members[0].tells(&lost, b"content");
    scrub(&storage, ScrubAction::TryAgain);
    wait_for(&storage, "nothing is left", |told| told.left == 0).await;
    assert_eq!(group.content(&lost).as_deref(), Some(&b"content"[..]));
    assert_eq!(kept(&group, &lost), Some(damaged));
    assert_eq!(group.content(&deleted), None);
    assert_eq!(health(&storage), "ok");
    assert!(!group.disk.path().join("base/data/rs/unhealed").exists());
    drop(storage);
}

#[tokio::test]
async fn a_member_that_is_away_is_named_and_asked_later() {
    let mut group = Group::of(1);
    group.tracker.others.lock()[0].1 = StorageStatus::Offline;
    let storage = start(&mut group, FAST).await;
    let name = upload(&storage, b"content");
    group.members[0].tells(&name, b"content");
    flip(&path(&group, &name));
    let told = search(&storage).await;
    assert!(told.files_left[0].why.contains("is OFFLINE"), "{:?}", told.files_left);
    group.tracker.others.lock()[0].1 = StorageStatus::Active;
    scrub(&storage, ScrubAction::TryAgain);
    wait_for(&storage, "nothing is left", |told| told.left == 0).await;
    assert_eq!(group.content(&name).as_deref(), Some(&b"content"[..]));
    drop(storage);
}

/// Every file below a directory, with what would change if somebody wrote to it.
fn files(directory: &Path) -> BTreeMap<PathBuf, (u64, i64, i64, i64, u64)> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("directory") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if !path.ends_with(".tmp/disk_check") {
            // But for what the look at the disk writes now and then.
            let stat = fs::metadata(&path).expect("file");
            let times = (stat.ino(), stat.mtime(), stat.mtime_nsec(), stat.ctime_nsec(), stat.size());
            files.insert(path, times);
        }
    }
    files
}

#[tokio::test]
async fn a_healthy_store_is_left_as_it_is() {
    let mut group = Group::of(1);
    let storage = start(&mut group, FAST).await;
    for number in 0..20_u32 {
        upload(&storage, &vec![1; (number * 1000) as usize]);
    }
    let before = files(&group.data());
    let told = search(&storage).await;
    assert_eq!((told.files, told.bytes, told.damaged), (20, 190_000, 0));
    assert_eq!(files(&group.data()), before);
    assert_eq!(group.members[0].asked.load(std::sync::atomic::Ordering::Relaxed), 0);
    drop(storage);
}

#[tokio::test]
async fn what_was_changed_just_now_is_left_to_the_next_search() {
    let mut group = Group::of(0);
    let storage = start(&mut group, ScrubSettings { min_age: Duration::from_secs(60), ..FAST }).await;
    let name = upload(&storage, b"content");
    flip(&path(&group, &name));
    let told = search(&storage).await;
    assert_eq!((told.files, told.damaged, told.left), (0, 0, 0));
    drop(storage);
}

#[tokio::test]
async fn a_search_keeps_its_rate_and_goes_on_after_kill_9_where_it_was() {
    let mut group = Group::of(0);
    // Each file counts for 64 KiB: ten files a second.
    let slow = ScrubSettings { rate: 640 << 10, ..FAST };
    let storage = start(&mut group, ScrubSettings { rate: 0, ..FAST }).await;
    for number in 0..60_u32 {
        upload(&storage, &number.to_be_bytes());
    }
    assert_eq!(scrub(&storage, ScrubAction::Tell).begun.0, 0, "switched off");
    drop(storage);
    let begun = Instant::now();
    let storage = start(&mut group, slow).await;
    let saved = group.disk.path().join("base/data/rs/scrub");
    let saved_files = || -> u64 {
        let text = fs::read_to_string(&saved).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("files=")).unwrap_or("0");
        line.parse().expect("number")
    };
    while saved_files() < 10 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the progress is written now and then");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (first, files) = (scrub(&storage, ScrubAction::Tell), saved_files());
    assert!(files < 60, "{files} files in {:?}", begun.elapsed());
    drop(storage);
    let storage = start(&mut group, slow).await;
    let again = wait_for(&storage, "the same search", |told| told.begun == first.begun).await;
    assert!(again.files >= files, "{again:?}");
    let told = wait_for(&storage, "the end of the search", |told| !told.is_searching).await;
    assert_eq!((told.files, told.begun), (60, first.begun));
    let time = begun.elapsed();
    assert!(time > Duration::from_secs(5), "60 files at ten a second took {time:?}");
    drop(storage);
}
