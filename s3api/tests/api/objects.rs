//! Objects and buckets over real sockets.

use crate::support::{Answer, Gateway, Signed};
use fdfs_objects::{Kind, NewInode, ROOT};
use sha2::{Digest as _, Sha256};

fn put(target: &str, body: impl Into<Vec<u8>>) -> Signed {
    Signed::new("PUT", target).body(body)
}

fn get(target: &str) -> Signed {
    Signed::new("GET", target)
}

fn assert_ok(answer: &Answer) {
    assert_eq!(answer.status / 100, 2, "{} {}", answer.status, answer.text());
}

fn noise(length: usize) -> Vec<u8> {
    let mut block = Sha256::digest(b"noise").to_vec();
    while block.len() < length {
        let next = Sha256::digest(&block[block.len() - 32..]);
        block.extend_from_slice(&next);
    }
    block.truncate(length);
    block
}

#[tokio::test]
async fn what_is_put_is_got_whatever_its_size() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    for size in [0, 1, 4096, 65_536, 65_537, 300_000, 5 << 20] {
        let body = noise(size);
        let put = put("/pets/a/b.bin", body.clone())
            .header("x-amz-meta-width", "1024")
            .header("content-type", "x/y");
        let answer = wire.send(put).await;
        assert_ok(&answer);
        let etag = answer.header("etag").unwrap().to_owned();

        let answer = wire.send(get("/pets/a/b.bin")).await;
        assert_eq!(answer.status, 200);
        assert!(answer.body == body, "{size} bytes differ");
        assert_eq!(answer.header("etag"), Some(etag.as_str()));
        assert_eq!(answer.header("x-amz-meta-width"), Some("1024"));
        assert_eq!(answer.header("content-type"), Some("x/y"));

        let head = wire.send(Signed::new("HEAD", "/pets/a/b.bin")).await;
        assert_eq!(head.header("content-length"), Some(size.to_string().as_str()));
        assert_eq!(head.header("etag"), Some(etag.as_str()));
        assert!(head.header("last-modified").is_some());
        if size > 0 {
            assert!(head.header("x-fdfs-file-id").unwrap().starts_with("group1/M00/"));
        }
    }
}

#[tokio::test]
async fn an_etag_is_the_md5() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let answer = gateway.send(put("/pets/k", "hello")).await;

    assert_eq!(answer.header("etag"), Some("\"5d41402abc4b2a76b9719d911017c592\""));
}

#[tokio::test]
async fn keys_are_kept_to_the_byte() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    for key in [
        "a%20b",
        "a%2Bb",
        "%C3%A9t%C3%A9",
        "a//b",
        "%2Flead",
        "..",
        "a/../b",
        "dir/",
        "q%3Fx%3D1",
        "%3Ca%26b%3E",
    ] {
        let target = format!("/pets/{key}");
        assert_ok(&wire.send(put(&target, key)).await);
        let answer = wire.send(get(&target)).await;
        assert_eq!(answer.text(), key);
    }
    let list = wire.send(get("/pets?encoding-type=url&list-type=2")).await;
    assert_eq!(
        list.elements("Key"),
        [
            "..",
            "/lead",
            "%3Ca%26b%3E",
            "a%20b",
            "a%2Bb",
            "a/../b",
            "a//b",
            "dir/",
            "q%3Fx%3D1",
            "%C3%A9t%C3%A9"
        ]
    );
    let list = wire.send(get("/pets?list-type=2&prefix=%3C")).await;
    assert_eq!(list.elements("Key"), ["&lt;a&amp;b&gt;"]);
}

