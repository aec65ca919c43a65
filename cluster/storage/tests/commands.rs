//! Every command of a client, over real sockets and a real disk.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::net::IpAddr;

use fdfs_proto::{
    Command, Decode, Header, IpWidth, Status, StorageStat,
    storage::{
        AppendRequest, DeleteRequest, DownloadRequest, FileInfoRequest, GetMetadataRequest, MetadataMode,
        ModifyRequest, RegenerateRequest, SetMetadataRequest, TruncateRequest, UploadAppenderRequest,
        UploadRequest, UploadSlaveRequest,
    },
};
use fdfs_types::{FileId, FileKind, Metadata};
use support::{Client, Cluster};

fn upload(client: &mut Client, content: &[u8]) -> FileId {
    let request = UploadRequest {
        store_path: None,
        size: content.len() as u64,
        extension: "txt".parse().expect("ext"),
    };
    FileId::decode(&client.ask(&request, content).expect("upload")).expect("file id")
}

fn overwrite_metadata(client: &mut Client, file_id: &FileId) {
    let (file_id, metadata) = (file_id.clone(), metadata(&[("a", "1")]));
    client.get(&SetMetadataRequest { file_id, mode: MetadataMode::Overwrite, metadata }).expect("set");
}

fn upload_appender(client: &mut Client, content: &[u8]) -> FileId {
    let request = UploadRequest {
        store_path: Some(0),
        size: content.len() as u64,
        extension: "log".parse().expect("ext"),
    };
    FileId::decode(&client.ask(&UploadAppenderRequest(request), content).expect("upload")).expect("file id")
}

fn download(client: &mut Client, file_id: &FileId, offset: u64, length: u64) -> Result<Vec<u8>, Status> {
    client.ask(&DownloadRequest { offset, length, file_id: file_id.clone() }, b"")
}

fn delete(client: &mut Client, file_id: &FileId) -> Result<Vec<u8>, Status> {
    client.ask(&DeleteRequest { file_id: file_id.clone() }, b"")
}

fn metadata(pairs: &[(&str, &str)]) -> Metadata {
    let text: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}\u{2}{value}")).collect();
    Metadata::decode(text.join("\u{1}").as_bytes()).expect("metadata")
}

#[tokio::test]
async fn a_file_of_any_size_comes_back_whole_and_in_ranges() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    for size in [0_usize, 1, 4096, 16_374, 16_384, 65_536, 5_000_001] {
        let content: Vec<u8> = (0..size).map(|number| (number % 251) as u8).collect();
        let file_id = upload(&mut client, &content);
        assert_eq!(file_id.filename.kind(), Ok(FileKind::Normal));
        assert_eq!(std::fs::read(cluster.path(file_id.filename.as_str())).expect("file"), content);
        assert_eq!(download(&mut client, &file_id, 0, 0).expect("whole"), content);
        if size > 100 {
            assert_eq!(download(&mut client, &file_id, 7, 50).expect("range"), &content[7..57]);
            let to_the_end = download(&mut client, &file_id, size as u64 - 5, 1 << 40).expect("clipped");
            assert_eq!(to_the_end, &content[size - 5..]);
        }
    }
}

#[tokio::test]
async fn a_file_is_in_the_binlog_when_its_upload_is_answered() {
    let cluster = Cluster::start().await;
    let file_id = upload(&mut cluster.client(), b"hello");
    assert!(cluster.binlog().ends_with(&format!(" C {}\n", file_id.filename)));
}

#[tokio::test]
async fn a_range_behind_the_end_is_refused_and_ends_the_conversation() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let file_id = upload(&mut client, b"hello");
    assert_eq!(download(&mut client, &file_id, 5, 1), Err(Status::EINVAL));
    assert!(client.is_closed());
}

