//! Drives `aws-sdk-s3`, the SDK of AWS for Rust, through the S3 API; the endpoint is `$FDFS_S3` (a URL), keys and
//! trusted certificates are where the SDK looks for them.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Region};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart, Delete, MetadataDirective,
    ObjectIdentifier,
};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> Result {
    let environment = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(env::var("FDFS_S3")?)
        .region(Region::from_static("us-east-1"))
        .retry_config(RetryConfig::disabled());
    let config = Builder::from(&environment.load().await).force_path_style(true).build();
    let work = PathBuf::from(env::var("FDFS_WORK_DIR")?);
    let driver = Driver { client: Client::from_conf(config), work, group: env::var("FDFS_GROUP")? };
    report("create_bucket, head_bucket and list_buckets", driver.buckets().await);
    report("put_object and get_object", driver.objects().await);
    report("head_object with metadata", driver.metadata().await);
    report("every checksum, as header and as trailer", driver.checksums().await);
    report("odd keys", driver.odd_keys().await);
    report("ranges and conditions", driver.ranges_and_conditions().await);
    report("multipart upload", driver.parts().await);
    report("multipart upload given up", driver.given_up().await);
    report("copy_object", driver.copies().await);
    report("upload_part_copy", driver.copied_part().await);
    report("lists", driver.lists().await);
    report("presigned URLs", driver.presigned().await);
    report("delete_object and delete_bucket", driver.removal().await);
    Ok(())
}