#[tokio::test]
async fn ranges_and_conditions_are_honoured() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    let etag = wire.send(put("/pets/k", "0123456789")).await.header("etag").unwrap().to_owned();

    let part = wire.send(get("/pets/k").header("range", "bytes=2-4")).await;
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    let none = wire.send(get("/pets/k").header("range", "bytes=10-")).await;
    assert_eq!((none.status, none.code().as_str()), (416, "InvalidRange"));
    let stale = wire.send(get("/pets/k").header("range", "bytes=2-4").header("if-range", "\"other\"")).await;
    assert_eq!((stale.status, stale.body.len()), (200, 10));

    let same = wire.send(get("/pets/k").header("if-none-match", &etag)).await;
    assert_eq!((same.status, same.header("etag")), (304, Some(etag.as_str())));
    let other = wire.send(get("/pets/k").header("if-match", "\"0\"")).await;
    assert_eq!((other.status, other.code().as_str()), (412, "PreconditionFailed"));

    let first = wire.send(put("/pets/k", "x").header("if-none-match", "*")).await;
    assert_eq!((first.status, first.code().as_str()), (412, "PreconditionFailed"));
    assert_ok(&wire.send(put("/pets/new", "x").header("if-none-match", "*")).await);
    assert_ok(&wire.send(put("/pets/k", "y").header("if-match", &etag)).await);

    let shown = wire.send(get("/pets/k?response-content-type=a%2Fb&response-expires=never")).await;
    assert_eq!((shown.header("content-type"), shown.header("expires")), (Some("a/b"), Some("never")));
}

#[tokio::test]
async fn a_name_that_is_no_text_is_listed_to_the_byte_where_that_can_be_said() {
    let gateway = Gateway::start().await;
    let objects = &gateway.objects;
    let group = objects.lookup(ROOT, b"group1").await.unwrap().inode;
    let directory = NewInode { kind: Kind::Directory, mode: 0o755, ..NewInode::default() };
    for name in [&b"caf\xe9.txt"[..], b"plain.txt"] {
        let file = NewInode { kind: Kind::File, mode: 0o644, ..NewInode::default() };
        objects.make(group, name, file).await.unwrap();
    }
    let made = objects.make(group, b"d\xff", directory).await.unwrap().inode;
    let file = NewInode { kind: Kind::File, mode: 0o644, ..NewInode::default() };
    objects.make(made, b"below", file).await.unwrap();
    for version in ["", "&list-type=2"] {
        let list = gateway.send(get(&format!("/group1?delimiter=%2F&encoding-type=url{version}"))).await;
        assert_eq!(list.elements("Key"), ["caf%E9.txt", "plain.txt"]);
        assert!(list.text().contains("<CommonPrefixes><Prefix>d%FF/</Prefix>"), "{}", list.text());
        let list = gateway.send(get(&format!("/group1?delimiter=%2F{version}"))).await;
        assert_eq!(list.elements("Key"), ["plain.txt"], "nothing is named that is not there");
        assert!(!list.text().contains("CommonPrefixes"), "{}", list.text());
    }
    let list = gateway.send(get("/group1?delimiter=%2F&list-type=2")).await;
    assert_eq!(list.elements("KeyCount"), ["1"]);

    // It is no key of S3, but it can be got rid of.
    for request in [get("/group1/caf%E9.txt"), put("/group1/caf%E9.txt", "x"), get("/group1/caf%E9.txt?acl")]
    {
        let answer = gateway.send(request).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "InvalidURI"));
    }
    assert_eq!(gateway.send(Signed::new("DELETE", "/group1/caf%E9.txt")).await.status, 204);
    let list = gateway.send(get("/group1?delimiter=%2F&encoding-type=url")).await;
    assert_eq!(list.elements("Key"), ["plain.txt"]);
}