#[tokio::test]
async fn a_deleted_file_is_gone_with_its_metadata() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let file_id = upload(&mut client, b"hello");
    overwrite_metadata(&mut client, &file_id);
    assert_eq!(delete(&mut client, &file_id), Ok(vec![]));
    assert_eq!(delete(&mut client, &file_id), Err(Status::ENOENT));
    assert_eq!(download(&mut client, &file_id, 0, 0), Err(Status::ENOENT));
    assert_eq!(client.ask(&GetMetadataRequest { file_id: file_id.clone() }, b""), Err(Status::ENOENT));
    assert!(!cluster.path(&format!("{}-m", file_id.filename)).exists());
}

#[tokio::test]
async fn metadata_is_replaced_and_merged() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let file_id = upload(&mut client, b"hello");
    let mut set = |mode, pairs: &[(&str, &str)]| {
        let request = SetMetadataRequest { file_id: file_id.clone(), mode, metadata: metadata(pairs) };
        client.get(&request).expect("set");
        client.get(&GetMetadataRequest { file_id: file_id.clone() }).map(|answer| answer.metadata)
    };
    assert_eq!(set(MetadataMode::Merge, &[]), Err(Status::ENOENT));
    let wide = metadata(&[("height", "600"), ("width", "800")]);
    assert_eq!(set(MetadataMode::Overwrite, &[("width", "800"), ("height", "600")]), Ok(wide));
    let merged = metadata(&[("author", "x"), ("height", "600"), ("width", "1024")]);
    assert_eq!(set(MetadataMode::Merge, &[("width", "1024"), ("author", "x")]), Ok(merged.clone()));
    assert_eq!(set(MetadataMode::Merge, &[]), Ok(merged));
    assert_eq!(set(MetadataMode::Overwrite, &[]), Err(Status::ENOENT));
}

#[tokio::test]
async fn an_appender_file_grows_changes_and_shrinks() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let file_id = upload_appender(&mut client, b"0123456789");
    let filename = file_id.filename.clone();
    let big = vec![b'x'; 3_000_000];
    for (content, expected) in [(&b"abc"[..], 13), (b"", 13), (&big, 3_000_013)] {
        let append = AppendRequest { filename: filename.clone(), size: content.len() as u64 };
        assert_eq!(client.ask(&append, content), Ok(vec![]));
        assert_eq!(download(&mut client, &file_id, 0, 0).expect("file").len(), expected);
    }
    let modify = ModifyRequest { filename: filename.clone(), offset: 11, size: 4 };
    assert_eq!(client.ask(&modify, b"YYYY"), Ok(vec![]));
    assert_eq!(client.ask(&TruncateRequest { filename: filename.clone(), size: 16 }, b""), Ok(vec![]));
    assert_eq!(download(&mut client, &file_id, 0, 0).expect("file"), b"0123456789aYYYYx");
    assert_eq!(client.ask(&TruncateRequest { filename, size: 18 }, b""), Ok(vec![]));
    assert_eq!(download(&mut client, &file_id, 0, 0).expect("file"), b"0123456789aYYYYx\0\0");
}

#[tokio::test]
async fn a_change_of_a_normal_file_is_refused() {
    let cluster = Cluster::start().await;
    let file_id = upload(&mut cluster.client(), b"hello");
    let filename = file_id.filename.clone();
    let append = AppendRequest { filename: filename.clone(), size: 1 };
    assert_eq!(cluster.client().ask(&append, b"x"), Err(Status::EINVAL));
    let modify = ModifyRequest { filename: filename.clone(), offset: 0, size: 1 };
    assert_eq!(cluster.client().ask(&modify, b"x"), Err(Status::EINVAL));
    let truncate = TruncateRequest { filename: filename.clone(), size: 1 };
    assert_eq!(cluster.client().ask(&truncate, b""), Err(Status::EINVAL));
    assert_eq!(cluster.client().ask(&RegenerateRequest { filename }, b""), Err(Status::EINVAL));
    assert_eq!(download(&mut cluster.client(), &file_id, 0, 0), Ok(b"hello".to_vec()));
}

