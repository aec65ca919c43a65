//! The files of the original, read and written byte for byte.

use std::path::PathBuf;

use fdfs_rules::{Settings, StorageIds};
use fdfs_types::Timestamp;
use proptest::prelude::*;

use super::*;

/// A base path with the data files of a sample.
struct Sample {
    dir: tempfile::TempDir,
    source: PathBuf,
}

impl Sample {
    fn of(name: &str) -> Self {
        let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/disk/tracker");
        let (dir, source) = (tempfile::tempdir().expect("a directory"), vectors.join(name));
        fs::create_dir(dir.path().join("data")).expect("a new directory");
        for entry in fs::read_dir(&source).expect("a sample").map(|entry| entry.expect("an entry")) {
            if entry.file_type().expect("a type").is_file() {
                let to = dir.path().join("data").join(entry.file_name());
                fs::copy(entry.path(), to).expect("room");
            }
        }
        Self { dir, source }
    }

    fn settings(&self) -> Settings {
        let path = self.source.join("storage_ids.conf");
        let ids = fs::read(&path).ok().map(|bytes| {
            let mut resolve = |_: &str| Err(io::ErrorKind::NotFound.into());
            let file = fdfs_conf::StorageIds::parse(&path, &bytes, &mut resolve).expect("a good file");
            StorageIds::from(&file)
        });
        Settings { use_trunk: ids.is_some(), ids, ..Settings::default() }
    }

    fn load(&self) -> (Disk, Cluster) {
        let disk = Disk::open(self.dir.path()).expect("a directory");
        let settings = self.settings();
        let loaded = disk.load(&settings).expect("a disk that works");
        let mut cluster = Cluster::new(settings, Timestamp(0));
        loaded.groups.into_iter().for_each(|group| cluster.restore(group));
        (disk, cluster)
    }

    fn edit(&self, name: &str, change: impl FnOnce(String) -> String) {
        let path = self.dir.path().join("data").join(name);
        let text = fs::read_to_string(&path).expect("a sample file");
        fs::write(&path, change(text)).expect("room");
    }

    /// What a tracker that starts makes of a file: a storage that was ACTIVE is OFFLINE, and how far a
    /// storage is comes from the sync timestamps, which the conversion of 06 had not read yet.
    fn expected(&self, file: DataFile) -> String {
        let text = self.text(name_of(file)).replace("\tstatus=7\n", "\tstatus=5\n");
        match text.rsplit_once("last_synced_timestamp=0\n") {
            Some((before, after)) if self.source.ends_with("06-old-format/converted") => {
                format!("{before}last_synced_timestamp=1700000050\n{after}")
            }
            _ => text,
        }
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.source.join(name)).expect("a sample file")
    }
}

#[test]
fn files_of_the_original_come_out_as_they_went_in() {
    for name in [
        "01-ip-mode-two-storages",
        "02-deleted-not-yet-saved",
        "03-id-mode-trunk",
        "04-ip-changed",
        "05-id-mode-ipv6-multi-port",
        "06-old-format/converted",
    ] {
        let sample = Sample::of(name);
        let (disk, cluster) = sample.load();
        for file in FILES {
            let expected = sample.expected(file);
            assert_eq!(render(file, &cluster), expected, "{name}/{}", name_of(file));
            disk.save(file, || render(file, &cluster)).expect("room");
            let saved = fs::read_to_string(sample.dir.path().join("data").join(name_of(file)));
            assert_eq!(saved.expect("it was saved"), expected);
        }
    }
}

#[test]
fn files_of_the_first_versions_are_converted() {
    let sample = Sample::of("06-old-format/input");
    let converted = Sample::of("06-old-format/converted");
    let disk = Disk::open(sample.dir.path()).expect("a directory");
    let loaded = disk.load(&Settings::default()).expect("a disk that works");
    assert!(loaded.was_old);
    let mut cluster = Cluster::new(Settings::default(), Timestamp(0));
    loaded.groups.into_iter().for_each(|group| cluster.restore(group));
    for file in FILES {
        let expected = converted.expected(file);
        assert_eq!(render(file, &cluster), expected, "{}", name_of(file));
    }
    disk.remove_old().expect("they can be removed");
    assert!(!disk.data.join("storage_groups.dat").exists());
}

#[test]
fn the_last_sign_of_life_is_read_and_written() {
    let sample = Sample::of("01-ip-mode-two-storages");
    let (disk, _) = sample.load();
    let status = disk.tracker_status();
    let (up_time, last_check_time) = (Timestamp(1_795_323_321), Timestamp(1_795_323_600));
    assert_eq!(status, TrackerStatusFile { up_time, last_check_time });
    assert_eq!(status.render(), sample.text(TrackerStatusFile::NAME));
}

#[test]
fn an_empty_directory_is_a_new_tracker() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Disk::open(&dir.path().join("new")).expect("the last level is made");
    let loaded = disk.load(&Settings::default()).expect("a disk that works");
    assert!(loaded.groups.is_empty() && !loaded.was_old);
    assert_eq!(disk.tracker_status(), TrackerStatusFile::default());
    assert!(Disk::open(&dir.path().join("a/b")).is_err(), "only the last level is made");
}