#[tokio::test]
async fn a_list_goes_on_where_the_page_before_ended() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    for key in ["a", "b/1", "b/2", "c/1", "d"] {
        assert_ok(&wire.send(put(&format!("/pets/{key}"), key)).await);
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = wire.send(get(&format!("/pets?{token}delimiter=%2F&list-type=2&max-keys=1"))).await;
        assert_ok(&page);
        assert_eq!(page.element("KeyCount").as_deref(), Some("1"));
        seen.extend(page.elements("Key"));
        seen.extend(page.elements("CommonPrefixes"));
        match page.element("NextContinuationToken") {
            Some(next) => token = format!("continuation-token={next}&"),
            None => break,
        }
    }
    assert_eq!(seen, ["a", "<Prefix>b/</Prefix>", "<Prefix>c/</Prefix>", "d"]);

    let (mut seen, mut marker) = (Vec::new(), String::new());
    loop {
        let page = wire
            .send(get(&format!("/pets?delimiter=%2F&marker={}&max-keys=2", marker.replace('/', "%2F"))))
            .await;
        seen.extend(page.elements("Key"));
        seen.extend(page.elements("CommonPrefixes"));
        match page.element("NextMarker") {
            Some(next) => marker = next,
            None => break,
        }
    }
    assert_eq!(
        seen,
        ["a", "<Prefix>b/</Prefix>", "d", "<Prefix>c/</Prefix>"],
        "keys stand before prefixes on a page"
    );

    let after = wire.send(get("/pets?list-type=2&prefix=b%2F&start-after=b%2F1")).await;
    assert_eq!(after.elements("Key"), ["b/2"]);
    let wrong = wire.send(get("/pets?continuation-token=%21&list-type=2")).await;
    assert_eq!(wrong.code(), "InvalidArgument");
}

#[tokio::test]
async fn a_deleted_key_is_gone_and_may_be_deleted_again() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    wire.send(put("/pets/k", "x")).await;

    for _ in 0..2 {
        assert_eq!(wire.send(Signed::new("DELETE", "/pets/k")).await.status, 204);
    }
    let answer = wire.send(get("/pets/k")).await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "NoSuchKey"));
    let head = wire.send(Signed::new("HEAD", "/pets/k")).await;
    assert_eq!((head.status, head.body.len()), (404, 0));
}

#[tokio::test]
async fn many_keys_are_deleted_at_once() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    for key in ["a", "b", "c"] {
        wire.send(put(&format!("/pets/{key}"), key)).await;
    }
    let body = "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object><Object><Key>none</Key></Object></Delete>";
    let answer = wire.send(Signed::new("POST", "/pets?delete").body(body)).await;
    assert_ok(&answer);
    assert_eq!(answer.elements("Key"), ["a", "b", "none"]);
    assert!(answer.elements("Error").is_empty());
    assert_eq!(wire.send(get("/pets?list-type=2")).await.elements("Key"), ["c"]);

    let answer = wire.send(Signed::new("POST", "/pets?delete").body("<Delete>")).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "MalformedXML"));
}