#[tokio::test]
async fn an_appender_file_becomes_a_normal_one_under_a_new_name() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let old = upload_appender(&mut client, b"content");
    overwrite_metadata(&mut client, &old);
    let new = client.get(&RegenerateRequest { filename: old.filename.clone() }).expect("regenerate");
    assert_eq!(new.filename.kind(), Ok(FileKind::Normal));
    assert_eq!(download(&mut client, &old, 0, 0), Err(Status::ENOENT));
    assert_eq!(download(&mut client, &new, 0, 0), Ok(b"content".to_vec()));
    let kept = client.get(&GetMetadataRequest { file_id: new }).expect("metadata").metadata;
    assert_eq!(kept, metadata(&[("a", "1")]));
}

#[tokio::test]
async fn a_slave_lies_beside_its_master_and_is_made_once() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let master = upload(&mut client, b"master");
    let request = UploadSlaveRequest {
        master: master.filename.clone(),
        size: 5,
        prefix: "_150x150".parse().expect("prefix"),
        extension: "txt".parse().expect("ext"),
    };
    let slave = FileId::decode(&client.ask(&request, b"slave").expect("slave")).expect("file id");
    let stem = master.filename.as_str().strip_suffix(".txt").expect("extension");
    assert_eq!(slave.filename.as_str(), format!("{stem}_150x150.txt"));
    assert_eq!(download(&mut client, &slave, 0, 0), Ok(b"slave".to_vec()));
    assert_eq!(client.ask(&request, b"slave"), Err(Status::EEXIST));
    delete(&mut client, &master).expect("delete");
    assert_eq!(download(&mut client, &slave, 0, 0), Ok(b"slave".to_vec()));
    delete(&mut client, &slave).expect("delete");
    assert_eq!(client.ask(&request, b"slave"), Err(Status::ENOENT));
}

#[tokio::test]
async fn file_info_tells_size_checksum_and_source() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let normal = upload(&mut client, b"hello");
    let appender = upload_appender(&mut client, b"hel");
    client.ask(&AppendRequest { filename: appender.filename.clone(), size: 2 }, b"lo").expect("append");
    for (file_id, skip_crc32, crc32) in [
        (&normal, false, 0x3610_a686),
        (&normal, true, 0x3610_a686),
        (&appender, false, 0x3610_a686),
        (&appender, true, 0),
    ] {
        let info = client
            .get(&FileInfoRequest { file_id: file_id.clone(), skip_crc32, is_silent: false })
            .expect("info");
        assert_eq!((info.size, info.crc32, info.ip_width), (5, crc32, IpWidth::Ipv4));
        assert_eq!(info.source, Some(cluster.address.ip()));
    }
}