#[test]
fn what_makes_no_sense_is_left_out_and_the_rest_is_used() {
    let (storages, times) = (name_of(DataFile::Storages), name_of(DataFile::SyncTimestamps));
    let ids = |sample: &Sample| {
        let (_, cluster) = sample.load();
        let storages = cluster.groups().iter().flat_map(fdfs_rules::Group::storages);
        storages.map(|storage| (storage.id.to_string(), storage.sync_source.is_some())).collect::<Vec<_>>()
    };
    let both = [("127.0.0.4".to_owned(), false), ("127.0.0.5".to_owned(), true)];

    let cut = Sample::of("01-ip-mode-two-storages");
    cut.edit(storages, |text| text.replace("\n[Global]\n\tstorage_count=2\n", ""));
    assert_eq!(ids(&cut), both);

    let source = Sample::of("01-ip-mode-two-storages");
    source.edit(storages, |text| text.replace("server=127.0.0.4", "server=127.0.0.9"));
    assert_eq!(ids(&source), [both[0].clone(), ("127.0.0.5".to_owned(), false)]);

    let stranger = Sample::of("01-ip-mode-two-storages");
    stranger.edit(storages, |text| text.replacen("group_name=group1", "group_name=other", 1));
    assert_eq!(ids(&stranger), [("127.0.0.5".to_owned(), false)], "its source is unknown now");

    let twice = Sample::of("01-ip-mode-two-storages");
    twice.edit(storages, |text| text.replace("ip_addr=127.0.0.5", "ip_addr=127.0.0.4"));
    assert_eq!(ids(&twice), [both[0].clone()]);

    let none = Sample::of("01-ip-mode-two-storages");
    fs::remove_file(none.dir.path().join("data").join(storages)).expect("it is there");
    assert_eq!(none.load().1.groups().len(), 1);

    let rows = Sample::of("01-ip-mode-two-storages");
    rows.edit(times, |text| format!("other,127.0.0.4,1,2\nnonsense\n{text}group1,127.0.0.5,7,8,9\n"));
    assert_eq!(ids(&rows), both);

    let binary = Sample::of("01-ip-mode-two-storages");
    binary.edit(name_of(DataFile::Groups), |_| "\u{0}\u{1}=\u{2}[".into());
    assert_eq!(binary.load().1.groups().len(), 0);
}

#[test]
fn rows_of_a_storage_left_out_do_not_shift_the_columns() {
    let sample = Sample::of("01-ip-mode-two-storages");
    let storages = name_of(DataFile::Storages);
    sample.edit(storages, |text| text.replacen("group_name=group1", "group_name=other", 1));
    let (_, cluster) = sample.load();
    let group = &cluster.groups()[0];
    let (four, five) = ("127.0.0.4".parse().expect("an id"), "127.0.0.5".parse().expect("an id"));
    assert_eq!(group.applied(&five, &four), Timestamp(0));
    assert_eq!(group.applied(&four, &five), Timestamp(0), "column 2 is the unknown group's second");
}

#[test]
fn addresses_become_ids_when_a_table_is_introduced() {
    let sample = Sample::of("01-ip-mode-two-storages");
    let ids = "7 group1 127.0.0.4:23301\n8 group1 127.0.0.5:23301 rw=read\n";
    let mut resolve = |_: &str| Err(io::ErrorKind::NotFound.into());
    let file = fdfs_conf::StorageIds::parse(Path::new("ids"), ids.as_bytes(), &mut resolve);
    let ids = Some(StorageIds::from(&file.expect("a good table")));
    let disk = Disk::open(sample.dir.path()).expect("a directory");
    let loaded = disk.load(&Settings { ids, ..Settings::default() }).expect("a disk that works");
    let found: Vec<_> = loaded.groups[0]
        .storages()
        .map(|storage| (storage.id.to_string(), storage.sync_source.map(|id| id.to_string()), storage.rw))
        .collect();
    use fdfs_types::RwMode::{Both, Read};
    assert_eq!(found, [("7".into(), None, Both), ("8".into(), Some("7".into()), Read)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_content_of_the_files_stops_a_start(
        which in 0..6usize,
        cuts in proptest::collection::vec((0..4000usize, 0..40usize, proptest::collection::vec(any::<u8>(), 0..12)), 1..6),
    ) {
        let (dir, name) = [
            ("01-ip-mode-two-storages", "storage_groups_new.dat"),
            ("01-ip-mode-two-storages", "storage_servers_new.dat"),
            ("01-ip-mode-two-storages", "storage_sync_timestamp.dat"),
            ("03-id-mode-trunk", "storage_servers_new.dat"),
            ("06-old-format/input", "storage_groups.dat"),
            ("06-old-format/input", "storage_servers.dat"),
        ][which];
        let sample = Sample::of(dir);
        let path = sample.dir.path().join("data").join(name);
        let mut bytes = fs::read(&path).expect("a sample file");
        for (at, length, instead) in cuts {
            let from = at % (bytes.len() + 1);
            let to = (from + length).min(bytes.len());
            bytes.splice(from..to, instead);
        }
        fs::write(&path, bytes).expect("room");
        let (_, cluster) = sample.load();
        for file in FILES {
            render(file, &cluster);
        }
    }
}