#[tokio::test]
async fn parts_become_one_object() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    let answer = wire.send(Signed::new("POST", "/pets/big.bin?uploads").header("x-amz-meta-a", "b")).await;
    assert_ok(&answer);
    let id = answer.element("UploadId").unwrap();

    let (first, second) = (noise(5 << 20), noise(1000));
    let mut etags = Vec::new();
    for (number, body) in [(1, &first), (2, &second)] {
        let target = format!("/pets/big.bin?partNumber={number}&uploadId={id}");
        etags.push(wire.send(put(&target, body.clone())).await.header("etag").unwrap().to_owned());
    }
    let parts = wire.send(get(&format!("/pets/big.bin?uploadId={id}"))).await;
    assert_eq!(parts.elements("Size"), [(5 << 20).to_string(), "1000".to_owned()]);
    let page = wire.send(get(&format!("/pets/big.bin?max-parts=1&uploadId={id}"))).await;
    assert_eq!(
        (page.element("IsTruncated").as_deref(), page.element("NextPartNumberMarker").as_deref()),
        (Some("true"), Some("1"))
    );
    let uploads = wire.send(get("/pets?uploads")).await;
    assert_eq!(uploads.elements("Key"), ["big.bin"]);
    assert_eq!(wire.send(get("/pets/big.bin")).await.status, 404, "nothing is there before Complete");

    let complete = |first: &str| {
        let body = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{first}</ETag></Part>\
             <Part><PartNumber>2</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
            etags[1]
        );
        Signed::new("POST", &format!("/pets/big.bin?uploadId={id}")).body(body)
    };
    let wrong = wire.send(complete("&quot;00000000000000000000000000000000&quot;")).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "InvalidPart"));
    let done = wire.send(complete(&etags[0])).await;
    assert_ok(&done);
    assert!(done.element("ETag").unwrap().contains("-2"), "{}", done.text());
    let again = wire.send(complete(&etags[0])).await;
    assert_eq!(again.element("ETag"), done.element("ETag"), "a repeated Complete is answered alike");

    let whole = wire.send(get("/pets/big.bin")).await;
    assert!(whole.body == [first.as_slice(), &second].concat());
    assert_eq!(whole.header("x-amz-meta-a"), Some("b"));
    let across = wire.send(get("/pets/big.bin").header("range", "bytes=5242878-5242881")).await;
    assert_eq!(across.body, [&first[first.len() - 2..], &second[..2]].concat());

    let part = wire.send(get("/pets/big.bin?partNumber=2")).await;
    assert_eq!((part.status, part.header("x-amz-mp-parts-count")), (206, Some("2")));
    assert_eq!(part.header("content-range"), Some("bytes 5242880-5243879/5243880"));
    assert!(part.body == second);
    let beyond = wire.send(get("/pets/big.bin?partNumber=3")).await;
    assert_eq!((beyond.status, beyond.code().as_str()), (416, "InvalidPartNumber"));
    let head = wire.send(Signed::new("HEAD", "/pets/big.bin?partNumber=1")).await;
    assert_eq!((head.status, head.header("content-length")), (206, Some("5242880")));
}

#[tokio::test]
async fn an_aborted_upload_is_gone() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    let id = wire.send(Signed::new("POST", "/pets/k?uploads")).await.element("UploadId").unwrap();
    let upload = format!("/pets/k?uploadId={id}");

    assert_eq!(wire.send(Signed::new("DELETE", &upload)).await.status, 204);
    for request in [
        get(&upload),
        Signed::new("DELETE", &upload),
        put(&format!("/pets/k?partNumber=1&uploadId={id}"), "x"),
    ] {
        let answer = wire.send(request).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "NoSuchUpload"));
    }
    let answer = wire.send(put(&format!("/pets/k?partNumber=10001&uploadId={id}"), "x")).await;
    assert_eq!(answer.code(), "InvalidArgument");
}

#[tokio::test]
async fn a_copy_has_its_own_metadata_where_that_is_asked() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    wire.send(put("/pets/a%20b", "x").header("x-amz-meta-a", "1")).await;
    let files = gateway.files.count();

    let copy = |target: &str| put(target, "").header("x-amz-copy-source", "/pets/a%20b");
    assert_ok(&wire.send(copy("/pets/copy")).await);
    assert_eq!(wire.send(get("/pets/copy")).await.header("x-amz-meta-a"), Some("1"));
    let replaced =
        copy("/pets/other").header("x-amz-metadata-directive", "REPLACE").header("x-amz-meta-b", "2");
    assert_ok(&wire.send(replaced).await);
    let other = wire.send(get("/pets/other")).await;
    assert_eq!(
        (other.header("x-amz-meta-a"), other.header("x-amz-meta-b"), other.text().as_str()),
        (None, Some("2"), "x")
    );
    assert_eq!(gateway.files.count(), files, "no byte was moved");

    assert_eq!(wire.send(copy("/pets/a%20b")).await.code(), "InvalidRequest");
    let none = put("/pets/copy", "").header("x-amz-copy-source", "/pets/none");
    assert_eq!(wire.send(none).await.code(), "NoSuchKey");
}