#[tokio::test]
async fn a_malformed_request_is_refused_and_ends_the_conversation() {
    let cluster = Cluster::start().await;
    let file_id = upload(&mut cluster.client(), b"hello");
    let name = file_id.filename.as_str().as_bytes();
    let group = |name: &str| {
        let mut field = [0; 16];
        field[..name.len()].copy_from_slice(name.as_bytes());
        field
    };
    let range = [0; 16];
    let cases: Vec<(Command, Vec<u8>)> = vec![
        (Command::DOWNLOAD_FILE, [&range[..], &group("group2"), name].concat()),
        (Command::DOWNLOAD_FILE, [&range[..], &group("group1"), b"M00/00/00/../../etc/passwd"].concat()),
        (Command::DOWNLOAD_FILE, [&range[..], &group("group1"), &name[..6], b"\0", &name[7..]].concat()),
        (Command::DOWNLOAD_FILE, [&range[..], &group("group1"), &b"m00".repeat(2000)].concat()),
        (Command::DOWNLOAD_FILE, [&[0xff; 16][..], &group("group1"), name].concat()),
        (Command::DELETE_FILE, [&group("group1")[..], b"M01/", &name[4..]].concat()),
        (Command::DELETE_FILE, vec![]),
        (Command::UPLOAD_FILE, vec![0; 14]),
        (Command::UPLOAD_FILE, [&[0xff][..], &9_i64.to_be_bytes(), b"txt\0\0\0", b"12345678"].concat()),
        (Command::UPLOAD_FILE, [&[0xff][..], &1_i64.to_be_bytes(), b"a/b\0\0\0", b"1"].concat()),
        (Command::UPLOAD_FILE, [&[7][..], &1_i64.to_be_bytes(), b"txt\0\0\0", b"1"].concat()),
        (Command::DELETE_FILE, [&group("group1")[..], b"M00/00/00/.."].concat()),
        (Command::DELETE_FILE, [&group("group1")[..], b"m00/", &name[4..]].concat()),
        (Command::ACTIVE_TEST, vec![1]),
        (Command(250), vec![]),
    ];
    for (command, body) in cases {
        let mut client = cluster.client();
        assert_eq!(client.raw(command, &body), Err(Status::EINVAL), "{command} {}", body.escape_ascii());
        assert!(client.is_closed(), "{command} {}", body.escape_ascii());
    }
    assert_eq!(download(&mut cluster.client(), &file_id, 0, 0), Ok(b"hello".to_vec()));
}

#[tokio::test]
async fn a_metadata_file_cannot_be_reached_by_its_name() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let file_id = upload(&mut client, b"hello");
    overwrite_metadata(&mut client, &file_id);
    let sidecar =
        FileId { filename: format!("{}-m", file_id.filename).parse().expect("name"), ..file_id.clone() };
    assert_eq!(download(&mut client, &sidecar, 0, 0), Err(Status::ENOENT));
    assert_eq!(delete(&mut client, &sidecar), Err(Status::ENOENT));
    assert!(cluster.path(sidecar.filename.as_str()).exists());
}

#[tokio::test]
async fn a_command_about_trunk_files_is_refused_where_there_are_none() {
    let cluster = Cluster::start().await;
    for command in 27..=33 {
        assert_eq!(cluster.client().raw(Command(command), &[0; 40]), Err(Status::EINVAL));
    }
    assert_eq!(cluster.client().raw(Command::ACTIVE_TEST, b""), Ok(vec![]));
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let request = UploadRequest { store_path: None, size: 1_000_000, extension: "txt".parse().expect("ext") };
    client.send(&[&fdfs_proto::Request::frame(&request)[..], &[1; 500_000]].concat());
    drop(client);
    // The next conversation on this storage sees a disk without a trace of it.
    let file_id = upload(&mut cluster.client(), b"hello");
    assert_eq!(cluster.binlog().lines().count(), 1);
    assert!(cluster.binlog().contains(file_id.filename.as_str()));
}

#[tokio::test]
async fn an_upload_without_space_is_refused_and_the_connection_stays() {
    let cluster = Cluster::start_with(|config| config.store_paths[0].is_readonly = true).await;
    let mut client = cluster.client();
    let request = UploadRequest { store_path: None, size: 100_000, extension: "txt".parse().expect("ext") };
    assert_eq!(client.ask(&request, &[1; 100_000]), Err(Status::ENOSPC));
    assert_eq!(client.raw(Command::ACTIVE_TEST, b""), Ok(vec![]));
}

#[tokio::test]
async fn coalesced_requests_are_all_answered() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let request = UploadRequest { store_path: None, size: 3, extension: "txt".parse().expect("ext") };
    let one = [&fdfs_proto::Request::frame(&request)[..], b"abc"].concat();
    client.send(&one.repeat(10));
    let names: std::collections::HashSet<_> = (0..10).map(|_| client.answer().expect("upload")).collect();
    assert_eq!(names.len(), 10);
}