/// One line for each step, as `tests/clients/main.rs` reads them.
fn report(step: &str, result: Result) {
    match result {
        Ok(()) => println!("ok {step}"),
        Err(error) => {
            let text = format!("{}", DisplayErrorContext(&*error));
            println!("failed {step}: {}", text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
}

macro_rules! ensure {
    ($holds:expr, $($text:tt)*) => {
        if !$holds {
            return Err(format!($($text)*).into());
        }
    };
}

struct Driver {
    client: Client,
    work: PathBuf,
    group: String,
}

impl Driver {
    async fn buckets(&self) -> Result {
        self.client.create_bucket().bucket(BUCKET).send().await?;
        self.client.head_bucket().bucket(BUCKET).send().await?;
        let answer = self.client.list_buckets().send().await?;
        let names: Vec<_> = answer.buckets().iter().filter_map(|bucket| bucket.name()).collect();
        ensure!(names.contains(&BUCKET) && names.contains(&self.group.as_str()), "{names:?}");
        Ok(())
    }

    async fn objects(&self) -> Result {
        let (small, big) = (content(11), content(BIG));
        for data in [&[][..], &small, &big] {
            self.put("body", data).await?;
            ensure!(self.get("body").await? == data, "{} bytes differ", data.len());
        }
        Ok(())
    }

    async fn metadata(&self) -> Result {
        let put = self.client.put_object().bucket(BUCKET).key("meta").content_type("image/x-odd");
        put.metadata("width", "1024").body(content(11).into()).send().await?;
        let head = self.client.head_object().bucket(BUCKET).key("meta").send().await?;
        ensure!(head.content_length() == Some(11) && head.content_type() == Some("image/x-odd"), "{head:?}");
        ensure!(head.metadata().ok_or("metadata")?["width"] == "1024", "{head:?}");
        Ok(())
    }

    /// Of a body in memory the SDK sends the checksum as a header, of a file as a trailer.
    async fn checksums(&self) -> Result {
        let (data, file) = (content(300_000), self.work.join("streamed"));
        fs::write(&file, &data)?;
        for algorithm in [
            ChecksumAlgorithm::Crc32,
            ChecksumAlgorithm::Crc32C,
            ChecksumAlgorithm::Crc64Nvme,
            ChecksumAlgorithm::Sha1,
            ChecksumAlgorithm::Sha256,
        ] {
            for body in [ByteStream::from(data.clone()), ByteStream::from_path(&file).await?] {
                let put = self.client.put_object().bucket(BUCKET).key("checked").body(body);
                let made = put.checksum_algorithm(algorithm.clone()).send().await?;
                let get = self.client.get_object().bucket(BUCKET).key("checked");
                let got = get.checksum_mode(ChecksumMode::Enabled).send().await?;
                let (made, kept) = match &algorithm {
                    ChecksumAlgorithm::Crc32 => (made.checksum_crc32(), got.checksum_crc32()),
                    ChecksumAlgorithm::Crc32C => (made.checksum_crc32_c(), got.checksum_crc32_c()),
                    ChecksumAlgorithm::Crc64Nvme => (made.checksum_crc64_nvme(), got.checksum_crc64_nvme()),
                    ChecksumAlgorithm::Sha1 => (made.checksum_sha1(), got.checksum_sha1()),
                    _ => (made.checksum_sha256(), got.checksum_sha256()),
                };
                ensure!(made.is_some() && made == kept, "{algorithm}: {made:?}, then {kept:?}");
                ensure!(got.body.collect().await?.to_vec() == data, "{algorithm}: bytes differ");
            }
        }
        let put = self.client.put_object().bucket(BUCKET).key("checked").body(data.into());
        let refused = put.checksum_crc32("AAAAAA==").send().await.map_err(code);
        ensure!(refused.as_ref().is_err_and(|code| code == "BadDigest"), "{refused:?}");
        Ok(())
    }

    async fn odd_keys(&self) -> Result {
        for key in ODD_KEYS {
            self.put(key, key.as_bytes()).await?;
            ensure!(self.get(key).await? == key.as_bytes(), "{key:?} has other bytes");
        }
        let listed = self.keys("").await?;
        for key in ODD_KEYS {
            ensure!(listed.iter().any(|listed| listed == key), "{key:?} is not in {listed:?}");
        }
        let objects = ODD_KEYS.iter().map(|key| ObjectIdentifier::builder().key(*key).build());
        let delete = Delete::builder().set_objects(Some(objects.collect::<Result<_, _>>()?)).build()?;
        let answer = self.client.delete_objects().bucket(BUCKET).delete(delete).send().await?;
        ensure!(answer.deleted().len() == ODD_KEYS.len() && answer.errors().is_empty(), "{answer:?}");
        Ok(())
    }

    async fn ranges_and_conditions(&self) -> Result {
        let big = content(BIG);
        let put = self.client.put_object().bucket(BUCKET).key("ranged").body(big.clone().into());
        let tag = put.send().await?.e_tag.ok_or("ETag")?;
        let get = || self.client.get_object().bucket(BUCKET).key("ranged");
        let answer = get().range("bytes=1000-5999").if_match(&tag).send().await?;
        ensure!(answer.body.collect().await?.to_vec() == big[1000..6000], "bytes of the range differ");
        let refused = get().range("bytes=99999999-").send().await.map_err(code).err();
        ensure!(refused.as_deref() == Some("InvalidRange"), "{refused:?}");
        let refused = get().if_match("\"0123\"").send().await.map_err(code).err();
        ensure!(refused.as_deref() == Some("PreconditionFailed"), "{refused:?}");
        let put = self.client.put_object().bucket(BUCKET).key("ranged").if_none_match("*");
        let refused = put.send().await.map_err(code).err();
        ensure!(refused.as_deref() == Some("PreconditionFailed"), "{refused:?}");
        Ok(())
    }

    async fn parts(&self) -> Result {
        let big = content(BIG);
        let create = self.client.create_multipart_upload().bucket(BUCKET).key("parts");
        let upload = create.checksum_algorithm(ChecksumAlgorithm::Crc32).send().await?.upload_id;
        let mut parts = Vec::new();
        for (number, data) in (1..).zip(big.chunks(PART)) {
            let part = self.client.upload_part().bucket(BUCKET).key("parts").set_upload_id(upload.clone());
            let answer = part.part_number(number).body(data.to_vec().into()).send().await?;
            parts.push(
                CompletedPart::builder()
                    .part_number(number)
                    .set_e_tag(answer.e_tag)
                    .set_checksum_crc32(answer.checksum_crc32)
                    .build(),
            );
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = self.client.complete_multipart_upload().bucket(BUCKET).key("parts");
        complete.set_upload_id(upload).multipart_upload(parts).send().await?;
        ensure!(self.get("parts").await? == big, "bytes differ");
        Ok(())
    }

    async fn given_up(&self) -> Result {
        let create = self.client.create_multipart_upload().bucket(BUCKET).key("given-up").send().await?;
        let abort = self.client.abort_multipart_upload().bucket(BUCKET).key("given-up");
        abort.set_upload_id(create.upload_id).send().await?;
        let open = self.client.list_multipart_uploads().bucket(BUCKET).send().await?;
        ensure!(open.uploads().is_empty(), "{open:?}");
        Ok(())
    }

    async fn copies(&self) -> Result {
        let copy = || self.client.copy_object().bucket(BUCKET).key("copied");
        copy().copy_source(format!("{BUCKET}/meta")).send().await?;
        ensure!(self.get("copied").await? == content(11), "bytes differ");
        let own =
            copy().copy_source(format!("{BUCKET}/copied")).metadata_directive(MetadataDirective::Replace);
        own.metadata("height", "768").send().await?;
        let head = self.client.head_object().bucket(BUCKET).key("copied").send().await?;
        let metadata = head.metadata().ok_or("metadata")?;
        ensure!(metadata.len() == 1 && metadata["height"] == "768", "{metadata:?}");
        Ok(())
    }

    async fn copied_part(&self) -> Result {
        let create = self.client.create_multipart_upload().bucket(BUCKET).key("part-copy").send().await?;
        let part = self.client.upload_part_copy().bucket(BUCKET).key("part-copy").part_number(1);
        let part = part.copy_source(format!("{BUCKET}/parts")).copy_source_range("bytes=5-6291455");
        let answer = part.set_upload_id(create.upload_id.clone()).send().await?;
        let tag = answer.copy_part_result.ok_or("result")?.e_tag;
        let parts = CompletedPart::builder().part_number(1).set_e_tag(tag).build();
        let parts = CompletedMultipartUpload::builder().parts(parts).build();
        let complete = self.client.complete_multipart_upload().bucket(BUCKET).key("part-copy");
        complete.set_upload_id(create.upload_id).multipart_upload(parts).send().await?;
        ensure!(self.get("part-copy").await? == content(BIG)[5..6_291_456], "bytes differ");
        Ok(())
    }

    async fn lists(&self) -> Result {
        let all = ["list/a", "list/b+1", "list/b/1", "list/b/2", "list/c"];
        for key in all {
            self.put(key, b"x").await?;
        }
        let found = self.keys("list/").await?;
        ensure!(found == all, "{found:?}");
        let list = self.client.list_objects_v2().bucket(BUCKET).prefix("list/").delimiter("/");
        let answer = list.send().await?;
        let folders: Vec<_> = answer.common_prefixes().iter().filter_map(|folder| folder.prefix()).collect();
        ensure!(folders == ["list/b/"], "{folders:?}");
        Ok(())
    }

    async fn presigned(&self) -> Result {
        let (key, big, file) = ("presigned/ü &+%41", content(BIG), self.work.join("presigned"));
        fs::write(&file, &big)?;
        let minute = PresigningConfig::expires_in(Duration::from_secs(60))?;
        let put = self.client.put_object().bucket(BUCKET).key(key).presigned(minute.clone()).await?;
        let upload = format!("{}", file.display());
        self.curl(put.uri(), &["--upload-file", &upload])?;
        let get = self.client.get_object().bucket(BUCKET).key(key).presigned(minute).await?;
        ensure!(self.curl(get.uri(), &[])? == big, "bytes differ");
        ensure!(self.curl(get.uri(), &["--range", "3-9"])? == big[3..10], "bytes of the range differ");
        let forged = get.uri().replace("X-Amz-Signature=", "X-Amz-Signature=0");
        ensure!(self.curl(&forged, &[]).is_err(), "a forged signature was accepted");
        Ok(())
    }

    async fn removal(&self) -> Result {
        let refused = self.client.delete_bucket().bucket(BUCKET).send().await.map_err(code).err();
        ensure!(refused.as_deref() == Some("BucketNotEmpty"), "{refused:?}");
        for key in self.keys("").await? {
            self.client.delete_object().bucket(BUCKET).key(key).send().await?;
        }
        let refused = self.client.get_object().bucket(BUCKET).key("body").send().await.map_err(code).err();
        ensure!(refused.as_deref() == Some("NoSuchKey"), "{refused:?}");
        self.client.delete_bucket().bucket(BUCKET).send().await?;
        let refused = self.client.head_bucket().bucket(BUCKET).send().await.map_err(code).err();
        ensure!(refused.as_deref() == Some("NotFound"), "{refused:?}");
        Ok(())
    }

    async fn put(&self, key: &str, data: &[u8]) -> Result {
        self.client.put_object().bucket(BUCKET).key(key).body(data.to_vec().into()).send().await?;
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Vec<u8>> {
        let answer = self.client.get_object().bucket(BUCKET).key(key).send().await?;
        Ok(answer.body.collect().await?.to_vec())
    }

    /// The keys below a prefix, from pages of three.
    async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let list = self.client.list_objects_v2().bucket(BUCKET).prefix(prefix);
        let mut pages = list.into_paginator().page_size(3).send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            keys.extend(page?.contents().iter().filter_map(|entry| entry.key().map(str::to_owned)));
        }
        Ok(keys)
    }

    /// What the server answers to curl.
    fn curl(&self, url: &str, arguments: &[&str]) -> Result<Vec<u8>> {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail"]).args(arguments).arg(url);
        if let Ok(ca) = env::var("AWS_CA_BUNDLE") {
            command.arg("--cacert").arg(ca);
        }
        let output = command.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    }
}

/// The code of an error that the server answered, or what went wrong else.
fn code<E: ProvideErrorMetadata + Error>(error: E) -> String {
    error.code().map_or_else(|| format!("{error:?}"), str::to_owned)
}

/// Bytes that look random and are the same in every run.
fn content(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

const BUCKET: &str = "rust-sdk-bucket";
const PART: usize = 5 << 20;
const BIG: usize = (20 << 20) + 17;
const ODD_KEYS: &[&str] = &[
    "a b",
    "plus+plus",
    "percent%41%",
    "späße/ü.txt",
    "日本語/😀",
    "'quoted\"",
    "<&amp;>",
    "a=b&c;d?e#f,g:h@i!",
    "(round)[square]{curly}~^`|$*",
    "back\\slash",
    "double//slash",
    "/leading",
    "//",
    "folder/",
    "tab\tline\nend",
];