#[tokio::test]
async fn buckets_are_made_and_removed() {
    let gateway = Gateway::start().await;
    let mut wire = gateway.connect().await;
    let located = |name: &str, location: &str| {
        put(
            &format!("/{name}"),
            format!(
                "<CreateBucketConfiguration><LocationConstraint>{location}</LocationConstraint></CreateBucketConfiguration>"
            ),
        )
    };
    assert_ok(&wire.send(located("placed", "group1")).await);
    assert_ok(&wire.send(located("regional", "eu-test-1")).await);
    assert_eq!(wire.send(located("lost", "group9")).await.code(), "InvalidLocationConstraint");
    assert_eq!(wire.send(put("/placed", "")).await.code(), "BucketAlreadyOwnedByYou");
    assert_eq!(wire.send(put("/Not_Valid", "")).await.code(), "InvalidBucketName");
    assert_eq!(wire.send(get("/")).await.elements("Name"), ["group1", "placed", "regional"]);
    let page = wire.send(get("/?max-buckets=1&prefix=p")).await;
    assert_eq!((page.elements("Name"), page.element("ContinuationToken")), (vec!["placed".to_owned()], None));

    assert_eq!(
        wire.send(Signed::new("HEAD", "/placed")).await.header("x-amz-bucket-region"),
        Some("us-east-1")
    );
    assert_eq!(wire.send(Signed::new("HEAD", "/absent")).await.status, 404);
    assert!(wire.send(get("/placed?location")).await.text().contains("LocationConstraint"));
    wire.send(put("/placed/k", "x")).await;
    assert_eq!(wire.send(Signed::new("DELETE", "/placed")).await.code(), "BucketNotEmpty");
    wire.send(Signed::new("DELETE", "/placed/k")).await;
    assert_eq!(wire.send(Signed::new("DELETE", "/placed")).await.status, 204);
    assert_eq!(wire.send(Signed::new("DELETE", "/placed")).await.code(), "NoSuchBucket");
    assert_eq!(wire.send(Signed::new("DELETE", "/group1")).await.code(), "AccessDenied");
    assert_eq!(wire.send(put("/absent/k", "x")).await.code(), "NoSuchBucket");
}

#[tokio::test]
async fn raw_files_are_read_by_their_id_and_never_written() {
    let gateway = Gateway::start().await;
    let mut wire = gateway.connect().await;
    let answer = wire.send(put("/group1/pets/cat.jpg", "meow")).await;
    let id = answer.header("x-fdfs-file-id").unwrap().to_owned();

    assert_eq!(wire.send(get(&format!("/{id}"))).await.text(), "meow");
    assert_eq!(wire.send(get("/group1?list-type=2")).await.elements("Key"), ["pets/cat.jpg"]);
    let raw = wire.send(get("/group1?list-type=2&prefix=M00%2F")).await;
    assert_eq!(raw.elements("Key"), [id.strip_prefix("group1/").unwrap()]);
    assert_eq!(wire.send(put(&format!("/{id}"), "purr")).await.code(), "AccessDenied");
    assert_eq!(wire.send(Signed::new("DELETE", &format!("/{id}"))).await.code(), "AccessDenied");
}