#[tokio::test]
async fn the_access_log_has_a_line_for_each_request() {
    let cluster =
        Cluster::start_with(|config| config.access_log = Some(fdfs_conf::AccessLogSettings::default())).await;
    let mut client = cluster.client();
    let file_id = upload(&mut client, b"hello");
    download(&mut client, &file_id, 0, 0).expect("download");
    delete(&mut client, &file_id).expect("delete");
    assert_eq!(delete(&mut client, &file_id), Err(Status::ENOENT));
    drop(client);
    let log = cluster.disk.path().join("logs/storage_access.log");
    cluster.storage.shutdown(std::time::Duration::from_secs(5)).await.expect("shutdown");
    let text = std::fs::read_to_string(log).expect("log");
    let columns: Vec<Vec<&str>> =
        text.lines().skip(1).map(|line| line.split(' ').skip(3).collect()).collect();
    let name = file_id.filename.as_str();
    let seen: Vec<_> = columns.iter().map(|line| (line[0], line[1], line[2], line[4], line[5])).collect();
    assert_eq!(
        seen,
        [
            ("upload", name, "0", "30", "70"),
            ("download", name, "0", "86", "15"),
            ("delete", name, "0", "70", "10"),
            ("delete", name, "2", "70", "10"),
        ]
    );
}

#[tokio::test]
async fn a_promised_length_is_not_counted_as_received() {
    let cluster =
        Cluster::start_with(|config| config.access_log = Some(fdfs_conf::AccessLogSettings::default())).await;
    let mut client = cluster.client();
    let request = UploadRequest { store_path: None, size: 1 << 50, extension: "txt".parse().expect("ext") };
    assert_eq!(client.ask(&request, b"abc"), Err(Status::ENOSPC));
    drop(client);
    let log = cluster.disk.path().join("logs/storage_access.log");
    cluster.storage.shutdown(std::time::Duration::from_secs(5)).await.expect("shutdown");
    let text = std::fs::read_to_string(log).expect("log");
    let line: Vec<&str> = text.lines().nth(1).expect("line").split(' ').skip(3).collect();
    // Header, path, size and extension were read.
    assert_eq!((line[0], line[2], line[4]), ("upload", "28", "25"));
}

#[tokio::test]
async fn a_storage_that_was_ended_and_started_again_has_its_files() {
    let cluster = Cluster::start().await;
    let file_id = upload(&mut cluster.client(), b"hello");
    let ip: IpAddr = cluster.address.ip();
    let Cluster { storage, disk, tracker, address } = cluster;
    storage.shutdown(std::time::Duration::from_secs(5)).await.expect("shutdown");
    let storage =
        fdfs_storage::Storage::bind(support::config(ip, disk.path(), |_| {})).await.expect("storage");
    let stat = std::fs::read_to_string(disk.path().join("data/storage_stat.dat")).expect("stat");
    assert!(stat.contains("success_upload_count=1\n"));
    assert_eq!(download(&mut Client::connect(address), &file_id, 0, 0), Ok(b"hello".to_vec()));
    drop((storage, tracker));
}

#[tokio::test]
async fn a_header_with_a_negative_length_closes() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    client.send(&[0xff; Header::LEN]);
    assert!(client.is_closed());
}

#[tokio::test]
async fn a_download_that_the_client_breaks_off_counts_as_tried() {
    let mut cluster = Cluster::start().await;
    let file_id = upload(&mut cluster.client(), &vec![1; 64 * 1024 * 1024]);
    let mut client = cluster.client();
    client.send(&fdfs_proto::Request::frame(&DownloadRequest { offset: 0, length: 0, file_id }));
    drop(client);
    let stat = loop {
        let beat = cluster.tracker.next(Command::BEAT).await;
        if beat.len() == StorageStat::LEN {
            let stat = StorageStat::decode(&beat).expect("stat");
            if stat.download.total > 0 {
                break stat;
            }
        }
    };
    assert_eq!((stat.download.total, stat.download.success), (1, 0));
}