#[tokio::test]
async fn configuration_that_nobody_set_is_answered_so() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    for (name, code) in [
        ("cors", "NoSuchCORSConfiguration"),
        ("encryption", "ServerSideEncryptionConfigurationNotFoundError"),
        ("lifecycle", "NoSuchLifecycleConfiguration"),
        ("object-lock", "ObjectLockConfigurationNotFoundError"),
        ("ownershipControls", "OwnershipControlsNotFoundError"),
        ("policy", "NoSuchBucketPolicy"),
        ("publicAccessBlock", "NoSuchPublicAccessBlockConfiguration"),
        ("replication", "ReplicationConfigurationNotFoundError"),
        ("tagging", "NoSuchTagSet"),
        ("website", "NoSuchWebsiteConfiguration"),
    ] {
        let answer = wire.send(get(&format!("/pets?{name}"))).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, code), "{name}");
    }
    for name in ["accelerate", "acl", "logging", "notification", "requestPayment", "versioning"] {
        assert_eq!(wire.send(get(&format!("/pets?{name}"))).await.status, 200, "{name}");
    }
    for (method, target) in
        [("PUT", "/pets?accelerate"), ("PUT", "/pets?logging"), ("GET", "/pets?inventory")]
    {
        let answer = wire.send(Signed::new(method, target)).await;
        assert_eq!((answer.status, answer.code().as_str()), (501, "NotImplemented"), "{method} {target}");
    }
    let sealed = put("/pets/k", "x").header("x-amz-server-side-encryption", "AES256");
    assert_eq!(wire.send(sealed).await.code(), "NotImplemented");
}

#[tokio::test]
async fn a_bucket_may_stand_in_the_host() {
    let gateway = Gateway::start_with(|config| config.virtual_host_suffix = Some("s3.test".into())).await;
    let gateway = gateway.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    wire.host = "pets.s3.test:9000".into();

    assert_ok(&wire.send(put("/a/b", "x")).await);
    assert_eq!(wire.send(get("/?list-type=2")).await.elements("Key"), ["a/b"]);
}

#[tokio::test]
async fn files_out_of_reach_are_no_missing_keys() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    wire.send(put("/pets/small", "x")).await;
    wire.send(put("/pets/large", noise(200_000))).await;
    gateway.files.state(|state| state.away = true);

    for request in [get("/pets/small"), get("/pets/large"), put("/pets/new", "x")] {
        let answer = wire.send(request).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "ServiceUnavailable"));
    }
    assert_eq!(wire.send(get("/pets/new")).await.code(), "NoSuchKey");
}

#[tokio::test]
async fn a_part_may_be_copied_from_an_object() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    let source = noise(6 << 20);
    wire.send(put("/pets/source", source.clone())).await;
    let id = wire.send(Signed::new("POST", "/pets/k?uploads")).await.element("UploadId").unwrap();
    let copy = |number: u16, range: &str| {
        put(&format!("/pets/k?partNumber={number}&uploadId={id}"), "")
            .header("x-amz-copy-source", "/pets/source")
            .header("x-amz-copy-source-range", range)
    };
    let mut parts = String::new();
    for (number, range) in [(1, "bytes=0-5242879"), (2, "bytes=5242880-6291455")] {
        let answer = wire.send(copy(number, range)).await;
        assert_ok(&answer);
        let etag = answer.element("ETag").unwrap();
        parts.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"));
    }
    let beyond = wire.send(copy(3, "bytes=0-6291456")).await;
    assert_eq!((beyond.status, beyond.code().as_str()), (400, "InvalidArgument"));
    assert!(beyond.text().contains("source object of size: 6291456"), "{}", beyond.text());
    assert_eq!(wire.send(copy(3, "bytes=-5")).await.code(), "InvalidArgument");
    let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    assert_ok(&wire.send(Signed::new("POST", &format!("/pets/k?uploadId={id}")).body(body)).await);

    assert!(wire.send(get("/pets/k")).await.body == source);
}

#[tokio::test]
async fn of_racing_writers_one_wins() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let race = (0..16).map(|writer: u8| {
        let request = put("/pets/k", vec![writer; 10_000]).header("if-none-match", "*");
        gateway.send(request)
    });
    let answers = futures_util::future::join_all(race).await;

    let winners: Vec<_> = answers.iter().enumerate().filter(|(_, answer)| answer.status == 200).collect();
    let [(winner, _)] = winners[..] else { panic!("{} have won", winners.len()) };
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 412)));
    assert_eq!(gateway.send(get("/pets/k")).await.body, vec![u8::try_from(winner).unwrap(); 10_000]);
}
